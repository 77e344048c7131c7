import { describe, expect, it } from 'vitest'
import { createProductCatalog } from '../../domain/products/product.ts'
import type { AggregationPeriod } from '../../domain/usage/aggregation.ts'
import { aDimension, aProduct } from './fixtures.ts'
import { startLedger } from './ledger-harness.ts'
import type { OpenStores } from './open-stores.ts'

/** What is true of a whole ledger, for good, whoever has it open. */
export function ledgerContract(name: string, open: OpenStores): void {
  describe(`${name}: a ledger’s identity`, () => {
    it('is of one mode and one account for good, in every process', async () => {
      const ledger = Symbol('ledger')
      const [one, two] = [await open(ledger), await open(ledger)]
      await one.claimLedger({ mode: 'shadow', accountId: '111122223333' })
      await two.claimLedger({ mode: 'shadow', accountId: '111122223333' })
      await expect(two.claimLedger({ mode: 'live', accountId: '111122223333' })).rejects.toThrow(
        'is shadow for good',
      )
      await expect(two.claimLedger({ mode: 'shadow', accountId: '999900001111' })).rejects.toMatchObject({
        code: 'ledger.mode_mismatch',
      })
    })

    it('is of one mode though several processes claim it at once', async () => {
      const ledger = Symbol('ledger')
      const nodes = await Promise.all([open(ledger), open(ledger), open(ledger)])
      const claims = await Promise.allSettled(
        nodes.map((node, number) =>
          node.claimLedger({ mode: number === 1 ? 'live' : 'shadow', accountId: undefined }),
        ),
      )
      const [first] = claims
        .map(({ status }, number) => (status === 'fulfilled' ? number : -1))
        .filter((n) => n >= 0)
      expect(claims.map(({ status }) => status === 'fulfilled')).toEqual(
        nodes.map((_, number) => (number === 1) === (first === 1)),
      )
    })

    it('has one secret for all its processes, and after a restart', async () => {
      const ledger = Symbol('ledger')
      const [one, two] = [await open(ledger), await open(ledger)]
      const [a, b] = await Promise.all([one.secret('tickets', 32), two.secret('tickets', 32)])
      expect(a).toHaveLength(32)
      expect(a).toEqual(b)
      expect(await (await open(ledger)).secret('tickets', 32)).toEqual(a)
    })

    it('no two ledgers, and no two purposes, have the same secret', async () => {
      const stores = await open()
      const secrets = [
        await stores.secret('tickets', 32),
        await stores.secret('other', 32),
        await (await open()).secret('tickets', 32),
      ]
      expect(new Set(secrets.map((secret) => Buffer.from(secret).toString('hex'))).size).toBe(3)
    })

    const productOf = (aggregation: 'unique' | 'max' | 'sum', per: AggregationPeriod) =>
      aProduct({ dimensions: [aDimension({ key: 'users', aggregation, per })] })

    /** A ledger that has counted one dimension. */
    const counted = async (aggregation: 'unique' | 'max' | 'sum') => {
      const ledger = await startLedger(open, productOf(aggregation, 'month'))
      const values = aggregation === 'unique' ? { quantity: undefined, value: 'ada' } : {}
      expect(await ledger.report(await ledger.subscribe(), 'a', 5, values)).toMatchObject({
        status: 'accepted',
      })
      return ledger
    }

    it.each(['unique', 'max'] as const)(
      'refuses to start when a %s dimension is to be taken over another period: the same would be billed again',
      async (aggregation) => {
        const { checkDimensions } = await counted(aggregation)
        await checkDimensions(createProductCatalog([productOf(aggregation, 'month')]))
        await expect(checkDimensions(createProductCatalog([productOf(aggregation, 'day')]))).rejects.toThrow(
          'counted with per month, the configuration says day',
        )
      },
    )

    it('takes no notice of a period where events just add up', async () => {
      const { checkDimensions } = await counted('sum')
      await checkDimensions(createProductCatalog([productOf('sum', 'day')]))
    })
  })
}
