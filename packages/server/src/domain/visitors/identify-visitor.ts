import { createHmac } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { addressPrefix, networkOf } from './address.ts'
import type { VisitorHash, VisitorSalt, VisitorStore } from './visitor.ts'

/** What a product knows of one who shows no key. It is hashed, and neither kept nor logged. */
export interface VisitorClaim {
  /** As the socket has it. */
  readonly ip: string
  /** Default: none. */
  readonly userAgent?: string | undefined
  /** What solves the challenge of the answer before. */
  readonly challenge?: string | undefined
}

/** Who it is, as far as anybody can tell. By the salts of now, the newest first. */
export interface VisitorIdentity {
  readonly hashes: readonly VisitorHash[]
  /** Of the address alone, whatever user agents it sends. */
  readonly addresses: readonly string[]
  /** Of the network that the address is in, by the newest salt. */
  readonly network: string
}

/** @throws {DomainError} `request.invalid` where the address is none */
export type IdentifyVisitor = (product: string, claim: VisitorClaim) => Promise<VisitorIdentity>

/**
 * How long a process may go on with a salt after another one has made the next, ms. Both know the salt between, by which each
 * visitor is known to both.
 */
const SALTS_KEPT_MS = 60_000

/** Of a longer user agent, these count: whoever hands it on may have cut it. */
const USER_AGENT_CHARS = 1_000

export function createIdentifyVisitor(deps: {
  readonly visitors: Pick<VisitorStore, 'salts'>
  readonly clock: Pick<Clock, 'now'>
  readonly saltMs: number
}): IdentifyVisitor {
  let known: { readonly salts: Promise<readonly VisitorSalt[]>; readonly at: number } | undefined

  function saltsOf(now: number): Promise<readonly VisitorSalt[]> {
    if (known === undefined || Math.abs(now - known.at) >= SALTS_KEPT_MS) {
      const salts = deps.visitors.salts(now, deps.saltMs)
      const own = { salts, at: now }
      known = own
      salts.catch(() => {
        if (known === own) known = undefined
      })
    }
    return known.salts
  }

  return async (product, { ip, userAgent = '' }) => {
    const browser = userAgent.slice(0, USER_AGENT_CHARS)
    const prefix = addressPrefix(ip)
    const salts = await saltsOf(deps.clock.now())
    return {
      hashes: salts.map(({ number, secret }) => ({
        salt: number,
        hash: hashOf(secret, ['visitor', product, prefix, browser]),
      })),
      addresses: salts.map(({ secret }) => hashOf(secret, ['address', product, prefix])),
      network: hashOf(salts[0]!.secret, ['network', product, networkOf(prefix)]),
    }
  }
}

/** Lengths keep apart what no text may join. */
function hashOf(secret: Uint8Array, parts: readonly (string | Uint8Array)[]): string {
  const hmac = createHmac('sha256', secret)
  for (const part of parts) {
    const bytes = typeof part === 'string' ? Buffer.from(part) : part
    hmac.update(`${bytes.length}:`).update(bytes)
  }
  return hmac.digest('base64url')
}
