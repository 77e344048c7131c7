import { SimulatorError } from '../errors.ts'
import type { Backstage } from '../http/control-routes.ts'
import { parseDuration } from '../http/duration.ts'
import type { HttpRequest, HttpResponse } from '../http/message.ts'
import { HttpError, problemOf } from '../http/problem.ts'
import type { Order } from '../marketplace/agreement-order.ts'
import type { Marketplace } from '../marketplace/marketplace.ts'
import type { Html } from './html.ts'
import { pageResponse, seeOther } from './layout.ts'
import { problemPage, productsPage, usagePage } from './pages.ts'
import { subscriptionPage } from './subscription-page.ts'

const SUBSCRIPTION = /^\/subscriptions\/([\w-]{1,64})(?:\/([a-z-]{1,32}))?$/
const CANCELLATION_REQUEST = /^\/cancellation-requests\/([\w-]{1,64})\/(approve|reject)$/

/** The buyer's pages. What cannot be done is a page too, with a status that says so. */
export function storefrontResponse(request: HttpRequest, backstage: Backstage): HttpResponse {
  try {
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    return isRead ? readResponse(request, backstage) : formResponse(request, backstage)
  } catch (error) {
    const { status, title, detail } = problemOf(error)
    return show(request, backstage, title, problemPage(title, detail), { status })
  }
}

function readResponse(request: HttpRequest, backstage: Backstage): HttpResponse {
  if (request.path === '/')
    return show(request, backstage, 'Products', productsPage(backstage), { current: '/' })
  if (request.path === '/usage') {
    return show(request, backstage, 'Usage and bill', usagePage(backstage), { current: '/usage' })
  }
  const [, id, action] = SUBSCRIPTION.exec(request.path) ?? []
  if (id !== undefined && action === undefined) {
    const subscription = backstage.marketplace.getSubscription(id)
    return show(request, backstage, 'Subscription', subscriptionPage(backstage, subscription))
  }
  throw new HttpError(404, `There is no page ${request.path}.`)
}

function formResponse(request: HttpRequest, { marketplace, clock }: Backstage): HttpResponse {
  if (request.method !== 'POST') throw new HttpError(405, 'Pages take GET and POST.')
  const form = readForm(request)
  if (request.path === '/subscribe') {
    const { id } = marketplace.subscribe(readOrder(form))
    return seeOther(`/subscriptions/${id}`)
  }
  if (request.path === '/clock/advance') {
    clock.advance(parseDuration(form.get('by') ?? ''))
    return seeOther(readBack(form))
  }
  const [, id, action] = SUBSCRIPTION.exec(request.path) ?? []
  if (id !== undefined && action !== undefined && Object.hasOwn(ACTIONS, action)) {
    return seeOther(`/subscriptions/${ACTIONS[action]?.(marketplace, id, form)}`)
  }
  const [, requestId, answer] = CANCELLATION_REQUEST.exec(request.path) ?? []
  if (requestId !== undefined && (answer === 'approve' || answer === 'reject')) {
    const reason = answer === 'reject' ? (form.get('reason') ?? '').slice(0, REASON_LENGTH_MAX) : ''
    const { subscriptionId } = marketplace.answerCancellationRequest(requestId, answer, reason || undefined)
    return seeOther(`/subscriptions/${subscriptionId}`)
  }
  throw new HttpError(404, `There is no form ${request.path}.`)
}

/** What a buyer does with a subscription. @returns the id of the subscription to show then */
const ACTIONS: Readonly<
  Record<string, (marketplace: Marketplace, id: string, form: URLSearchParams) => string>
> = {
  cancel: (marketplace, id) => marketplace.cancel(id).id,
  renew: (marketplace, id) => marketplace.renew(id).id,
  replace: (marketplace, id) => marketplace.replace(id).id,
  amend: (marketplace, id, form) => marketplace.amend(id, readQuantities(form)).id,
  suspend: (marketplace, id) => marketplace.suspend(id, true).id,
  resume: (marketplace, id) => marketplace.suspend(id, false).id,
  'renewal-on': (marketplace, id) => marketplace.setAutoRenew(id, true).id,
  'renewal-off': (marketplace, id) => marketplace.setAutoRenew(id, false).id,
}

const REASON_LENGTH_MAX = 2_000

function readOrder(form: URLSearchParams): Order {
  const accountId = (form.get('accountId') ?? '').trim()
  const termMonths = form.get('termMonths')
  return {
    productCode: form.get('productCode') ?? '',
    accountId,
    buyerName: BUYERS[accountId] ?? 'Another buyer',
    quantities: readQuantities(form),
    ...(termMonths !== null && !form.has('freeTrial') && { termMonths: Number(termMonths) }),
    freeTrial: form.has('freeTrial'),
    autoRenew: form.has('autoRenew'),
    sellerRole: form.has('isPartnerSold') ? 'manufacturer' : 'proposer',
    fail: form.has('fail'),
  }
}

/** The example buyers that the form proposes. */
const BUYERS: Readonly<Record<string, string>> = {
  '782858285006': 'Example Corp',
  '444455556666': 'Second buyer',
  '777788889999': 'Third buyer',
}

const QUANTITY_FIELD = 'quantity.'

function readQuantities(form: URLSearchParams): Record<string, number> {
  return Object.fromEntries(
    [...form]
      .filter(([name]) => name.startsWith(QUANTITY_FIELD))
      .map(([name, text]) => {
        if (!/^\d{1,10}$/.test(text)) throw new SimulatorError('invalid', 'a quantity must be a whole number')
        return [name.slice(QUANTITY_FIELD.length), Number(text)]
      }),
  )
}

function readForm({ headers, body }: HttpRequest): URLSearchParams {
  if (!headers['content-type']?.startsWith('application/x-www-form-urlencoded')) {
    throw new HttpError(415, 'A page takes only its own forms.')
  }
  return new URLSearchParams(body.toString())
}

/** Only to a page of our own: a path, not another site's URL. */
function readBack(form: URLSearchParams): string {
  const back = form.get('back') ?? '/'
  return back === '/usage' || /^\/subscriptions\/[\w-]{1,64}$/.test(back) ? back : '/'
}

function show(
  { path }: HttpRequest,
  { clock }: Backstage,
  title: string,
  content: Html,
  more: { status?: number; current?: '/' | '/usage' } = {},
): HttpResponse {
  return pageResponse({ title, content, path, now: clock.now(), running: clock.running, ...more })
}
