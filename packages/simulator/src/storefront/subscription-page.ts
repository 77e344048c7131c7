import type { Backstage } from '../http/control-routes.ts'
import type { CancellationRequestView } from '../marketplace/agreement-request.ts'
import { hasContract, isEntitled, type SimulatedProduct } from '../marketplace/product.ts'
import type { Subscription } from '../marketplace/subscription.ts'
import { type Html, html } from './html.ts'
import { timeOf } from './layout.ts'
import { stateBadge } from './state-badge.ts'

/** The buyer's view of one subscription. Its form carries the registration token: in the body, never in a URL. */
export function subscriptionPage({ marketplace }: Backstage, subscription: Subscription): Html {
  const { id, productCode, state } = subscription
  const product = marketplace.listProducts().find((candidate) => candidate.productCode === productCode)
  const isOver = state === 'ending' || state === 'finalWindow' || state === 'closed'
  const isBinding = !isOver && subscription.paymentFails !== true
  const requests = marketplace.listCancellationRequests(id)
  const token = isOver ? '' : marketplace.registrationToken(id)
  return html`<p><a href="/">Back to the products</a></p>
<h1>${product?.title ?? productCode}</h1>
<p class="lead">${stateBadge(subscription)} ${stateStory(subscription)}</p>
${requests.filter(({ status }) => status === 'PENDING_APPROVAL').map(pendingRequest)}
${!isOver && product !== undefined && actions(product, subscription, token)}
${!isOver && html`<p class="note">“Set up your account” posts a registration token from your browser to <code>${product?.fulfillmentUrl}</code>. If no page opens, the seller's program is not running there.</p>`}
${isBinding && product !== undefined && upgradeForm(product, subscription)}
<h2>Agreement</h2>
${agreementFacts(marketplace.listSubscriptions({ productCode }), subscription, isOver)}
${requests.length > 0 && html`<h2>The seller's requests to cancel</h2>${requestTable(requests)}`}`
}

function actions(product: SimulatedProduct, subscription: Subscription, token: string): Html {
  const { id, freeTrial, term, suspended } = subscription
  const canChange = subscription.paymentFails !== true
  const isPaidContract = canChange && hasContract(product) && !freeTrial
  return html`<div class="actions">
${setUpForm(product, subscription, token)}
${canChange && freeTrial && button(id, 'replace', 'Convert to paid', 'quiet')}
${isPaidContract && button(id, 'renew', 'Renew now', 'quiet')}
${canChange && !freeTrial && button(id, 'replace', 'Accept a replacement offer', 'quiet')}
${isPaidContract && term !== undefined && button(id, term.autoRenew ? 'renewal-off' : 'renewal-on', term.autoRenew ? 'Turn renewal off' : 'Turn renewal on', 'quiet')}
${suspended ? button(id, 'resume', 'Reinstate the account', 'quiet') : button(id, 'suspend', 'Suspend the account', 'quiet')}
${button(id, 'cancel', 'Cancel subscription', 'danger')}
</div>`
}

function button(id: string, action: string, text: string, tone: 'quiet' | 'danger'): Html {
  return html`<form method="post" action="/subscriptions/${id}/${action}"><button class="${tone}">${text}</button></form>`
}

function setUpForm(product: SimulatedProduct, subscription: Subscription, token: string): Html {
  return html`<form method="post" action="${product.fulfillmentUrl}" target="_blank" rel="noopener" enctype="application/x-www-form-urlencoded">
<input type="hidden" name="x-amzn-marketplace-token" value="${token}">
${subscription.freeTrial && html`<input type="hidden" name="x-amzn-marketplace-offer-type" value="free-trial">`}
<button>Set up your account</button></form>`
}

function upgradeForm(product: SimulatedProduct, { id, quantities }: Subscription): Html | undefined {
  const entitled = product.dimensions.filter((dimension) => isEntitled(product, dimension))
  if (entitled.length === 0) return undefined
  return html`<h2 id="quantities">Quantities</h2>
<form class="card" method="post" action="/subscriptions/${id}/amend" aria-labelledby="quantities">
<div class="fields">${entitled.map(
    ({ key, name }) =>
      html`<label>${name ?? key} <input type="number" name="quantity.${key}" value="${quantities[key] ?? 0}" min="0" max="2147483647" step="1" required></label>`,
  )}</div>
<div><button class="quiet">Change within the agreement</button></div>
</form>`
}

function agreementFacts(all: readonly Subscription[], subscription: Subscription, isOver: boolean): Html {
  const { end, intent, previousAgreementId, succeededBy, term, channelPartner } = subscription
  const previous = all.find(({ agreementId }) => agreementId === previousAgreementId)
  return html`<div class="card"><dl class="facts">
<dt>Buyer</dt><dd>${subscription.buyerName}, <code>${subscription.accountId}</code></dd>
<dt>Agreement</dt><dd><code>${subscription.agreementId}</code></dd>
${subscription.licenseArn !== undefined && html`<dt>License</dt><dd><code>${subscription.licenseArn}</code></dd>`}
${subscription.customerIdentifier !== undefined && html`<dt>Customer identifier</dt><dd><code>${subscription.customerIdentifier}</code></dd>`}
${channelPartner !== undefined && html`<dt>Sold by</dt><dd>a channel partner, <code>${channelPartner.accountId}</code></dd>`}
${subscription.freeTrial && html`<dt>Price</dt><dd>free, as a trial</dd>`}
${previous !== undefined && html`<dt>${intent === 'REPLACE' ? 'Replacement of' : 'Renewal of'}</dt><dd><a href="/subscriptions/${previous.id}"><code>${previous.agreementId}</code></a></dd>`}
${succeededBy !== undefined && all.some(({ id }) => id === succeededBy) && html`<dt>Goes on as</dt><dd><a href="/subscriptions/${succeededBy}">${succeededBy}</a></dd>`}
${Object.entries(subscription.quantities).map(([key, quantity]) => html`<dt>${key}</dt><dd>${quantity}</dd>`)}
<dt>Accepted</dt><dd>${timeOf(subscription.acceptedAt)}</dd>
<dt>Starts</dt><dd>${timeOf(subscription.startAt)}</dd>
${end !== undefined && html`<dt>${isOver ? 'Ended' : term?.autoRenew === true ? 'Renews' : 'Ends'}</dt><dd>${timeOf(end.endedAt)} (final usage until ${timeOf(end.closedAt)})</dd>`}
</dl></div>`
}

function pendingRequest({ id, reasonCode, description }: CancellationRequestView): Html {
  return html`<section class="card asks" aria-labelledby="asks-${id}">
<h2 id="asks-${id}">The seller asks to cancel this agreement</h2>
<p>${reasonText(reasonCode)}${description !== undefined && html`: “${description}”`}. Without your answer it is approved after seven days.</p>
<div class="actions">
<form method="post" action="/cancellation-requests/${id}/approve"><button class="danger">Approve the cancellation</button></form>
<form class="inline" method="post" action="/cancellation-requests/${id}/reject"><label>Why not <input type="text" name="reason" maxlength="2000" required></label> <button class="quiet">Reject the cancellation</button></form>
</div>
</section>`
}

function requestTable(requests: readonly CancellationRequestView[]): Html {
  return html`<div class="table" tabindex="0" role="region" aria-label="Requests to cancel"><table>
<thead><tr><th scope="col">Request</th><th scope="col">Reason</th><th scope="col">Status</th><th scope="col">Made</th><th scope="col">Changed</th></tr></thead>
<tbody>${requests.map(
    (request) =>
      html`<tr><td><code>${request.id}</code></td><td>${reasonText(request.reasonCode)}</td><td>${request.status}${request.statusMessage !== undefined && html`<br><small>${request.statusMessage}</small>`}</td><td>${timeOf(request.createdAt)}</td><td>${timeOf(request.updatedAt)}</td></tr>`,
  )}</tbody></table></div>`
}

/** `TEST_AGREEMENT` → `Test agreement`. */
function reasonText(reasonCode: string): string {
  const words = reasonCode.toLowerCase().replaceAll('_', ' ')
  return `${words.slice(0, 1).toUpperCase()}${words.slice(1)}`
}

function stateStory({ state, licensedAt, startAt, end }: Subscription): Html {
  switch (state) {
    case 'scheduled':
      return html`The agreement starts ${timeOf(startAt)}.`
    case 'agreementActive':
      return html`The seller can meter usage from ${timeOf(licensedAt)}.`
    case 'licensed':
      return html`The seller can meter usage.`
    case 'ending':
    case 'finalWindow':
      return html`The seller can send final usage until ${end && timeOf(end.closedAt)}.`
    case 'closed':
      return html`Usage is refused.`
    case 'failed':
      return html`The payment failed, so there is no license, and usage is refused.`
  }
}
