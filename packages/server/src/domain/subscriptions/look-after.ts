import type { ProductCatalog } from '../products/product.ts'
import type { UsageStore } from '../usage/usage-store.ts'
import type { BuyerCaseStore } from './buyer-case.ts'
import { decideGoodbyeOver } from './decide.ts'
import { follow } from './follow.ts'

/** How long after a registration AWS's word is late: captures show a minute. */
const OVERDUE_MS = 3_600_000
const SLICE = 200

/**
 * What time alone brings about: goodbyes that are over, registrations that AWS does not confirm. Safe to run in
 * several processes and to stop half-way.
 *
 * @returns how many goodbyes ended
 */
export async function lookAfterSubscriptions(
  deps: {
    readonly cases: BuyerCaseStore
    readonly usage: Pick<UsageStore, 'raise'>
    readonly catalog: ProductCatalog
  },
  now: number,
  signal?: AbortSignal,
): Promise<number> {
  let ended = 0
  for (const { id } of await deps.cases.listGoodbyesOver(now, SLICE)) {
    if (signal?.aborted) return ended
    await deps.cases.settleOf(id, (buyerCase) => decideGoodbyeOver(buyerCase, id, now), 'system', now)
    ended++
  }
  for (const { id, accessStart } of await deps.cases.listPending(now - OVERDUE_MS, SLICE)) {
    // A future-dated agreement waits for its day.
    if (signal?.aborted || accessStart > now - OVERDUE_MS) continue
    await deps.usage.raise({
      kind: 'access_overdue',
      subject: id,
      message:
        'registered, and AWS Marketplace has not said that access starts: see that its notifications reach us (`tollkeeper event list`), or let it start with `tollkeeper subscription activate`',
      at: now,
    })
  }
  for (const { id, createdAt } of await deps.cases.listUnlicensed(now, SLICE)) {
    if (signal?.aborted) return ended
    // What could not be told apart when it came may be clear by now.
    const after = await deps.cases.settleOf(
      id,
      (buyerCase) => follow(buyerCase, deps.catalog.find(buyerCase.product), now),
      'aws',
      now,
    )
    const waiting = after.subscriptions.find((subscription) => subscription.id === id)
    if (createdAt > now - OVERDUE_MS || waiting?.licenseArn !== undefined) continue
    await deps.usage.raise({
      kind: 'successor_unclear',
      subject: id,
      message: `AWS renewed or replaced the agreement before, and has not said which one took its place: access goes on and usage waits; see \`tollkeeper subscription show ${id}\``,
      at: now,
    })
  }
  return ended
}

/** Agreements that came while configuration did not know their product yet are its own by now. */
export async function adoptAgreements(cases: BuyerCaseStore, catalog: ProductCatalog): Promise<void> {
  for (const { productCode, id } of catalog.list()) await cases.adopt(productCode, id)
}
