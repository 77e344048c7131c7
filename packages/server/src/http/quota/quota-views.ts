import { keepOn } from '../../domain/kept-on.ts'
import type { Holder, LimitState, QuotaAnswer } from '../../domain/quotas/quota-answer.ts'
import type { QuotaSummary } from '../../domain/quotas/summary.ts'
import { upgradeOf } from '../../domain/quotas/upgrade.ts'
import { baseText } from '../../domain/quotas/validate-quota.ts'
import { visitorIdOf } from '../../domain/visitors/visitor-holder.ts'
import { EXPLANATIONS } from './explanations.ts'
import { secondsUntil } from './rate-limit-headers.ts'

/** Part of what was used that a person is told of before it is all: an upgrade is offered from here on. */
const OFFER_FROM = 0.8

export function answerView(answer: QuotaAnswer, summary: QuotaSummary, now: number) {
  const { reason, holder, key, limits, scale } = answer
  const { remaining, resetAt, retryAt } = summary
  return {
    allowed: answer.allowed,
    reason,
    message: reason && EXPLANATIONS[reason],
    dimension: answer.dimension,
    quantity: units(answer.quantity, scale),
    limits: limits.map((limit) => limitView(limit, scale)),
    remaining: limits.length === 0 ? undefined : allowance(remaining, scale),
    resetAt: timeText(resetAt),
    retryAfterSeconds: retryAt === undefined ? undefined : secondsUntil(retryAt, now),
    repeated: answer.isRepeat || undefined,
    recordId: answer.recordId,
    ...(holder && holderView(holder)),
    user: key?.user,
    keyId: key?.id,
    upgrade: holder && offersUpgrade(answer) ? upgradeView(holder) : undefined,
    challenge: answer.challenge?.challenge,
    challengeProblem: answer.challenge?.problem,
  }
}

/** A holder is the same object for as long as nothing changes. */
const VIEW = Symbol('view')

export function holderView(holder: Holder & { readonly [VIEW]?: HolderView }): HolderView {
  return holder[VIEW] ?? keepOn(holder, VIEW, viewOf(holder))
}

type HolderView = ReturnType<typeof viewOf>

function viewOf(holder: Holder) {
  const { product, plan, subscription, trialEndsAt } = holder
  return {
    plan: plan?.id,
    product: product.id,
    subscription: subscription?.id,
    buyer: subscription?.buyer,
    tenant: subscription?.tenantId,
    visitor: visitorIdOf(holder),
    channel: subscription?.channel,
    features: plan?.features,
    trialEndsAt: timeText(trialEndsAt),
  }
}

export function limitView({ window, max, used, remaining, resetAt, onExceed }: LimitState, scale: number) {
  return {
    window,
    limit: allowance(max, scale),
    used: units(used, scale),
    remaining: allowance(remaining, scale),
    resetAt: timeText(resetAt),
    onExceed,
  }
}

export function upgradeView(holder: Holder) {
  const upgrade = upgradeOf(holder)
  if (upgrade === undefined) return undefined
  const { plan, url } = upgrade
  return {
    plan: plan?.id,
    title: plan?.title,
    url,
    message: plan === undefined ? 'Get more with another plan.' : `Get more with ${plan.title}.`,
  }
}

/** A base quantity in the dimension's own unit; of at most 15 digits, so that a number says it exactly. */
export function units(base: number, scale: number): number {
  return scale === 0 ? base : Number(baseText(base, scale))
}

function allowance(base: number | undefined, scale: number): number | 'unlimited' {
  return base === undefined ? 'unlimited' : units(base, scale)
}

function offersUpgrade({ reason, limits }: QuotaAnswer): boolean {
  if (reason === 'quota_exceeded' || reason === 'trial_ended' || reason === 'not_entitled') return true
  return reason === undefined && limits.some(({ max, used }) => max !== undefined && used >= max * OFFER_FROM)
}

/** Few windows are open at a time. */
const times = new Map<number, string>()
const TIMES_MAX = 1_000

export function timeText(ms: number): string
export function timeText(ms: number | undefined): string | undefined
export function timeText(ms: number | undefined): string | undefined {
  if (ms === undefined) return undefined
  let text = times.get(ms)
  if (text === undefined) {
    if (times.size >= TIMES_MAX) times.clear()
    text = new Date(ms).toISOString()
    times.set(ms, text)
  }
  return text
}
