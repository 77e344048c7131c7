import { DomainError } from '../error.ts'
import { keepOn } from '../kept-on.ts'
import type { Product, ProductCatalog } from '../products/product.ts'
import { type Prompt, whenKnown } from '../prompt.ts'
import { paysThroughAws } from '../subscriptions/payment-way.ts'
import {
  isLive,
  licenseTail,
  type Subscription,
  type SubscriptionReference,
} from '../subscriptions/subscription.ts'
import type { SubscriptionStore } from '../subscriptions/subscription-store.ts'
import {
  type AccessQuestion,
  type AccessRefusal,
  type AccessSubject,
  planOf,
  refusalOf,
} from './decide-access.ts'
import type { EntitlementReading } from './entitlement.ts'
import type { EntitlementStore } from './entitlement-store.ts'
import type { Epochs } from './recent-epochs.ts'

/** Renewals followed from one agreement to the next: a chain is one agreement a year. */
const SUCCESSORS_MAX = 100
/** Look-ups that are kept. */
const KNOWN_MAX = 50_000
const CANDIDATES_MAX = 20

export interface FoundSubject extends AccessSubject {
  /** Its buyer is shown no other way to pay, whatever its own channel is: see `paysThroughAws`. */
  readonly paysThroughAws: boolean
}

/** One subscription's verdict. */
export interface Access {
  /** The same object for as long as nothing changes. */
  readonly subject: FoundSubject
  readonly refusal: AccessRefusal | undefined
}

export interface AccessAnswer {
  /** What is answered with: the one that allows it, else the one that is closest to. */
  readonly access: Access
  /** Where the buyer has several: all of them, the one above among them. */
  readonly all: readonly Access[]
}

/**
 * May this buyer use the product, or this part of it? Answers from what is on disk and in memory, whatever AWS does.
 *
 * @param question.product - our id; undefined for any
 * @throws {DomainError} `buyer.not_found`; `subscription.ambiguous` where several live ones fit that are not one
 *   buyer's, or that were not asked for by their buyer, and they do not agree
 */
export type CheckAccess = (
  question: AccessQuestion & {
    readonly reference: SubscriptionReference
    readonly product?: string | undefined
  },
) => Prompt<AccessAnswer>

interface AccessDeps {
  readonly subscriptions: Pick<SubscriptionStore, 'findMatching' | 'get'>
  readonly entitlements: Pick<EntitlementStore, 'findServing'> & { readonly epochs: () => Prompt<Epochs> }
  readonly catalog: ProductCatalog
}

export function createCheckAccess(deps: AccessDeps): CheckAccess {
  const memory = createMemory(deps)
  return (question) =>
    whenKnown(memory.find(question.product, question.reference), (subjects) => answerOf(subjects, question))
}

function answerOf(
  subjects: readonly FoundSubject[],
  { reference, ...question }: AccessQuestion & { readonly reference: SubscriptionReference },
): AccessAnswer {
  if (subjects.length === 0) throw new DomainError('buyer.not_found', 'no such buyer here')
  const all = subjects.map((subject): Access => ({ subject, refusal: refusalOf(subject, question) }))
  if (all.length > 1 && !isOneAnswer(all, reference)) throw ambiguous(all)
  return { access: best(all), all }
}

/** Several are answered as one where they are asked for as one buyer, or where they agree. */
function isOneAnswer(all: readonly Access[], reference: SubscriptionReference): boolean {
  const [first] = all as [Access]
  const { buyer, product } = first.subject.subscription
  const isOneBuyer = all.every(({ subject }) => subject.subscription.buyer === buyer)
  const isByBuyer =
    reference.buyerId !== undefined ||
    reference.customerAwsAccountId !== undefined ||
    reference.customerIdentifier !== undefined
  if (isByBuyer && isOneBuyer) return true
  return all.every(
    ({ subject, refusal }) => subject.subscription.product === product && refusal === first.refusal,
  )
}

function ambiguous(all: readonly Access[]): DomainError {
  return new DomainError(
    'subscription.ambiguous',
    `fits ${all.length} live subscriptions that do not agree; name one by its subscription id or license, or say which product`,
    {
      details: {
        candidates: all.slice(0, CANDIDATES_MAX).map(({ subject: { subscription } }) => ({
          subscriptionId: subscription.id,
          ...(subscription.licenseArn !== undefined && { license: licenseTail(subscription.licenseArn) }),
        })),
      },
    },
  )
}

/** What a refusal lacks, least first. */
const NEAREST: readonly (AccessRefusal | undefined)[] = [
  undefined,
  'not_entitled',
  'suspended',
  'pending',
  'cancelling',
  'ended',
]

/** The one that allows it, and of several the one on the highest plan: the last of the list. */
function best(all: readonly Access[]): Access {
  if (all.length === 1) return all[0]!
  const rank = ({ subject }: Access) => {
    const plan = planOf(subject)
    return plan === undefined ? -1 : subject.product!.plans.indexOf(plan)
  }
  return [...all].sort(
    (a, b) => NEAREST.indexOf(a.refusal) - NEAREST.indexOf(b.refusal) || rank(b) - rank(a),
  )[0]!
}

interface Found {
  /** All that was known then: as soon as anything changes, it is another map. */
  readonly among: ReadonlyMap<string, readonly FoundSubject[]>
  /** The one that was asked for. */
  readonly product: string | undefined
  readonly subjects: readonly FoundSubject[]
}

/** Who is meant, and what AWS granted them, kept until any subscription changes or AWS says something new. */
function createMemory(deps: AccessDeps) {
  let known = { subscriptions: -1, readings: -1 }
  /** Another list as soon as any product or plan is another. */
  let products: readonly Product[] | undefined
  let subjects = new Map<string, readonly FoundSubject[]>()
  /** On the very object that asks, where that is kept from one question to the next: no name has to be made of it. */
  const FOUND = Symbol('found by it')

  function keepWhatIsOf(epochs: Epochs): void {
    const sold = deps.catalog.list()
    if (
      epochs.subscriptions === known.subscriptions &&
      epochs.readings === known.readings &&
      sold === products
    )
      return
    known = epochs
    products = sold
    subjects = new Map()
  }

  async function read(
    name: string,
    product: string | undefined,
    reference: SubscriptionReference,
  ): Promise<readonly FoundSubject[]> {
    // Read later than the epochs it is kept under: it is newer than they say, and read again when they move.
    const kept = subjects
    const fresh = await findSubjects(deps, product, reference)
    if (kept.size >= KNOWN_MAX) kept.clear()
    kept.set(name, fresh)
    return fresh
  }

  return {
    find: (
      product: string | undefined,
      reference: SubscriptionReference & { readonly [FOUND]?: Found },
    ): Prompt<readonly FoundSubject[]> =>
      whenKnown(deps.entitlements.epochs(), (epochs) => {
        keepWhatIsOf(epochs)
        const asked = reference[FOUND]
        if (asked?.among === subjects && asked.product === product) return asked.subjects
        const name = nameOf(product, reference)
        const found = subjects.get(name)
        if (found === undefined) return read(name, product, reference)
        keepOn(reference, FOUND, { among: subjects, product, subjects: found })
        return found
      }),
  }
}

/** Lengths keep apart what no text may join. */
function nameOf(product: string | undefined, reference: SubscriptionReference): string {
  let name = `${product?.length}:${product}`
  for (const [field, value] of Object.entries(reference)) {
    if (value !== undefined) name += `${field}${value.length}:${value}`
  }
  return name
}

async function findSubjects(
  deps: Parameters<typeof createMemory>[0],
  product: string | undefined,
  reference: SubscriptionReference,
): Promise<readonly FoundSubject[]> {
  const matches = await deps.subscriptions.findMatching(product, reference)
  const subjects: FoundSubject[] = []
  /** By buyer: what was asked for by another name may be one of several. */
  const boundToAws = new Map<string, boolean>()
  const isBoundToAws = async ({ channel, buyer, product: sold }: Subscription): Promise<boolean> => {
    if (channel === 'aws') return true
    let isBound = boundToAws.get(buyer)
    if (isBound === undefined) {
      isBound = paysThroughAws(await deps.subscriptions.findMatching(sold, { buyerId: buyer }))
      boundToAws.set(buyer, isBound)
    }
    return isBound
  }
  for (const subscription of await current(deps.subscriptions, matches)) {
    const sold = deps.catalog.find(subscription.product)
    subjects.push({
      subscription,
      product: sold,
      reading: await readingOf(deps, subscription, sold?.pricing),
      paysThroughAws: await isBoundToAws(subscription),
    })
  }
  return subjects
}

async function readingOf(
  { entitlements }: Pick<Parameters<typeof createMemory>[0], 'entitlements'>,
  { id, channel }: Subscription,
  pricing: string | undefined,
): Promise<EntitlementReading | undefined> {
  return pricing === 'usage' || channel !== 'aws' ? undefined : entitlements.findServing(id)
}

/** Those that count now: live ones and those that go on under a successor; where there is none, the latest to end. */
async function current(
  store: Pick<SubscriptionStore, 'get'>,
  matches: readonly Subscription[],
): Promise<readonly Subscription[]> {
  const found = new Map<string, Subscription>()
  /** They wait to take over from one that is among them. */
  const waiting = new Set<string>()
  for (const match of matches) {
    const { subscription, next } = await follow(store, match)
    found.set(subscription.id, subscription)
    if (next !== undefined) waiting.add(next)
  }
  const going = [...found.values()].filter(
    (subscription) =>
      (isLive(subscription) || subscription.status === 'superseded') && !waiting.has(subscription.id),
  )
  // Registered and not granted yet says nothing while another one is granted.
  const granted = going.filter(({ status }) => status !== 'pending')
  if (going.length > 0) return granted.length > 0 ? granted : going
  const ended = [...found.values()]
  const last = ended.find(({ status }) => status === 'cancelling') ?? ended[0]
  return last === undefined ? [] : [last]
}

/** Follows renewals to the one that goes on; a successor that AWS has not granted yet waits its turn. */
async function follow(
  store: Pick<SubscriptionStore, 'get'>,
  match: Subscription,
): Promise<{ readonly subscription: Subscription; readonly next: string | undefined }> {
  let subscription = match
  for (let step = 0; step < SUCCESSORS_MAX; step++) {
    const { successor } = subscription
    if (isLive(subscription) || successor === undefined) break
    const heir = await store.get(successor)
    if (heir.status === 'pending') return { subscription, next: successor }
    subscription = heir
  }
  return { subscription, next: undefined }
}

/** How old an answer of AWS is, and whether that is too old to be relied on. */
export function ageOf(
  reading: EntitlementReading | undefined,
  now: number,
  refreshMs: number,
): { readonly ageSeconds: number | undefined; readonly isStale: boolean } {
  if (reading?.readAt === undefined) return { ageSeconds: undefined, isStale: reading !== undefined }
  const age = Math.max(0, now - reading.readAt)
  return {
    ageSeconds: Math.floor(age / 1000),
    isStale: reading.failedAt !== undefined || age > 2 * refreshMs,
  }
}
