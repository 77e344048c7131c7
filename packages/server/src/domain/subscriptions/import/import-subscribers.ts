import type { Product, ProductCatalog } from '../../products/product.ts'
import { hourOf, hourText } from '../../usage/hour.ts'
import type { IngestOutcome, UsageReport } from '../../usage/ingest-usage.ts'
import type { EventStatus } from '../../usage/usage-event.ts'
import type { AgreementService } from '../agreement-service.ts'
import type { BuyerStore } from '../buyer.ts'
import { type BuyerCaseStore, type CaseChanges, NO_CHANGES } from '../buyer-case.ts'
import { isLive, type Subscription } from '../subscription.ts'
import type { SubscriptionStore } from '../subscription-store.ts'
import { askAws } from './ask-aws.ts'
import { decideImport, type ImportResult } from './decide-import.ts'
import { type Candidate, gatherCandidates, type Incomplete, identityKeys } from './gather-candidates.ts'
import { isTaken, type MeteringReport, meteringReports, takenHours } from './metering-reports.ts'
import type { MeteringRow } from './read-metering-row.ts'
import type { RowProblem } from './source-row.ts'
import type { Subscriber, SubscriberContact } from './subscriber.ts'

/** One subscriber, as the report shows it: without personal data. */
export interface ImportedItem {
  readonly where: string
  readonly product: string
  readonly subscription: string
  readonly status: Subscription['status']
  readonly licenseArn: string | undefined
  readonly customerAwsAccountId: string | undefined
  readonly customerIdentifier: string | undefined
  readonly accessStart: string
  readonly accessEnd: string | undefined
  readonly tenantId: string | undefined
  readonly plan: string | undefined
  /** Such as `seats=25`, as the source had them: AWS is asked anew. */
  readonly entitlements: readonly string[]
  readonly notes: readonly string[]
}

/** Usage of the old system whose fate nobody knows: never sent again, a person looks. */
export interface UnknownFate {
  readonly where: string
  readonly customer: string
  readonly usedAt: string
  readonly usage: readonly string[]
  readonly reason: string
  /** What to look at. */
  readonly check: string
}

export interface MeteringImport {
  readonly rows: number
  /** Usage that was never sent, as events of its own time. */
  readonly pending: {
    readonly rows: number
    readonly events: number
    /** Of a dry run undefined: what was reported before is only known when it is reported again. */
    readonly outcomes: Readonly<Partial<Record<EventStatus, number>>> | undefined
    /** Usage whose own hour AWS has from the old system already: counted in a later one. */
    readonly moved: readonly RowProblem[]
  }
  /** Rows that AWS took: done. */
  readonly taken: number
  readonly unknown: readonly UnknownFate[]
  readonly problems: readonly RowProblem[]
}

export interface ImportReport {
  readonly dryRun: boolean
  /** Subscribers that the source has, unreadable ones too. */
  readonly rows: number
  readonly imported: readonly ImportedItem[]
  /** In the ledger already, and now with the tenant or plan that the source knows. */
  readonly completed: readonly ImportedItem[]
  /** In the ledger already, and left as they are. */
  readonly known: number
  /** In the ledger already, which thinks otherwise of them; left as they are. */
  readonly differs: readonly ImportedItem[]
  /** Contacts that the ledger did not have. */
  readonly contacts: number
  /** Rows that were set aside. */
  readonly problems: readonly RowProblem[]
  readonly metering: MeteringImport | undefined
}

export interface ImportDeps {
  readonly cases: Pick<BuyerCaseStore, 'settle'>
  readonly buyers: Pick<BuyerStore, 'listContacts' | 'putContact'>
  readonly subscriptions: Pick<SubscriptionStore, 'findMatching'>
  readonly catalog: ProductCatalog
  /** For rows that lack a license or account; undefined: they are set aside. */
  readonly agreements?: AgreementService | undefined
  readonly ingest: (reports: readonly UsageReport[]) => Promise<readonly IngestOutcome[]>
}

export interface ImportSource {
  readonly subscribers: readonly Subscriber[]
  readonly problems: readonly RowProblem[]
  readonly metering?:
    | { readonly rows: readonly MeteringRow[]; readonly problems: readonly RowProblem[] }
    | undefined
}

/** Events in one call. */
const BATCH = 1_000

/**
 * Brings the subscribers of another system in, and its usage that was never sent. Running it again changes nothing:
 * what is there is left as it is, and usage is known by its id.
 *
 * @param options.dryRun - decides all the same and writes nothing
 * @param options.acceptBackMs - how old usage may be
 */
export async function importSubscribers(
  deps: ImportDeps,
  source: ImportSource,
  options: {
    readonly product?: Product | undefined
    readonly dryRun: boolean
    readonly tell: boolean
    readonly acceptBackMs: number
    readonly actor: string
    /** Told after each buyer. */
    readonly onProgress?: (done: number, all: number) => void
  },
  now: number,
): Promise<ImportReport> {
  const usedAt = earliestUsage(source.metering?.rows ?? [])
  const gather = (subscribers: readonly Subscriber[]) =>
    gatherCandidates(subscribers, { catalog: deps.catalog, product: options.product, usedAt })
  const first = gather(source.subscribers)
  const completed = await completeAll(deps, first.incomplete, now)
  // Rows that AWS completed may be of agreements that other rows have whole.
  const { candidates, problems } =
    completed.subscribers.length === 0
      ? first
      : gather([...without(source.subscribers, first.incomplete), ...completed.subscribers])

  const results: ImportResult[] = []
  let contacts = 0
  const groups = byBuyer(candidates)
  for (const [index, group] of groups.entries()) {
    const settled = await settleBuyer(deps, group, options, now)
    results.push(...settled.results)
    contacts += settled.contacts
    options.onProgress?.(index + 1, groups.length)
  }
  for (const { subscription, subscriber } of completed.known)
    contacts += await addContacts(deps, subscription.buyer, subscriber, options, now)
  const ofKind = (outcome: ImportResult['outcome']) => results.filter((result) => result.outcome === outcome)
  return {
    dryRun: options.dryRun,
    rows: source.subscribers.length + source.problems.length,
    imported: ofKind('imported').map(toItem),
    completed: ofKind('completed').map(toItem),
    known: ofKind('known').length + completed.known.length,
    differs: ofKind('differs').map(toItem),
    contacts,
    problems: [...source.problems, ...problems, ...completed.problems],
    metering: source.metering && (await importMetering(deps, source.metering, results, options, now)),
  }
}

function without(
  subscribers: readonly Subscriber[],
  incomplete: readonly Incomplete[],
): readonly Subscriber[] {
  const left = new Set(incomplete.map(({ subscriber }) => subscriber))
  return subscribers.filter((subscriber) => !left.has(subscriber))
}

/** When each buyer used the product first, as far as the old system noted it. */
function earliestUsage(rows: readonly MeteringRow[]): ReadonlyMap<string, number> {
  const earliest = new Map<string, number>()
  for (const { identity, time } of rows)
    for (const key of identityKeys(identity)) earliest.set(key, Math.min(time, earliest.get(key) ?? time))
  return earliest
}

interface Completed {
  readonly subscribers: readonly Subscriber[]
  /** Those that the ledger has, and alone of their account. */
  readonly known: readonly { readonly subscription: Subscription; readonly subscriber: Subscriber }[]
  readonly problems: readonly RowProblem[]
}

/** What the source does not know of a subscriber, the ledger or AWS may. */
async function completeAll(
  deps: ImportDeps,
  incomplete: readonly Incomplete[],
  now: number,
): Promise<Completed> {
  const subscribers: Subscriber[] = []
  const known: Completed['known'][number][] = []
  const problems: RowProblem[] = []
  for (const entry of incomplete) {
    const { product, subscriber, reason } = entry
    const { licenseArn, customerAwsAccountId } = subscriber.identity
    const reference = licenseArn === undefined ? { customerAwsAccountId } : { licenseArn }
    const isNamed = Object.values(reference).some((value) => value !== undefined)
    const there = isNamed ? await deps.subscriptions.findMatching(product.id, reference) : []
    const livesThere = subscriber.state === 'active' || subscriber.state === 'pending'
    const fitting = there.filter((subscription) => isLive(subscription) === livesThere)
    const [subscription, ...others] = fitting
    if (subscription !== undefined && others.length === 0) {
      known.push({ subscription, subscriber })
      continue
    }
    const answer = deps.agreements === undefined ? { reason } : await askAws(entry, deps.agreements, now)
    if ('reason' in answer) problems.push({ where: subscriber.where, reason: answer.reason })
    else subscribers.push(answer)
  }
  return { subscribers, known, problems }
}

/** Candidates of one buyer together: they are decided on in one step. */
function byBuyer(candidates: readonly Candidate[]): readonly (readonly Candidate[])[] {
  const groups = new Map<string, Candidate[]>()
  for (const candidate of candidates) {
    const { product, subscriber } = candidate
    const { customerAwsAccountId, customerIdentifier, licenseArn } = subscriber.identity
    const key = JSON.stringify([product.id, customerAwsAccountId ?? customerIdentifier ?? licenseArn])
    groups.set(key, [...(groups.get(key) ?? []), candidate])
  }
  return [...groups.values()]
}

interface Options {
  readonly dryRun: boolean
  readonly tell: boolean
  readonly actor: string
}

async function settleBuyer(
  deps: ImportDeps,
  group: readonly Candidate[],
  options: Options,
  now: number,
): Promise<{ results: readonly ImportResult[]; contacts: number }> {
  const { product, subscriber } = group[0]!
  const { customerAwsAccountId, customerIdentifier, licenseArn } = subscriber.identity
  let results: readonly ImportResult[] = []
  const after = await deps.cases.settle(
    { product: product.id, customerAwsAccountId, customerIdentifier, licenseArn },
    (buyerCase): CaseChanges => {
      const decided = decideImport(buyerCase, group, options.tell, now)
      results = decided.results
      return options.dryRun ? NO_CHANGES : decided.changes
    },
    options.actor,
    now,
  )
  let contacts = 0
  for (const candidate of group)
    contacts += await addContacts(deps, after.buyer?.id, candidate.subscriber, options, now)
  return { results, contacts }
}

/** Those whose address the ledger does not have: what somebody entered since is newer. @returns how many */
async function addContacts(
  deps: ImportDeps,
  buyer: string | undefined,
  { contacts, registeredAt, updatedAt }: Subscriber,
  { dryRun, actor }: Options,
  now: number,
): Promise<number> {
  if (contacts.length === 0) return 0
  const known = buyer === undefined ? [] : await deps.buyers.listContacts(buyer)
  const addresses = new Set(known.map(({ email }) => email.toLowerCase()))
  const news = contacts.filter(({ email }) => !addresses.has(email.toLowerCase()))
  if (dryRun || buyer === undefined) return news.length
  for (const contact of news)
    await deps.buyers.putContact(buyer, toContact(contact, registeredAt ?? updatedAt ?? now), actor)
  return news.length
}

function toContact(contact: SubscriberContact, registeredAt: number) {
  return { ...contact, registeredAt }
}

async function importMetering(
  deps: ImportDeps,
  { rows, problems: unreadable }: NonNullable<ImportSource['metering']>,
  results: readonly ImportResult[],
  options: {
    readonly product?: Product | undefined
    readonly dryRun: boolean
    readonly acceptBackMs: number
  },
  now: number,
): Promise<MeteringImport> {
  const pending = rows.filter(({ fate }) => fate === 'pending')
  const unknown = rows.filter(({ fate }) => fate === 'unknown')
  const products = productsOf(results)
  const taken = takenHours(rows)
  const reports = pending.flatMap((row) => {
    const product = options.product?.id ?? onlyOne(identityKeys(row.identity), products)
    return meteringReports(row, product, taken).map((made) => ({ row, ...made }))
  })
  const moved = reports.filter(({ movedFrom }) => movedFrom !== undefined)
  // The old system sent in this very hour: what is reported now and late would go to an hour that AWS has.
  const early = reports.filter(({ row, report }) => isTaken(taken, row, report.dimension, hourOf(now)))
  const due = reports.filter((made) => !early.includes(made))
  const problems: RowProblem[] = [...unreadable, ...early.map((made) => toWaiting(made, now))]
  const outcomes: Partial<Record<EventStatus, number>> = {}
  if (options.dryRun) problems.push(...(await foresee(deps, due, results, options.acceptBackMs, now)))
  for (let from = 0; from < due.length && !options.dryRun; from += BATCH) {
    const batch = due.slice(from, from + BATCH)
    const answers = await deps.ingest(batch.map(({ report }) => report))
    for (const [index, { status, reason }] of answers.entries()) {
      outcomes[status] = (outcomes[status] ?? 0) + 1
      const { row, report } = batch[index]!
      if (status === 'refused' || status === 'conflict')
        problems.push({ where: row.where, reason: `${report.dimension}: ${reason ?? status}` })
    }
  }
  return {
    rows: rows.length + unreadable.length,
    pending: {
      rows: pending.length,
      events: due.length,
      outcomes: options.dryRun ? undefined : outcomes,
      moved: moved.filter((made) => !early.includes(made)).map(toMoved),
    },
    taken: rows.length - pending.length - unknown.length,
    unknown: unknown.map(toUnknown),
    problems,
  }
}

type Made = MeteringReport & { readonly row: MeteringRow }

function toMoved({ row, report, movedFrom }: Made): RowProblem {
  return {
    where: row.where,
    reason: `${report.dimension}: AWS has ${hourText(movedFrom!)} of this customer from the old system: counted at ${hourText(hourOf(report.time))}`,
  }
}

function toWaiting({ row, report }: Made, now: number): RowProblem {
  const hour = hourOf(now)
  return {
    where: row.where,
    reason: `${report.dimension}: AWS has ${hourText(hour)} of this customer from the old system: stop that, and import again after ${hourText(hour + 1)}`,
  }
}

/** Which product the buyers of this import are of, by their names. */
function productsOf(results: readonly ImportResult[]): ReadonlyMap<string, ReadonlySet<string>> {
  const products = new Map<string, Set<string>>()
  for (const { candidate } of results)
    for (const key of identityKeys(candidate.subscriber.identity))
      products.set(key, (products.get(key) ?? new Set()).add(candidate.product.id))
  return products
}

function onlyOne(
  keys: readonly string[],
  products: ReadonlyMap<string, ReadonlySet<string>>,
): string | undefined {
  const found = new Set(keys.flatMap((key) => [...(products.get(key) ?? [])]))
  return found.size === 1 ? [...found][0] : undefined
}

/** What would be refused, as far as it can be seen without reporting it. */
async function foresee(
  deps: ImportDeps,
  reports: readonly Made[],
  results: readonly ImportResult[],
  acceptBackMs: number,
  now: number,
): Promise<readonly RowProblem[]> {
  const coming = new Set(results.flatMap(({ candidate }) => identityKeys(candidate.subscriber.identity)))
  const problems: RowProblem[] = []
  for (const { row, report } of reports) {
    const reason = await whyRefused(deps, row, report, coming, acceptBackMs, now)
    if (reason !== undefined) problems.push({ where: row.where, reason: `${report.dimension}: ${reason}` })
  }
  return problems
}

async function whyRefused(
  deps: ImportDeps,
  { identity }: MeteringRow,
  report: UsageReport,
  coming: ReadonlySet<string>,
  acceptBackMs: number,
  now: number,
): Promise<string | undefined> {
  if (report.time < now - acceptBackMs) return `time is more than ${acceptBackMs / 86_400_000} days back`
  const product = report.product === undefined ? undefined : deps.catalog.find(report.product)
  const dimensions = product?.dimensions ?? deps.catalog.list().flatMap((one) => one.dimensions)
  if (!dimensions.some(({ key, metrics }) => key === report.dimension || metrics.includes(report.dimension)))
    return 'there is no such dimension'
  if (identityKeys(identity).some((key) => coming.has(key))) return undefined
  const there = await deps.subscriptions.findMatching(product?.id, report.reference)
  return there.length === 0 ? 'no subscription fits' : undefined
}

function toUnknown({ where, customer, time, usage, reason, sentAt }: MeteringRow): UnknownFate {
  const day = new Date(sentAt ?? time).toISOString()
  return {
    where,
    customer,
    usedAt: new Date(time).toISOString(),
    usage: usage.map(({ dimension, quantity }) => `${dimension}=${quantity}`),
    reason: reason ?? 'unknown',
    check: `CloudTrail for BatchMeterUsage of this customer ${sentAt === undefined ? 'from' : 'about'} ${day.slice(0, 16)}Z, and the month’s seller report; what AWS does not have and still takes, \`tollkeeper usage import\` reports`,
  }
}

function toItem({ candidate, subscription: s, notes }: ImportResult): ImportedItem {
  return {
    where: candidate.subscriber.where,
    product: s.product,
    subscription: s.id,
    status: s.status,
    licenseArn: s.licenseArn,
    customerAwsAccountId: s.customerAwsAccountId,
    customerIdentifier: s.customerIdentifier,
    accessStart: new Date(s.accessStart).toISOString(),
    accessEnd: s.accessEnd === undefined ? undefined : new Date(s.accessEnd).toISOString(),
    tenantId: s.tenantId,
    plan: s.plan,
    entitlements: candidate.subscriber.entitlements.map(
      ({ dimension, value }) => `${dimension}=${value.value}`,
    ),
    notes,
  }
}
