import type { Backstage } from '../http/control-routes.ts'
import { DEFAULT_ACCOUNT_ID } from '../marketplace/agreement-order.ts'
import type { Bill } from '../marketplace/bill.ts'
import type { LedgerRecord } from '../marketplace/ledger.ts'
import {
  hasContract,
  isEntitled,
  isMetered,
  type SimulatedDimension,
  type SimulatedProduct,
} from '../marketplace/product.ts'
import type { Subscription } from '../marketplace/subscription.ts'
import { type Html, html } from './html.ts'
import { timeOf } from './layout.ts'
import { stateBadge } from './state-badge.ts'

/** Most subscriptions and records that a page shows: the newest. */
const ROWS_MAX = 200

const PRICING = {
  usage: 'Pay as you go',
  contract: 'Contract',
  contractWithConsumption: 'Contract with consumption',
  free: 'Free',
} satisfies Record<SimulatedProduct['pricing'], string>

export function productsPage({ marketplace }: Backstage): Html {
  const subscriptions = marketplace.listSubscriptions().slice(-ROWS_MAX).reverse()
  const products = marketplace.listProducts()
  return html`<h1>Products</h1>
<p class="lead">Buy as a customer on AWS Marketplace would, then set up your account with the seller. Accounts, agreements and money are made up.</p>
<div class="grid">${products.map(productCard)}</div>
<h2 id="subscriptions">Your subscriptions</h2>
${subscriptions.length === 0 ? html`<p class="empty">None yet. Subscribe to one of the products above.</p>` : subscriptionTable(subscriptions, products)}`
}

function productCard(product: SimulatedProduct): Html {
  const id = `p-${product.productCode}`
  return html`<section class="card" aria-labelledby="${id}">
<h2 id="${id}">${product.title}</h2>
<div class="tags"><span class="tag">${PRICING[product.pricing]}</span><span class="tag">${product.metering === 'license' ? 'Metered by license' : 'Metered by product code'}</span></div>
<p>${product.description}</p>
<dl class="prices">${product.dimensions.map((dimension) => priceLine(product, dimension))}</dl>
${subscribeForm(product)}
</section>`
}

function subscribeForm(product: SimulatedProduct): Html {
  const { productCode, title } = product
  const entitled = product.dimensions.filter((dimension) => isEntitled(product, dimension))
  return html`<form method="post" action="/subscribe">
<input type="hidden" name="productCode" value="${productCode}">
<div class="fields">
<label>Buyer's AWS account <input type="text" name="accountId" value="${DEFAULT_ACCOUNT_ID}" inputmode="numeric" pattern="[0-9]{12}" title="12 digits" required list="accounts-${productCode}"></label>
<datalist id="accounts-${productCode}"><option value="${DEFAULT_ACCOUNT_ID}">Example Corp</option><option value="444455556666">Second buyer</option><option value="777788889999">Third buyer</option></datalist>
${entitled.map(quantityField)}
${hasContract(product) && html`<label>Term <select name="termMonths">${TERMS.map(([months, text]) => html`<option value="${months}"${months === 12 && html` selected`}>${text}</option>`)}</select></label>`}
<details><summary>More ways to buy<span class="skip"> ${title}</span></summary><div class="fields">
${checkbox('freeTrial', 'As a free trial of 30 days')}
${hasContract(product) && checkbox('autoRenew', 'Renews at the end of its term')}
${checkbox('isPartnerSold', 'Through a channel partner')}
${checkbox('fail', 'The payment fails')}
</div></details>
</div>
<button class="wide">Subscribe<span class="skip"> to ${title}</span></button>
</form>`
}

/** AWS's public contracts. */
const TERMS = [
  [1, '1 month'],
  [12, '1 year'],
  [24, '2 years'],
  [36, '3 years'],
] as const

function checkbox(name: string, text: string): Html {
  return html`<label class="check"><input type="checkbox" name="${name}" value="yes"> ${text}</label>`
}

function quantityField({ key, name }: SimulatedDimension): Html {
  return html`<label>${name ?? key} <input type="number" name="quantity.${key}" value="1" min="0" max="2147483647" step="1" required></label>`
}

function priceLine(product: SimulatedProduct, dimension: SimulatedProduct['dimensions'][number]): Html {
  const unit = toSingular(dimension.unit ?? 'unit')
  const term = isEntitled(product, dimension) && !isMetered(product, dimension) ? ', for the term' : ''
  return html`<dt>${dimension.name ?? dimension.key}<br><small><code>${dimension.key}</code></small></dt><dd>$${dimension.price ?? '0'}<br><small>per ${unit}${term}</small></dd>`
}

/** AWS's units are plurals (`Users`, `Requests`) or symbols (`GB`, `Gbps`). */
function toSingular(unit: string): string {
  return /^[A-Z][a-z]+s$/.test(unit) && !unit.endsWith('bps') ? unit.slice(0, -1).toLowerCase() : unit
}

function subscriptionTable(
  subscriptions: readonly Subscription[],
  products: readonly SimulatedProduct[],
): Html {
  const titles = new Map(products.map(({ productCode, title }) => [productCode, title]))
  return html`<div class="table" tabindex="0" role="region" aria-label="Your subscriptions"><table>
<thead><tr><th scope="col">Product</th><th scope="col">Buyer</th><th scope="col">State</th><th scope="col">Accepted</th><th scope="col"></th></tr></thead>
<tbody>${subscriptions.map(
    (subscription) => html`<tr>
<td><a href="/subscriptions/${subscription.id}">${titles.get(subscription.productCode) ?? subscription.productCode}</a></td>
<td>${subscription.buyerName}<br><code>${subscription.accountId}</code></td>
<td>${stateBadge(subscription)}</td>
<td>${timeOf(subscription.acceptedAt)}</td>
<td><a href="/subscriptions/${subscription.id}">Manage<span class="skip"> ${subscription.id}</span></a></td>
</tr>`,
  )}</tbody></table></div>`
}

export function usagePage({ marketplace }: Backstage): Html {
  const total = marketplace.recordCount
  const records = marketplace.listRecords({ from: Math.max(0, total - ROWS_MAX), limit: ROWS_MAX }).reverse()
  return html`<h1>Usage and bill</h1>
<p class="lead">What AWS accepted from the seller, and what it would invoice for it.</p>
<h2>Bill so far</h2>
${billTable(marketplace.bill())}
<h2>Accepted usage records <small class="tag">${total}</small></h2>
${total > records.length && html`<p class="note">The newest ${records.length} of ${total}; all are at <a href="/_control/ledger"><code>/_control/ledger</code></a>.</p>`}
${recordTable(records)}`
}

function billTable({ lines, total, currency }: Bill): Html {
  if (lines.length === 0) return html`<p class="empty">Nothing to invoice yet.</p>`
  const shown = lines.slice(0, ROWS_MAX)
  return html`<div class="table" tabindex="0" role="region" aria-label="Bill"><table>
<thead><tr><th scope="col">Month</th><th scope="col">Account</th><th scope="col">Subscription</th><th scope="col">Dimension</th><th scope="col" class="num">Units</th><th scope="col" class="num">Price</th><th scope="col" class="num">Amount</th></tr></thead>
<tbody>${shown.map(
    (line) =>
      html`<tr><td>${line.month}</td><td><code>${line.accountId}</code></td><td><a href="/subscriptions/${line.subscriptionId}">${line.subscriptionId}</a></td><td><code>${line.dimension}</code></td><td class="num">${line.units}</td><td class="num">$${line.unitPrice}</td><td class="num">$${line.amount}</td></tr>`,
  )}</tbody>
<tfoot><tr><th scope="row" colspan="6">Total${lines.length > shown.length && html` of all ${lines.length} lines`}, ${currency}</th><td class="num">$${total}</td></tr></tfoot>
</table></div>`
}

function recordTable(records: readonly LedgerRecord[]): Html {
  if (records.length === 0) {
    return html`<p class="empty">None yet. Subscribe, set up your account, use the product, and advance the clock: usage is sent for hours that are over.</p>`
  }
  return html`<div class="table" tabindex="0" role="region" aria-label="Usage records"><table>
<thead><tr><th scope="col">Hour</th><th scope="col">Account</th><th scope="col">Dimension</th><th scope="col" class="num">Quantity</th><th scope="col">Region</th><th scope="col">Received</th><th scope="col">Metering record</th></tr></thead>
<tbody>${records.map(
    (record) =>
      html`<tr><td>${timeOf(record.hourStart)}</td><td><code>${record.accountId}</code></td><td><code>${record.dimension}</code></td><td class="num">${record.quantity}</td><td>${record.region}</td><td>${timeOf(record.receivedAt)}</td><td><code>${record.meteringRecordId}</code></td></tr>`,
  )}</tbody></table></div>`
}

export function problemPage(title: string, detail: string): Html {
  return html`<h1>${title}</h1><p class="lead" role="alert">${detail}</p><p><a href="/">Back to the products</a></p>`
}
