import { ask } from './processes.ts'

export const DEMO_PRODUCT_CODE = 'demoapi0tollkeeper0000000'

/** What a buyer and an hour's passing do, through the simulator's control API. */
export function marketplaceAt(storefront: string) {
  return {
    /** Subscribes a buyer and sets up its account: the browser posts AWS's token to the seller's landing page. */
    async subscribe(
      buyerName: string,
      productCode = DEMO_PRODUCT_CODE,
    ): Promise<{ accountId: string; licenseArn: string }> {
      const body = { productCode, buyerName }
      const bought = await ask<{ id: string; accountId: string; licenseArn: string }>(
        `${storefront}/_control/subscriptions`,
        { body },
      )
      const { token, fulfillmentUrl } = await ask<{ token: string; fulfillmentUrl: string }>(
        `${storefront}/_control/subscriptions/${bought.id}/setup`,
        { body: {} },
      )
      const response = await fetch(fulfillmentUrl, {
        method: 'POST',
        body: new URLSearchParams({ 'x-amzn-marketplace-token': token }),
        redirect: 'manual',
      })
      if (response.status !== 303)
        throw new Error(`registration: ${response.status} ${await response.text()}`)
      return bought
    },
    async now(): Promise<number> {
      return (await ask<{ epochMs: number }>(`${storefront}/_control/clock`)).epochMs
    },
    /** @param by - such as `1h` */
    async advance(by: string): Promise<void> {
      await ask(`${storefront}/_control/clock`, { body: { advance: by } })
    },
    /** Orders something to go wrong; lives in the simulator's memory. */
    async orderFault(fault: object): Promise<void> {
      await ask(`${storefront}/_control/faults`, { body: fault })
    },
    async clearFaults(): Promise<void> {
      await fetch(`${storefront}/_control/faults`, { method: 'DELETE' })
    },
    /** What AWS accepted. */
    async ledger(): Promise<AwsRecord[]> {
      const records: AwsRecord[] = []
      let cursor: string | null = null
      do {
        const page: { records: AwsRecord[]; nextCursor: string | null } = await ask(
          `${storefront}/_control/ledger?limit=10000${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
        )
        records.push(...page.records)
        cursor = page.nextCursor
      } while (cursor !== null)
      return records
    },
  }
}

export interface AwsRecord {
  readonly licenseArn: string
  readonly accountId: string
  readonly dimension: string
  readonly quantity: number
  readonly [more: string]: unknown
}
