import type { LandingPage } from '../../domain/products/product.ts'
import type { Subscription } from '../../domain/subscriptions/subscription.ts'
import { type Html, html } from '../html.ts'
import { type Brand, brandPage, linkTo, paragraphs } from './brand.ts'

/** Before AWS names an end, it writes one that nobody lives to see. */
const NO_END_FROM = Date.UTC(2200, 0)

/** What a page may show of a subscription: never who registered. */
export interface Purchase {
  readonly reference: string
  readonly status: Subscription['status']
  readonly plan: string | undefined
  readonly isTrial: boolean
  /** ms */
  readonly termEnd: number | undefined
}

/** The form, as it is sent and shown again. */
export interface FormView {
  readonly purchase: Purchase
  /** Somebody of the buyer has registered before. */
  readonly isJoining: boolean
  /** Where the form goes, and what it carries unseen. */
  readonly action: string
  readonly hidden: Readonly<Record<string, string>>
  /** Until when it can be sent, ms. */
  readonly expiresAt: number
  readonly values: Readonly<Partial<Record<FieldName, string>>>
  readonly errors: readonly { readonly field: FieldName; readonly message: string }[]
  /** What went wrong with the form as a whole. */
  readonly failure: string | undefined
}

/** What the form asks for, the e-mail address first. */
export type FieldName = 'email' | LandingPage['fields'][number]['name']

export const SET_UP: Html = html`<strong>Set up your account</strong>`

/** For who comes without a registration. */
export function welcomePage(brand: Brand): string {
  return brandPage(brand, {
    title: `Set up ${brand.title}`,
    tone: 'plain',
    main: html`<h1>Set up ${brand.title}</h1>
<p>This page is for those who subscribed to ${brand.title} on AWS Marketplace: here they tell the seller whom to contact.</p>
${loginLink(brand)}
<h2>How to get here</h2>
<ol>
<li>Sign in to AWS and open <strong>AWS Marketplace</strong>.</li>
<li>Subscribe to ${brand.title}. If you have done that, open <em>Manage subscriptions</em> and choose it there.</li>
<li>Press ${SET_UP}. Your browser comes back to this page with what it needs.</li>
</ol>
${about(brand)}`,
  })
}

export function formPage(brand: Brand, view: FormView): string {
  const { purchase, isJoining, errors, failure } = view
  const title = isJoining ? `Join your organisation on ${brand.title}` : `Set up ${brand.title}`
  const isWrong = errors.length > 0 || failure !== undefined
  return brandPage(brand, {
    title: isWrong ? `Error: ${title}` : title,
    tone: 'plain',
    main: html`${isWrong && summary(view)}<h1>${title}</h1>
${
  isJoining
    ? html`<p>Somebody has registered your organisation for ${brand.title} already: a colleague, or you. Leave your details to be added as another contact. Nothing is bought or charged again.</p>`
    : html`<p>Thank you for subscribing on AWS Marketplace. Tell the seller whom to contact, and your registration is complete.</p>`
}
${loginLink(brand)}
<h2>Your subscription</h2>
${purchaseList(brand, purchase)}
${form(brand, view)}
<h2>What happens next</h2>
${nextSteps(brand, purchase)}
${about(brand)}`,
  })
}

/** After the form: can be looked at again, and says what has changed since. */
export function donePage(brand: Brand, purchase: Purchase, links: { readonly reload: string }): string {
  const login = linkTo(brand.landing.loginUrl)
  return brandPage(brand, {
    title: 'Your registration is complete',
    tone: 'good',
    main: html`<h1>Your registration is complete</h1>
<p>Thank you. The seller of ${brand.title} has your contact details.</p>
<h2>Your subscription</h2>
${purchaseList(brand, purchase)}
${purchase.status === 'pending' && html`<p class="screen"><a href="${links.reload}">Check again</a></p>`}
<h2>What happens next</h2>
${nextSteps(brand, purchase)}
${login !== undefined && html`<p><a href="${login}">Sign in to ${brand.title}</a></p>`}
<p class="soft">You can close this page.</p>`,
  })
}

function loginLink({ landing }: Brand): Html | undefined {
  const login = linkTo(landing.loginUrl)
  return login === undefined
    ? undefined
    : html`<p class="screen"><a href="${login}">I already have an account</a></p>`
}

function about({ title, landing }: Brand): Html | undefined {
  return landing.description === undefined
    ? undefined
    : html`<h2>About ${title}</h2>\n${paragraphs(landing.description)}`
}

function purchaseList(brand: Brand, { reference, plan, termEnd, ...rest }: Purchase): Html {
  const { label, detail } = statusWords(rest)
  return html`<dl>
<dt>Product</dt><dd>${brand.title}</dd>
${plan !== undefined && html`<dt>Plan</dt><dd>${plan}</dd>`}
<dt>Status</dt><dd>${label}${detail !== undefined && html`<p>${detail}</p>`}</dd>
${termEnd !== undefined && termEnd < NO_END_FROM && html`<dt>Current term</dt><dd>until ${dayOf(termEnd)}</dd>`}
<dt>Bought on</dt><dd>AWS Marketplace</dd>
<dt>Reference</dt><dd><code>${reference}</code></dd>
</dl>`
}

function statusWords({ status, isTrial }: Pick<Purchase, 'status' | 'isTrial'>): {
  label: string
  detail?: string
} {
  switch (status) {
    case 'pending':
      return {
        label: isTrial ? 'Free trial: waiting for AWS Marketplace' : 'Waiting for AWS Marketplace',
        detail: 'AWS Marketplace has yet to confirm it. That usually takes a few minutes.',
      }
    case 'suspended':
      return { label: 'On hold', detail: 'Access is paused for now. The seller’s support can tell why.' }
    case 'superseded':
      return { label: 'Active', detail: 'It is being renewed. Access goes on meanwhile.' }
    default:
      return { label: isTrial ? 'Active: free trial' : 'Active' }
  }
}

function nextSteps({ title, landing }: Brand, { status }: Purchase): Html {
  const access =
    status === 'pending'
      ? `AWS Marketplace confirms your subscription, usually within a few minutes. Access to ${title} starts then, not before.`
      : status === 'suspended'
        ? `Access to ${title} goes on when the hold is lifted.`
        : `AWS Marketplace has confirmed your subscription: your access to ${title} is open.`
  const then = landing.nextSteps ?? 'The seller writes to your e-mail address about how to start.'
  return html`<p>${access}</p>\n${paragraphs(then)}`
}

function summary({ errors, failure }: FormView): Html {
  // Gets the focus when the page comes back: what is wrong is read out first.
  return html`<section class="summary" tabindex="-1" autofocus aria-labelledby="summary-title">
<h2 id="summary-title">There is a problem</h2>
${failure !== undefined && html`<p>${failure}</p>`}
${errors.length > 0 && html`<ul>${errors.map(({ field, message }) => html`<li><a href="#${field}">${message}</a></li>`)}</ul>`}
</section>
`
}

const FIELDS = {
  email: {
    label: 'E-mail address',
    hint: 'The seller writes to it about your subscription.',
    type: 'email',
    autocomplete: 'email',
  },
  name: { label: 'Your name', hint: undefined, type: 'text', autocomplete: 'name' },
  company: { label: 'Company', hint: undefined, type: 'text', autocomplete: 'organization' },
  phone: {
    label: 'Phone number',
    hint: 'With the country’s code, such as +44 20 7946 0000.',
    type: 'tel',
    autocomplete: 'tel',
  },
} as const

function form({ landing }: Brand, view: FormView): Html {
  const fields = [{ name: 'email' as const, required: true }, ...landing.fields]
  return html`<form method="post" action="${view.action}" accept-charset="utf-8" novalidate>
<h2>Your details</h2>
${fields.map((field) => input(field, view))}
${Object.entries(view.hidden).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">\n`)}
<button type="submit">${view.isJoining ? 'Add me as a contact' : 'Complete registration'}</button>
<p class="soft">You can come back to this address until ${timeOf(view.expiresAt)}. After that, press ${SET_UP} on AWS Marketplace again.</p>
</form>`
}

function input(
  { name, required }: { name: FieldName; required: boolean },
  { values, errors }: FormView,
): Html {
  const { label, hint, type, autocomplete } = FIELDS[name]
  const error = errors.find(({ field }) => field === name)?.message
  const described = [
    ...(hint === undefined ? [] : [`${name}-hint`]),
    ...(error === undefined ? [] : [`${name}-error`]),
  ]
  return html`<div class="field">
<label for="${name}">${label}${!required && ' (optional)'}</label>
${hint !== undefined && html`<p class="soft" id="${name}-hint">${hint}</p>`}
${error !== undefined && html`<p class="error" id="${name}-error"><span class="hidden">Error: </span>${error}</p>`}
<input id="${name}" name="${name}" type="${type}" autocomplete="${autocomplete}" value="${values[name]}" aria-invalid="${error === undefined ? 'false' : 'true'}"${required && html` required`}${described.length > 0 && html` aria-describedby="${described.join(' ')}"`}${name === 'email' && html` spellcheck="false" autocapitalize="none"`}>
</div>
`
}

function dayOf(time: number): string {
  return new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeZone: 'UTC' }).format(time)
}

function timeOf(time: number): Html {
  const shown = new Date(time).toISOString()
  return html`<time datetime="${shown}">${shown.slice(11, 16)} UTC</time>`
}
