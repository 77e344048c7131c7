import type { Product, ProductCatalog } from '../../products/product.ts'
import { licenseTail } from '../subscription.ts'
import type { RowProblem } from './source-row.ts'
import type { Subscriber, SubscriberContact, SubscriberIdentity } from './subscriber.ts'

/** A subscriber that can be imported: its product is ours, and AWS could be told of its usage. */
export interface Candidate {
  readonly product: Product
  readonly subscriber: Subscriber
  /** Usage that the old system noted earlier than all else: the buyer had access by then. */
  readonly usedAt: number | undefined
}

/** One whose license or customer identifier the source does not know. */
export interface Incomplete {
  readonly product: Product
  readonly subscriber: Subscriber
  /** What to do. */
  readonly reason: string
}

export interface Gathered {
  readonly candidates: readonly Candidate[]
  readonly incomplete: readonly Incomplete[]
  readonly problems: readonly RowProblem[]
}

/** Names of a buyer that no two buyers share, for looking up; licenses by their tail. */
export function identityKeys(identity: Partial<SubscriberIdentity>): readonly string[] {
  const { licenseArn, customerIdentifier, customerAwsAccountId } = identity
  return [
    ...(licenseArn === undefined ? [] : [`license:${licenseTail(licenseArn)}`]),
    ...(customerIdentifier === undefined ? [] : [`customer:${customerIdentifier}`]),
    ...(customerAwsAccountId === undefined ? [] : [`account:${customerAwsAccountId}`]),
  ]
}

/**
 * Finds each subscriber's product, and merges rows that speak of one agreement. Nothing is guessed: what is of no
 * product of ours, or contradicts itself, is a problem.
 *
 * @param options.product - rows that name no product are of this one, and no others are taken
 * @param options.usedAt - earliest usage in the old system's metering table, ms, by `identityKeys`
 */
export function gatherCandidates(
  subscribers: readonly Subscriber[],
  options: {
    readonly catalog: ProductCatalog
    readonly product?: Product | undefined
    readonly usedAt?: ReadonlyMap<string, number>
  },
): Gathered {
  const problems: RowProblem[] = []
  const incomplete: Incomplete[] = []
  const groups = new Map<string, { product: Product; subscribers: Subscriber[] }>()
  for (const subscriber of subscribers) {
    const product = productOf(subscriber, options)
    if ('reason' in product) {
      problems.push(product)
      continue
    }
    const key = agreementKey(product, subscriber.identity)
    if (key === undefined) {
      incomplete.push({ product, subscriber, reason: whatIsMissing(product, subscriber.identity) })
      continue
    }
    const group = groups.get(key) ?? { product, subscribers: [] }
    group.subscribers.push(subscriber)
    groups.set(key, group)
  }
  const candidates: Candidate[] = []
  for (const { product, subscribers: rows } of groups.values()) {
    const merged = mergeSubscribers(rows)
    if ('reason' in merged) problems.push(merged)
    else
      candidates.push({
        product,
        subscriber: ownIdentity(merged, product),
        usedAt: usedAtOf(merged, options.usedAt),
      })
  }
  return { candidates, incomplete, problems }
}

function productOf(
  { product: named, where }: Subscriber,
  { catalog, product: asked }: { readonly catalog: ProductCatalog; readonly product?: Product | undefined },
): Product | RowProblem {
  if (named === undefined) {
    const [only, ...others] = catalog.list()
    const product = asked ?? (others.length === 0 ? only : undefined)
    return product ?? { where, reason: 'names no product, and there are several: say which with --product' }
  }
  const found = catalog.find(named)
  if (found === undefined)
    return {
      where,
      reason: `is of product ${JSON.stringify(named.slice(0, 60))}, which this configuration does not have`,
    }
  if (asked !== undefined && found.id !== asked.id)
    return { where, reason: `is of product ${found.id}, not of ${asked.id}` }
  return found
}

/** What tells one agreement from another, where it is known: then two rows of one key are one subscription. */
function agreementKey(product: Product, identity: SubscriberIdentity): string | undefined {
  const { licenseArn, customerAwsAccountId, customerIdentifier } = identity
  if (product.metering === 'legacy')
    return customerIdentifier === undefined ? undefined : JSON.stringify([product.id, customerIdentifier])
  return licenseArn === undefined || customerAwsAccountId === undefined
    ? undefined
    : JSON.stringify([product.id, licenseTail(licenseArn)])
}

function whatIsMissing(product: Product, { licenseArn, customerIdentifier }: SubscriberIdentity): string {
  if (product.metering === 'legacy')
    return `names no customer identifier, by which product ${product.id} is metered; if AWS moved it to licenses, set \`metering: license\``
  if (licenseArn === undefined)
    return customerIdentifier === undefined
      ? 'knows its AWS account but no license: ask AWS with --ask-aws, or import `agreements` first'
      : `knows a legacy customer but no license, by which product ${product.id} is metered: ask AWS with --ask-aws, or set \`metering: legacy\``
  return 'knows its license but no AWS account: ask AWS with --ask-aws, or import `agreements` first'
}

/** A legacy subscription is found by its customer alone: a license beside it would make it another kind. */
function ownIdentity(subscriber: Subscriber, product: Product): Subscriber {
  if (product.metering === 'license') return subscriber
  return { ...subscriber, identity: { ...subscriber.identity, licenseArn: undefined } }
}

function usedAtOf(
  { identity }: Subscriber,
  usedAt: ReadonlyMap<string, number> | undefined,
): number | undefined {
  const times = identityKeys(identity).flatMap((key) => usedAt?.get(key) ?? [])
  return times.length === 0 ? undefined : Math.min(...times)
}

/** Several rows of one agreement are one; where they contradict each other, a person has to look. */
export function mergeSubscribers(rows: readonly Subscriber[]): Subscriber | RowProblem {
  const [first, ...others] = rows
  if (first === undefined) throw new RangeError('there is nothing to merge')
  if (others.length === 0) return first
  const where = rows.map((row) => row.where).join(', ')
  const accounts = different(rows.map(({ identity }) => identity.customerAwsAccountId))
  const customers = different(rows.map(({ identity }) => identity.customerIdentifier))
  const agreements = different(rows.map(({ identity }) => identity.agreementId))
  const tenants = different(rows.map(({ tenantId }) => tenantId))
  for (const [what, found] of [
    ['AWS accounts', accounts],
    ['customer identifiers', customers],
    ['agreements', agreements],
    ['tenants', tenants],
  ] as const)
    if (found.length > 1) return { where, reason: `are one subscription and name several ${what}` }
  const latest = latestOf(rows)
  if (latest === undefined)
    return { where, reason: 'are one subscription in different states, and nothing says which is the later' }
  return {
    ...latest,
    where,
    identity: {
      licenseArn: latest.identity.licenseArn,
      customerAwsAccountId: accounts[0],
      customerIdentifier: customers[0],
      agreementId: agreements[0],
    },
    registeredAt: earliest(rows.map(({ registeredAt }) => registeredAt)),
    startedAt: earliest(rows.map(({ startedAt }) => startedAt)),
    tenantId: tenants[0],
    plan: latest.plan ?? rows.find(({ plan }) => plan !== undefined)?.plan,
    contacts: contactsOf(rows),
    notes: [...new Set([...rows.flatMap(({ notes }) => notes), `${rows.length} rows of one subscription`])],
  }
}

/** Which row speaks for the state: any, where all say the same; else the one that was written last. */
function latestOf(rows: readonly Subscriber[]): Subscriber | undefined {
  if (new Set(rows.map(({ state }) => state)).size === 1) return rows[0]
  const dated = rows.map((row) => ({ row, at: row.updatedAt ?? row.endedAt ?? row.registeredAt }))
  if (dated.some(({ at }) => at === undefined)) return undefined
  const last = Math.max(...dated.map(({ at }) => at!))
  const latest = dated.filter(({ at }) => at === last)
  return latest.length === 1 ? latest[0]!.row : undefined
}

function contactsOf(rows: readonly Subscriber[]): readonly SubscriberContact[] {
  const byAddress = new Map<string, SubscriberContact>()
  for (const { contacts } of rows)
    for (const contact of contacts)
      if (!byAddress.has(contact.email.toLowerCase())) byAddress.set(contact.email.toLowerCase(), contact)
  return [...byAddress.values()]
}

function different<T>(values: readonly (T | undefined)[]): readonly T[] {
  return [...new Set(values.filter((value) => value !== undefined))]
}

function earliest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}
