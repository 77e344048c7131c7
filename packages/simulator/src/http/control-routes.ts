import type { VirtualClock } from '../clock/virtual-clock.ts'
import type { Delivery } from '../delivery/delivery.ts'
import { SimulatorError } from '../errors.ts'
import { type FaultBook, parseFault } from '../faults/faults.ts'
import type { AnnouncementOrder } from '../marketplace/agreement-announcement.ts'
import type { Order, Terms } from '../marketplace/agreement-order.ts'
import type { CancellationRequestView } from '../marketplace/agreement-request.ts'
import type { LedgerRecord } from '../marketplace/ledger.ts'
import type { Marketplace } from '../marketplace/marketplace.ts'
import { parseProduct } from '../marketplace/product.ts'
import { parseSettings } from '../marketplace/settings.ts'
import type { Subscription } from '../marketplace/subscription.ts'
import type { Call } from '../wire/call-log.ts'
import { DELIVERY_ROUTES } from './delivery-routes.ts'
import { parseDuration } from './duration.ts'
import { type HttpRequest, type HttpResponse, jsonResponse } from './message.ts'
import { HttpError } from './problem.ts'

/** What the HTTP doors work on. */
export interface Backstage {
  readonly clock: VirtualClock
  readonly marketplace: Marketplace
  readonly faults: FaultBook
  readonly delivery: Delivery
  calls(): Call[]
}

type Json = Readonly<Record<string, unknown>>
type Handler = (
  backstage: Backstage,
  input: { id: string; query: URLSearchParams; body: Json },
) => HttpResponse | Promise<HttpResponse>

const LEDGER_PAGE_DEFAULT = 1_000
const LEDGER_PAGE_MAX = 10_000

/** The control API: what a test, or `tollkeeper simulator`, asks of the simulator itself. */
const ROUTES: readonly { readonly method: string; readonly path: RegExp; readonly handle: Handler }[] = [
  route('GET', 'clock', ({ clock }) => jsonResponse(clockView(clock))),
  route('POST', 'clock', ({ clock }, { body }) => {
    moveClock(clock, body)
    return jsonResponse(clockView(clock))
  }),
  route('GET', 'faults', ({ faults }) => jsonResponse({ faults: faults.list() })),
  route('POST', 'faults', ({ faults }, { body }) => jsonResponse(faults.order(parseFault(body)), 201)),
  route('DELETE', 'faults', ({ faults }) => {
    faults.clear()
    return NO_CONTENT
  }),
  route('DELETE', 'faults/ID', ({ faults }, { id }) => {
    faults.withdraw(id)
    return NO_CONTENT
  }),
  route('GET', 'ledger', ({ marketplace }, { query }) => jsonResponse(ledgerPage(marketplace, query))),
  route('GET', 'bill', ({ marketplace }) => jsonResponse(marketplace.bill())),
  route('GET', 'subscriptions', ({ marketplace }, { query }) => {
    const productCode = query.get('productCode')
    const accountId = query.get('accountId')
    const filter = { ...(productCode !== null && { productCode }), ...(accountId !== null && { accountId }) }
    return jsonResponse({ subscriptions: marketplace.listSubscriptions(filter).map(subscriptionView) })
  }),
  route('POST', 'subscriptions', ({ marketplace }, { body }) =>
    jsonResponse(subscriptionView(marketplace.subscribe(parseOrder(body))), 201),
  ),
  route('GET', 'subscriptions/ID', ({ marketplace }, { id }) =>
    jsonResponse(subscriptionView(marketplace.getSubscription(id))),
  ),
  route('POST', 'subscriptions/ID/setup', ({ marketplace }, { id }) => {
    const token = marketplace.setUpAccount(id)
    return jsonResponse({ ...registrationForm(marketplace, id), token }, 201)
  }),
  route('POST', 'subscriptions/ID/cancel', ({ marketplace }, { id }) =>
    jsonResponse(subscriptionView(marketplace.cancel(id))),
  ),
  route('POST', 'subscriptions/ID/suspend', ({ marketplace }, { id }) =>
    jsonResponse(subscriptionView(marketplace.suspend(id, true))),
  ),
  route('POST', 'subscriptions/ID/resume', ({ marketplace }, { id }) =>
    jsonResponse(subscriptionView(marketplace.suspend(id, false))),
  ),
  route('POST', 'subscriptions/ID/renew', ({ marketplace }, { id, body }) =>
    jsonResponse(subscriptionView(marketplace.renew(id, parseTerms(body))), 201),
  ),
  route('POST', 'subscriptions/ID/replace', ({ marketplace }, { id, body }) =>
    jsonResponse(subscriptionView(marketplace.replace(id, parseTerms(body))), 201),
  ),
  route('POST', 'subscriptions/ID/auto-renew', ({ marketplace }, { id, body }) => {
    checkFields(body, ['autoRenew'])
    return jsonResponse(subscriptionView(marketplace.setAutoRenew(id, body.autoRenew as boolean)))
  }),
  route('GET', 'subscriptions/ID/cancellation-requests', ({ marketplace }, { id }) =>
    jsonResponse({
      cancellationRequests: marketplace
        .listCancellationRequests(marketplace.getSubscription(id).id)
        .map(cancellationRequestView),
    }),
  ),
  route('GET', 'cancellation-requests', ({ marketplace }) =>
    jsonResponse({
      cancellationRequests: marketplace.listCancellationRequests().map(cancellationRequestView),
    }),
  ),
  route('POST', 'cancellation-requests/ID/approve', ({ marketplace }, { id, body }) => {
    checkFields(body, [])
    return jsonResponse(cancellationRequestView(marketplace.answerCancellationRequest(id, 'approve')))
  }),
  route('POST', 'cancellation-requests/ID/reject', ({ marketplace }, { id, body }) => {
    checkFields(body, ['reason'])
    const answered = marketplace.answerCancellationRequest(id, 'reject', parseReason(body.reason))
    return jsonResponse(cancellationRequestView(answered))
  }),
  route('POST', 'subscriptions/ID/notify', ({ marketplace }, { id, body }) => {
    marketplace.notify(id, body as unknown as AnnouncementOrder)
    return NO_CONTENT
  }),
  route('POST', 'subscriptions/ID/amend', ({ marketplace }, { id, body }) =>
    jsonResponse(subscriptionView(marketplace.amend(id, parseTerms(body).quantities ?? {}))),
  ),
  route('GET', 'settings', ({ marketplace }) => jsonResponse(marketplace.settings)),
  route('PATCH', 'settings', ({ marketplace }, { body }) =>
    jsonResponse(marketplace.updateSettings(parseSettings(body))),
  ),
  route('GET', 'calls', (backstage) =>
    jsonResponse({
      counts: backstage.marketplace.callCounts(),
      calls: backstage.calls().map((call) => ({ ...call, at: iso(call.at) })),
    }),
  ),
  route('GET', 'products', ({ marketplace }) => jsonResponse({ products: marketplace.listProducts() })),
  route('POST', 'products', ({ marketplace }, { body }) =>
    jsonResponse(marketplace.addProduct(parseProduct(body)), 201),
  ),
  ...DELIVERY_ROUTES.map(([method, path, handle]) => route(method, path, handle)),
]

const NO_CONTENT: HttpResponse = { status: 204, headers: {}, body: '' }

function route(method: string, path: string, handle: Handler) {
  return { method, path: new RegExp(`^/_control/${path.replace('ID', '([^/]{1,200})')}$`), handle }
}

/** @throws {HttpError | SimulatorError} for what it cannot do */
export function controlResponse(
  request: HttpRequest,
  backstage: Backstage,
): HttpResponse | Promise<HttpResponse> {
  const matching = ROUTES.filter(({ path }) => path.test(request.path))
  if (matching.length === 0) throw new HttpError(404, `There is no ${request.path}.`)
  const method = request.method === 'HEAD' ? 'GET' : request.method
  const found = matching.find((candidate) => candidate.method === method)
  if (found === undefined) {
    throw new HttpError(
      405,
      `${request.path} takes ${matching.map((candidate) => candidate.method).join(', ')}.`,
    )
  }
  const id = decodePart(found.path.exec(request.path)?.[1] ?? '')
  return found.handle(backstage, { id, query: request.query, body: readJson(request) })
}

function readJson({ body, headers }: HttpRequest): Json {
  if (body.length === 0) return {}
  if (!/^application\/json\b/.test(headers['content-type'] ?? '')) {
    throw new HttpError(415, 'The body must be JSON, with Content-Type: application/json.')
  }
  let value: unknown
  try {
    value = JSON.parse(body.toString())
  } catch (error) {
    throw new SimulatorError('invalid', `the body is no JSON: ${(error as Error).message}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new SimulatorError('invalid', 'the body must be a JSON object')
  }
  return value as Json
}

/** Moves the clock by `advance`, puts it to `set`, starts or stops it by `running`. */
function moveClock(clock: VirtualClock, { advance, set, running, ...rest }: Json): void {
  const [unknown] = Object.keys(rest)
  if (unknown !== undefined)
    throw new SimulatorError('invalid', `a clock has no ${unknown}; give advance, set or running`)
  if (running !== undefined && typeof running !== 'boolean') {
    throw new SimulatorError('invalid', 'running must be true or false')
  }
  if (advance !== undefined && set !== undefined)
    throw new SimulatorError('invalid', 'give advance or set, not both')
  const step = advance === undefined ? undefined : parseDuration(advance)
  const instant = set === undefined ? undefined : parseInstant(set, 'set')
  checkYear(instant ?? clock.now() + (step ?? 0))
  if (running !== undefined) clock.run(running)
  if (step !== undefined) clock.advance(step)
  if (instant !== undefined) clock.set(instant)
}

function checkYear(epochMs: number): void {
  const year = new Date(epochMs).getUTCFullYear()
  if (!(year >= 1970 && year <= 9999)) throw new SimulatorError('invalid', 'the clock goes from 1970 to 9999')
}

function clockView(clock: VirtualClock) {
  return { now: iso(clock.now()), epochMs: clock.now(), running: clock.running }
}

function ledgerPage(marketplace: Marketplace, query: URLSearchParams) {
  const from = wholeParameter(query, 'cursor', 0, Number.MAX_SAFE_INTEGER)
  const limit = wholeParameter(query, 'limit', LEDGER_PAGE_DEFAULT, LEDGER_PAGE_MAX)
  const records = marketplace.listRecords({ from, limit })
  const next = from + records.length
  return {
    records: records.map(ledgerRecordView),
    total: marketplace.recordCount,
    nextCursor: next < marketplace.recordCount ? String(next) : null,
    calls: marketplace.callCounts(),
  }
}

function ledgerRecordView(record: LedgerRecord) {
  const { timestamp, hourStart, receivedAt } = record
  return { ...record, timestamp: iso(timestamp), hourStart: iso(hourStart), receivedAt: iso(receivedAt) }
}

/** Instants as ISO 8601. The token stays inside: `setup` gives one. */
function subscriptionView({ token: _, ...subscription }: Subscription) {
  const { acceptedAt, createdEventAt, startAt, licensedAt, end, term, amendedAt } = subscription
  const { amendments, advisories } = subscription
  return {
    ...subscription,
    acceptedAt: iso(acceptedAt),
    createdEventAt: iso(createdEventAt),
    startAt: iso(startAt),
    licensedAt: iso(licensedAt),
    ...(term !== undefined && { term: { ...term, endsAt: iso(term.endsAt) } }),
    ...(end !== undefined && {
      end: {
        ...end,
        endedAt: iso(end.endedAt),
        ...(end.endedEventAt !== undefined && { endedEventAt: iso(end.endedEventAt) }),
        deprovisionedAt: iso(end.deprovisionedAt),
        closedAt: iso(end.closedAt),
      },
    }),
    ...(amendedAt !== undefined && { amendedAt: iso(amendedAt) }),
    ...(amendments !== undefined && {
      amendments: amendments.map((amendment) => ({ ...amendment, at: iso(amendment.at) })),
    }),
    ...(advisories !== undefined && {
      advisories: advisories.map(({ issuedAt, resolvedAt }) => ({
        issuedAt: iso(issuedAt),
        ...(resolvedAt !== undefined && { resolvedAt: iso(resolvedAt) }),
      })),
    }),
  }
}

function cancellationRequestView({ createdAt, updatedAt, ...request }: CancellationRequestView) {
  return { ...request, createdAt: iso(createdAt), updatedAt: iso(updatedAt) }
}

/** Where the buyer's browser would post the token. */
function registrationForm(marketplace: Marketplace, subscriptionId: string) {
  const { productCode, freeTrial } = marketplace.getSubscription(subscriptionId)
  const product = marketplace.listProducts().find((candidate) => candidate.productCode === productCode)
  return { subscriptionId, fulfillmentUrl: product?.fulfillmentUrl, freeTrial }
}

const ORDER_FIELDS = [
  'productCode',
  'accountId',
  'buyerName',
  'quantities',
  'startAt',
  'termMonths',
  'freeTrial',
  'trialDays',
  'autoRenew',
  'sellerRole',
  'channelPartner',
  'fail',
]

function checkFields(body: Json, known: readonly string[]): void {
  const unknown = Object.keys(body).find((field) => !known.includes(field))
  if (unknown === undefined) return
  throw new SimulatorError('invalid', `unknown ${unknown}; give ${known.join(', ') || 'an empty body'}`)
}

/** Longest reason of a rejected request (API model 2020-03-01). */
const REASON_LENGTH_MAX = 2_000

function parseReason(reason: unknown): string | undefined {
  if (reason === undefined) return undefined
  if (typeof reason !== 'string' || reason.length > REASON_LENGTH_MAX) {
    throw new SimulatorError('invalid', `reason must be text of at most ${REASON_LENGTH_MAX} characters`)
  }
  return reason
}

/** Only what is not checked by the marketplace itself: that fields are known, and the time is a time. */
function parseOrder({ startAt, ...body }: Json): Order {
  const unknown = Object.keys(body).find((field) => !ORDER_FIELDS.includes(field))
  if (unknown !== undefined) {
    throw new SimulatorError(
      'invalid',
      `a subscription has no ${unknown}; it takes ${ORDER_FIELDS.join(', ')}`,
    )
  }
  if (typeof body.productCode !== 'string') throw new SimulatorError('invalid', 'productCode is required')
  return {
    ...(body as unknown as Order),
    ...(startAt !== undefined && { startAt: parseInstant(startAt, 'startAt') }),
  }
}

function parseTerms({ quantities, termMonths, autoRenew, ...rest }: Json): Terms {
  const [unknown] = Object.keys(rest)
  if (unknown !== undefined)
    throw new SimulatorError('invalid', `unknown ${unknown}; give quantities, termMonths or autoRenew`)
  return {
    ...(autoRenew !== undefined && { autoRenew: autoRenew as boolean }),
    ...(quantities !== undefined && { quantities: quantities as Record<string, number> }),
    ...(termMonths !== undefined && { termMonths: termMonths as number }),
  }
}

function parseInstant(value: unknown, name: string): number {
  const epochMs =
    typeof value === 'number' ? value : typeof value === 'string' ? Date.parse(value) : Number.NaN
  if (!Number.isInteger(epochMs) || Math.abs(epochMs) > 8.64e15) {
    throw new SimulatorError('invalid', `${name} must be a time such as 2026-11-20T12:00:00Z`)
  }
  return epochMs
}

function wholeParameter(query: URLSearchParams, name: string, byDefault: number, max: number): number {
  const text = query.get(name)
  if (text === null) return byDefault
  const value = Number(text)
  if (!/^\d{1,16}$/.test(text) || value > max)
    throw new SimulatorError('invalid', `${name} must be a whole number up to ${max}`)
  return value
}

function decodePart(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new HttpError(404, 'The path cannot be read.')
  }
}

const iso = (epochMs: number) => new Date(epochMs).toISOString()
