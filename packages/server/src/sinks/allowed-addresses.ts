import type { LookupAddress } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { type AddressPolicy, isAllowedAddress } from './address-policy.ts'
import { type LookUp, lookUp, unlessAborted } from './look-ups.ts'

export interface AddressRules {
  readonly policy: AddressPolicy
  /** All addresses of a name. */
  readonly resolve?: LookUp
}

/** An address that the policy forbids. */
export class Refused extends Error {}

/** @throws {Refused} and what a resolver throws */
export async function resolveAllowed(
  { hostname }: URL,
  { policy, resolve = lookUp }: AddressRules,
  signal: AbortSignal,
): Promise<readonly LookupAddress[]> {
  const host = hostname.replace(/^\[|\]$/g, '')
  const version = isIP(host)
  const addresses =
    version === 0 ? await unlessAborted(resolve(host, signal), signal) : [{ address: host, family: version }]
  if (addresses.length === 0) throw new Refused('its name has no address')
  // One bad address among good ones is how a name that changes begins.
  if (!addresses.every(({ address }) => isAllowedAddress(address, policy))) {
    throw new Refused(
      policy === 'loopback'
        ? 'its address is not on this machine, which simulated mode does not leave'
        : policy === 'private'
          ? 'its address is one that nobody may have'
          : 'its address is private or reserved: set `allowPrivate` if it is meant',
    )
  }
  return addresses
}

/** The addresses that were checked, and no second look. */
export function onlyThese(addresses: readonly LookupAddress[]): LookupFunction {
  return (_hostname, options, callback) => {
    if (options.all) return callback(null, [...addresses])
    const [first] = addresses
    callback(null, first!.address, first!.family)
  }
}

/** In our own words. */
export function resolveFailure(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return code === '' || code === '23'
    ? 'its name was not resolved in time'
    : `its name cannot be resolved (${code})`
}
