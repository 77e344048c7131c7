import type { Product } from '../../domain/products/product.ts'

/** What runs, and what it is to be told to a person. */
export interface Ready {
  readonly url: string
  readonly storefront: string
  /** Undefined: mail goes to real people. */
  readonly mailbox: string | undefined
  /** A service key. */
  readonly key: string
  /** What is sold; the first of several. */
  readonly product: Product | undefined
}

/** @param data - the folder that everything is kept in */
export function greetingOf(ready: Ready, data: string): string {
  const { url, storefront, mailbox } = ready
  return `SIMULATED: nothing leaves this machine

  Server      ${url}        docs at ${url}/docs
  Storefront  ${storefront}
${mailbox === undefined ? '' : `  Mailbox     ${mailbox}\n`}
1. Open the storefront, press "Subscribe", then "Set up your account", and leave your e-mail address.
   AWS says a minute later that access starts; "Advance one hour" does not wait.
${useOf(ready)}

3. Advance the hour on the storefront (or: tollkeeper simulator clock advance 2h).
   The record is sealed, sent and accepted: tollkeeper usage status, and the storefront's usage page.

Ctrl-C stops it; all is kept in ${data}/ for the next start.
`
}

/** One use, as a product says it; of what the gate meters, as it asks for it. */
function useOf({ url, storefront, key, product }: Ready): string {
  const reported = product?.dimensions.find(({ meteredBy }) => meteredBy === 'product')
  const gated = reported === undefined ? product?.dimensions[0] : undefined
  const asked = (path: string, body: string) =>
    `   curl -s ${url}${path} \\
     -H 'authorization: Bearer ${key}' -H 'content-type: application/json' \\
     -d '${body}'`
  if (gated !== undefined)
    return `2. Ask the gate for one use of it, which is counted and billed in one step. The id of the subscription is what
   "tollkeeper subscription list" shows:

${asked('/quota/validate', `{"subscriptionId":"sub_…","dimension":"${gated.key}"}`)}`
  const quantity = reported?.aggregation === 'count' ? '' : '"quantity":1,'
  const time = `'$(curl -s ${storefront}/_control/clock | grep -o '20[0-9T:.-]*Z')'`
  return `2. Report one use of it:

${asked('/meter', `{"dimension":"${reported?.key ?? 'requests'}",${quantity}"usageTime":"${time}","correlationId":"'$(date +%s%N)'"}`)}`
}
