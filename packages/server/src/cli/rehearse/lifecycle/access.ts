import { setTimeout as pause } from 'node:timers/promises'
import { type Buyer, type Reference, referenceOf } from './buyer.ts'
import { Finding, shown } from './finding.ts'
import type { Answer } from './seller-api.ts'
import type { World } from './world.ts'

/** What `GET /entitlements/check` says. */
export interface AccessView {
  readonly allowed: boolean
  readonly reason?: string
  readonly status?: string
  readonly plan?: string
  readonly subscription?: string
  readonly features?: Readonly<Record<string, boolean | number | string>>
  readonly entitlements?: readonly { readonly dimension: string; readonly value: unknown }[]
  readonly readAt?: string
  readonly ageSeconds?: number
  readonly stale?: boolean
}

/** Real time that the server may take for what it does beside a request, such as to ask AWS what a contract grants. */
const BESIDE_MS_MAX = 3_000

/** May this buyer use the product? As a gateway asks at each login. */
export function askAccess(
  { api, product }: World,
  by: Reference,
  question: { readonly feature?: string; readonly dimension?: string } = {},
): Promise<Answer> {
  const query = new URLSearchParams({ product: product.id, ...by, ...question })
  return api.call(`/entitlements/check?${query}`)
}

/** As above, of a buyer who is known. @throws {Finding} */
export async function accessOf(
  world: World,
  buyer: Buyer,
  by: Reference = referenceOf(buyer),
): Promise<AccessView> {
  const { status, body } = await askAccess(world, by)
  if (status === 200) return body as AccessView
  throw new Finding({
    expected: `an answer for ${shown(by)}`,
    seen: `${status} ${shown(body)}`,
    look: 'GET /entitlements/check',
  })
}

/** @throws {Finding} unless they may */
export function expectAccess(world: World, buyer: Buyer, when: string, by?: Reference): Promise<AccessView> {
  return expectVerdict(world, buyer, { when, by, wanted: 'access', holds: ({ allowed }) => allowed })
}

/** @param reason - why not, one of these. @throws {Finding} unless they may not */
export function expectNoAccess(
  world: World,
  buyer: Buyer,
  when: string,
  reasons: readonly string[],
  by?: Reference,
): Promise<AccessView> {
  return expectVerdict(world, buyer, {
    when,
    by,
    wanted: `no access (${reasons.join(' or ')})`,
    holds: ({ allowed, reason = '' }) => !allowed && reasons.includes(reason),
  })
}

async function expectVerdict(
  world: World,
  buyer: Buyer,
  {
    when,
    by,
    wanted,
    holds,
  }: {
    readonly when: string
    readonly by: Reference | undefined
    readonly wanted: string
    readonly holds: (access: AccessView) => boolean
  },
): Promise<AccessView> {
  const access = await eventually(() => accessOf(world, buyer, by), holds)
  if (holds(access)) return access
  throw new Finding({
    expected: `${wanted} ${when}`,
    seen: access.allowed ? 'access is given' : `no access: ${access.reason} (${access.status})`,
    look: 'GET /entitlements/check, and GET /marketplace/subscriptions/{id} says why',
  })
}

/** Asks again until it holds, or until the server had time enough. @returns the last answer */
export async function eventually<T>(ask: () => Promise<T>, holds: (answer: T) => boolean): Promise<T> {
  const until = performance.now() + BESIDE_MS_MAX
  for (;;) {
    const answer = await ask()
    if (holds(answer) || performance.now() > until) return answer
    await pause(2)
  }
}
