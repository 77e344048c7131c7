import { SimulatorError } from '../errors.ts'
import type { Backstage } from '../http/control-routes.ts'
import { parseDuration } from '../http/duration.ts'
import type { HttpRequest, HttpResponse } from '../http/message.ts'
import { HttpError, problemOf } from '../http/problem.ts'
import type { Html } from './html.ts'
import { pageResponse, seeOther } from './layout.ts'
import { problemPage, productsPage, subscriptionPage, usagePage } from './pages.ts'

const SUBSCRIPTION = /^\/subscriptions\/([\w-]{1,64})(\/cancel)?$/

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
    const { id } = marketplace.subscribe({
      productCode: form.get('productCode') ?? '',
      accountId: (form.get('accountId') ?? '').trim(),
      buyerName: BUYERS[(form.get('accountId') ?? '').trim()] ?? 'Another buyer',
      quantities: readQuantities(form),
      freeTrial: form.has('freeTrial'),
    })
    return seeOther(`/subscriptions/${id}`)
  }
  if (request.path === '/clock/advance') {
    clock.advance(parseDuration(form.get('by') ?? ''))
    return seeOther(readBack(form))
  }
  const [, id, action] = SUBSCRIPTION.exec(request.path) ?? []
  if (id !== undefined && action === '/cancel') {
    marketplace.cancel(id)
    return seeOther(`/subscriptions/${id}`)
  }
  throw new HttpError(404, `There is no form ${request.path}.`)
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
