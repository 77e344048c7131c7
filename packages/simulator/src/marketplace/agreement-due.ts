import { renewedTerms, succeed } from './agreement-acceptance.ts'
import { endedBy, outcomeByItself } from './agreement-cancellation.ts'
import type { MarketplaceContext } from './state.ts'

/**
 * Brings the book up to the clock. Nothing runs by itself here; so whoever looks first after a term's end or a
 * request's seventh day finds the new agreement, or the ended one, as it had come about at that instant.
 */
export function settleDue(context: MarketplaceContext): void {
  const now = context.clock.now()
  for (;;) {
    const next = nextDue(context)
    if (next === undefined || next.at > now) return
    next.settle()
  }
}

interface Due {
  readonly at: number
  settle(): void
}

/** The earliest, since one can settle another: a request is void once its agreement was renewed. */
function nextDue(context: MarketplaceContext): Due | undefined {
  let next: Due | undefined
  for (const due of [...dueRenewals(context), ...dueApprovals(context)]) {
    if (next === undefined || due.at < next.at) next = due
  }
  return next
}

function dueRenewals(context: MarketplaceContext): Due[] {
  const { state, commit } = context
  return [...state.renewing].flatMap((id) => {
    const record = state.subscriptions.find(id)
    const product = record && state.products.get(record.productCode)
    if (record?.end === undefined || product === undefined) return []
    const at = record.end.endedAt
    const { accountId, buyerName } = record
    const settle = () => {
      const acceptance = {
        product,
        buyer: { accountId, buyerName },
        at,
        terms: renewedTerms(product, record, at),
      }
      const { previous, successor } = succeed(
        context,
        record,
        { intent: 'RENEW', isAutomatic: true },
        acceptance,
      )
      commit({ kind: 'subscriptions', subscriptions: [previous, successor] })
    }
    return [{ at, settle }]
  })
}

function dueApprovals(context: MarketplaceContext): Due[] {
  const { state, commit } = context
  return [...state.openRequests].flatMap((id) => {
    const request = state.cancellationRequests.get(id)
    const record = state.subscriptions.find(request?.subscriptionId ?? '')
    if (request === undefined || record === undefined) return []
    const { status, at } = outcomeByItself(context, request)
    const settle = () =>
      commit({
        kind: 'cancellationRequest',
        request,
        isSettled: true,
        ...(status === 'APPROVED' && { subscriptions: endedBy(context, record, id, at) }),
      })
    return [{ at, settle }]
  })
}
