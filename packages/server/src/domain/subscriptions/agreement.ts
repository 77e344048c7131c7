import type { MarketplaceEvent } from './marketplace-event.ts'
import { licenseTail } from './subscription.ts'

/** A time at which AWS said something about access. */
export interface Mark {
  readonly at: number
  readonly what: 'granted' | 'refused' | 'withdrawn' | 'closed' | 'ended'
  /** The license that it is about, its `l-…` tail: an amendment may give an agreement another. */
  readonly license?: string | undefined
  /** We concluded it from the Agreement API, which says that an agreement stands, not that it was paid. */
  readonly inferred?: true | undefined
}

/**
 * All that AWS has said about one agreement. Its facts are a set: in whatever order notifications come, and however
 * often, the same ones make the same agreement.
 *
 * Of a legacy product AWS names no agreement: what one customer has with one product is taken for one, and may be
 * granted and withdrawn again and again.
 */
export interface Agreement {
  /** `agmt-…`, or for a legacy product `legacyKey()`. */
  readonly key: string
  /** Our product id, once AWS named the product and configuration knows it. */
  readonly product: string | undefined
  readonly productCode: string | undefined
  readonly agreementId: string | undefined
  readonly licenseArn: string | undefined
  readonly customerAwsAccountId: string | undefined
  readonly customerIdentifier: string | undefined
  readonly previousAgreementId: string | undefined
  /** `NEW`, `RENEW`, `AMEND` or `REPLACE`, as AWS wrote it when it was created. */
  readonly intent: string | undefined
  readonly startsAt: number | undefined
  readonly endsAt: number | undefined
  readonly acceptedAt: number | undefined
  readonly offerId: string | undefined
  readonly throughPartner: boolean | undefined
  readonly freeTrial: boolean | undefined
  /** AWS's status of an ended agreement: `CANCELLED`, `EXPIRED`, `RENEWED`, `REPLACED`, … */
  readonly endStatus: string | undefined
  /** In order of AWS's time; each once. */
  readonly marks: readonly Mark[]
  /** The event whose word on its terms is the latest, ms: an older one changes them no more. */
  readonly termsAt: number
  /** The same of its license. */
  readonly licenseAt: number
}

/** The latest stretch of access: from when, and until when if it is over. */
export interface Spell {
  /** Undefined: it was never granted (refused, or ended before), or AWS's word of it has not come. */
  readonly from: number | undefined
  /** The first word of its end. */
  readonly to: number | undefined
  /** The last word of its end: AWS takes final usage for an hour from then. */
  readonly lastWordAt: number | undefined
  /** It was over before it began: payment failed, or it was ended unlicensed. */
  readonly refused: boolean
}

/** `unsubscribe-success` follows `unsubscribe-pending` after an hour. */
const CLOSED_AFTER_MS = 2 * 3_600_000

/** More than an agreement ever has; a customer who comes and goes for years keeps the latest. */
const MARKS_MAX = 200

export function legacyKey(productCode: string, customerIdentifier: string): string {
  return `legacy:${productCode}:${customerIdentifier}`
}

export function newAgreement(key: string): Agreement {
  return {
    key,
    product: undefined,
    productCode: undefined,
    agreementId: undefined,
    licenseArn: undefined,
    customerAwsAccountId: undefined,
    customerIdentifier: undefined,
    previousAgreementId: undefined,
    intent: undefined,
    startsAt: undefined,
    endsAt: undefined,
    acceptedAt: undefined,
    offerId: undefined,
    throughPartner: undefined,
    freeTrial: undefined,
    endStatus: undefined,
    marks: [],
    termsAt: Number.NEGATIVE_INFINITY,
    licenseAt: Number.NEGATIVE_INFINITY,
  }
}

/** Which agreement an event is about; undefined where it is about none. */
export function agreementKeyOf(event: MarketplaceEvent): string | undefined {
  if (event.kind === 'notice' || event.kind === 'unknown') return undefined
  if (event.agreementId !== undefined) return event.agreementId
  return event.productCode === undefined || event.customerIdentifier === undefined
    ? undefined
    : legacyKey(event.productCode, event.customerIdentifier)
}

const MARK_OF = {
  access_granted: 'granted',
  access_refused: 'refused',
  access_withdrawn: 'withdrawn',
  access_closed: 'closed',
  agreement_ended: 'ended',
} as const satisfies Partial<Record<MarketplaceEvent['kind'], Mark['what']>>

/**
 * What is known with one more event. The order of events does not matter, nor does a repetition.
 *
 * @param product - our id of the event's product, where it names one that is ours
 */
export function learn(before: Agreement, event: MarketplaceEvent, product: string | undefined): Agreement {
  const what = event.kind in MARK_OF ? MARK_OF[event.kind as keyof typeof MARK_OF] : undefined
  const isTerms =
    event.kind === 'agreement_created' || event.kind === 'agreement_amended' || event.freeTrial !== undefined
  const newer = isTerms && event.occurredAt >= before.termsAt
  const newLicense =
    what === 'granted' && event.licenseArn !== undefined && event.occurredAt >= before.licenseAt
  return {
    ...before,
    product: before.product ?? product,
    productCode: before.productCode ?? event.productCode,
    agreementId: before.agreementId ?? event.agreementId,
    licenseArn: newLicense ? event.licenseArn : (before.licenseArn ?? event.licenseArn),
    customerAwsAccountId: before.customerAwsAccountId ?? event.customerAwsAccountId,
    customerIdentifier: before.customerIdentifier ?? event.customerIdentifier,
    previousAgreementId: before.previousAgreementId ?? event.previousAgreementId,
    // An amendment says AMEND of an agreement that was made as something else.
    intent: event.kind === 'agreement_created' ? (event.intent ?? before.intent) : before.intent,
    startsAt: newer ? (event.startsAt ?? before.startsAt) : (before.startsAt ?? event.startsAt),
    endsAt: newer ? event.endsAt : before.endsAt,
    acceptedAt: earlier(before.acceptedAt, event.acceptedAt),
    offerId: newer ? (event.offerId ?? before.offerId) : (before.offerId ?? event.offerId),
    throughPartner: before.throughPartner ?? event.throughPartner,
    freeTrial: newer ? (event.freeTrial ?? before.freeTrial) : (before.freeTrial ?? event.freeTrial),
    endStatus:
      event.kind === 'agreement_ended' ? (before.endStatus ?? event.agreementStatus) : before.endStatus,
    marks: what === undefined ? before.marks : withMark(before.marks, toMark(event, what)),
    termsAt: newer ? event.occurredAt : before.termsAt,
    licenseAt: newLicense ? event.occurredAt : before.licenseAt,
  }
}

function earlier(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b)
}

function toMark({ occurredAt: at, licenseArn, channel }: MarketplaceEvent, what: Mark['what']): Mark {
  return {
    at,
    what,
    ...(licenseArn !== undefined && { license: licenseTail(licenseArn) }),
    ...(channel === 'agreements' && { inferred: true }),
  }
}

function withMark(marks: readonly Mark[], mark: Mark): readonly Mark[] {
  if (marks.some((known) => inOrder(known, mark) === 0)) return marks
  return [...marks, mark].sort(inOrder).slice(-MARKS_MAX)
}

/** Zero for the same mark. */
function inOrder(a: Mark, b: Mark): number {
  return (
    a.at - b.at ||
    rank(a) - rank(b) ||
    compare(a.license ?? '', b.license ?? '') ||
    Number(a.inferred ?? false) - Number(b.inferred ?? false)
  )
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

/** Of the same time, what ends comes last: in doubt nobody is let in for good. */
function rank({ what }: Mark): number {
  return ['granted', 'refused', 'withdrawn', 'ended', 'closed'].indexOf(what)
}

/**
 * The latest stretch of access that the marks tell of; undefined where AWS has said nothing about access yet.
 *
 * An ended agreement never comes back. A license or a legacy customer that was only withdrawn may be granted anew.
 */
export function latestSpell({ marks }: Agreement): Spell | undefined {
  const current = marks.findLast(({ what }) => what === 'granted')?.license
  let spell: Spell | undefined
  let over = false
  let wasTold = false
  let withdrawnAt: number | undefined
  for (const { at, what, license, inferred } of marks) {
    // The license that an amendment took the place of goes; the agreement stays.
    const isFormer = license !== undefined && current !== undefined && license !== current
    if (what === 'withdrawn' && isFormer) continue
    // It closes what was withdrawn before the customer came back.
    const isOfBefore = withdrawnAt !== undefined && at - withdrawnAt <= CLOSED_AFTER_MS
    if (what === 'closed' && spell?.to === undefined && isOfBefore) continue
    if (what === 'withdrawn') withdrawnAt = at
    if (what === 'granted') {
      if (over) continue
      const isOpen = spell?.from !== undefined && spell.to === undefined
      wasTold = (isOpen && wasTold) || inferred !== true
      if (!isOpen) spell = { from: at, to: undefined, lastWordAt: undefined, refused: false }
      continue
    }
    if (what === 'refused') {
      // It may be about another purchase of a customer whom AWS let in; not of one whom only we did.
      if (spell?.from === undefined || spell.to !== undefined || !wasTold)
        spell = { from: undefined, to: at, lastWordAt: at, refused: true }
      continue
    }
    if (what === 'ended') over = true
    // What AWS takes back it had given: then only its word of the beginning has not come.
    const refused = what === 'ended' && (spell === undefined || spell.refused)
    if (spell === undefined) spell = { from: undefined, to: at, lastWordAt: at, refused }
    else if (spell.to === undefined) spell = { ...spell, to: at, lastWordAt: at }
    // `closed` says that AWS's hour is over; it does not begin another.
    else if (what !== 'closed')
      spell = { ...spell, refused, lastWordAt: Math.max(spell.lastWordAt ?? at, at) }
  }
  return spell
}

/** Did the agreement give way to another one? */
export function wasReplaced({ endStatus }: Agreement): boolean {
  return endStatus === 'RENEWED' || endStatus === 'REPLACED' || endStatus === 'SUPERSEDED'
}

/** Was it made in the place of another one? */
export function replacesAnother({ intent, previousAgreementId }: Agreement): boolean {
  return intent === 'RENEW' || intent === 'REPLACE' || previousAgreementId !== undefined
}

/** When AWS granted it last; undefined where it never did. */
export function lastGrantedAt({ marks }: Agreement): number | undefined {
  return marks.findLast(({ what }) => what === 'granted')?.at
}
