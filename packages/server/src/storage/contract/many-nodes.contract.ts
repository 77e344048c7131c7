import { describe, expect, it } from 'vitest'
import { createProductCatalog } from '../../domain/products/product.ts'
import { auditUsage } from '../../domain/usage/audit-usage.ts'
import { MARGINS } from '../../domain/usage/aws-rules.ts'
import { closeDueBuckets } from '../../domain/usage/close-due-buckets.ts'
import { createIngestUsage } from '../../domain/usage/ingest-usage.ts'
import type { MeteringService } from '../../domain/usage/metering-service.ts'
import { submitDueRecords } from '../../domain/usage/submit-due-records.ts'
import type { UsageRecord } from '../../domain/usage/usage-record.ts'
import type { RecordAnswer } from '../../domain/usage/usage-store.ts'
import type { WorkLeases } from '../../domain/work-leases.ts'
import { createWorkShare } from '../../domain/work-share.ts'
import { aClock, aDimension, aProduct, aSubscription, utc } from './fixtures.ts'
import type { Stores } from './ledger-harness.ts'

export interface NodeStores extends Stores {
  readonly leases: WorkLeases
}

const MINUTE = 60_000
const TIMEOUT_MS = 1_000
/** Each with as many hours as there are dimensions: more than one node closes in one step. */
const BUYERS = 26
const DIMENSIONS = ['a', 'b', 'c', 'd']
const SPACING_MS = Math.ceil(1000 / MARGINS.callsPerSecond)

/** @param open - one node's stores on a ledger that starts empty: the ledger is another for each `ledger`, the same for equal ones */
export function manyNodesContract(name: string, open: (ledger: symbol) => Promise<NodeStores>): void {
  async function startNodes(...products: string[]) {
    const ledger = Symbol('ledger')
    const clock = aClock(utc('2026-11-21T10:30'))
    const catalog = createProductCatalog(
      products.map((id) =>
        aProduct({ id, listing: id, dimensions: DIMENSIONS.map((key) => aDimension({ key })) }),
      ),
    )
    const sends: { node: string; at: number; records: readonly UsageRecord[] }[] = []
    const aNode = async (node: string, answer: MeteringService['batchMeterUsage'] = succeed) => {
      const stores = await open(ledger)
      const share = createWorkShare({ leases: stores.leases, holder: node, clock, everyMs: 1_000 })
      const metering: MeteringService = {
        sizeOf: () => 200,
        requestOf: (records) => JSON.stringify(records.map(({ id }) => id)),
        resolveCustomer: () => Promise.reject(new Error('not asked for here')),
        batchMeterUsage: answer,
      }
      const usage: typeof stores.usage = {
        ...stores.usage,
        claim: async (options) => {
          const batch = await stores.usage.claim(options)
          if (batch !== undefined) sends.push({ node, at: batch.sendAt, records: batch.records })
          return batch
        },
      }
      return {
        ...stores,
        share,
        close: () => closeDueBuckets({ ...stores, catalog, share }, clock.now()),
        submit: () => submitDueRecords({ usage, metering, clock, share, timeoutMs: TIMEOUT_MS }),
      }
    }
    const one = await aNode('one')
    const two = await aNode('two')
    const limits = { acceptBackMs: 86_400_000, acceptAheadMs: 0 }
    const ingest = createIngestUsage({ ...one, catalog, clock, limits })
    /** Usage of so many buyers in each dimension, in an hour that is then due. */
    const fill = async (product: string, buyers: number) => {
      const reports = []
      const subscriptions: string[] = []
      for (let buyer = 0; buyer < buyers; buyer++) {
        const { subscription } = await one.subscriptions.create(aSubscription({ product }), 'test')
        subscriptions.push(subscription.id)
        for (const dimension of DIMENSIONS)
          reports.push({
            reference: { subscriptionId: subscription.id },
            product,
            dimension,
            id: `${subscription.id}/${dimension}`,
            time: clock.now(),
            quantity: 2,
          })
      }
      for (const { status } of await ingest(reports)) expect(status).toBe('accepted')
      return subscriptions
    }
    const isDue = () => clock.set(utc('2026-11-21T11:16'))
    return { one, two, aNode, fill, isDue, clock, sends, ingest }
  }

  describe(`${name}: many nodes`, () => {
    it('closes each hour once, whoever gets to it', async () => {
      const { one, two, fill, isDue } = await startNodes('demo')
      await fill('demo', BUYERS)
      isDue()
      const reports = await Promise.all([one.close(), two.close(), one.close(), two.close()])
      const closed = reports.reduce((sum, report) => sum + report.closed, 0)
      expect(closed).toBe(BUYERS * DIMENSIONS.length)
      expect(reports.reduce((sum, report) => sum + report.failed, 0)).toBe(0)
      const { items } = await one.usage.listRecords({ limit: 1_000 })
      expect(items).toHaveLength(closed)
      expect(await auditUsage(two.usage)).toMatchObject({ balanced: true })
      expect(await one.leases.list()).toEqual([])
    })

    it('closes hours that late usage comes in for all the time', async () => {
      const { one, two, fill, isDue, clock, ingest } = await startNodes('demo')
      const subscriptions = await fill('demo', BUYERS / 4)
      isDue()
      let closing = true
      let late = 0
      const reporting = (async () => {
        for (let turn = 0; closing; turn++) {
          const reports = subscriptions.flatMap((subscriptionId) =>
            DIMENSIONS.map((dimension) => ({
              reference: { subscriptionId },
              product: 'demo',
              dimension,
              id: `late/${turn}/${subscriptionId}/${dimension}`,
              time: utc('2026-11-21T10:59'),
              quantity: 1,
            })),
          )
          const outcomes = await ingest(reports)
          late += outcomes.filter(({ status }) => status === 'accepted' || status === 'late').length
        }
      })()
      const reports = await Promise.all([one.close(), two.close()])
      closing = false
      await reporting
      expect(reports.reduce((sum, { closed }) => sum + closed, 0)).toBe(
        subscriptions.length * DIMENSIONS.length,
      )
      expect(late).toBeGreaterThan(0)
      clock.set(utc('2026-11-21T12:16'))
      await one.close()
      expect(await auditUsage(two.usage)).toMatchObject({ balanced: true })
    })

    it('goes round what a node that died was closing, and takes that over when its lease is over', async () => {
      const { one, two, fill, isDue, clock } = await startNodes('demo', 'other')
      await fill('demo', BUYERS)
      await fill('other', 1)
      isDue()
      const parts = one.share.slices.map(
        (slice) => `close/demo${slice === undefined ? '' : `/${slice.index}`}`,
      )
      expect(await one.leases.claim(parts[0]!, 'dead', clock.now(), MINUTE)).toBe(true)
      const { closed } = await two.close()
      const all = (BUYERS + 1) * DIMENSIONS.length
      // The other product at least, and all other parts where there are some.
      expect(closed).toBeGreaterThanOrEqual(parts.length > 1 ? all / 2 : DIMENSIONS.length)
      expect(closed).toBeLessThan(all)
      clock.set(clock.now() + MINUTE)
      expect((await one.close()).closed).toBe(all - closed)
      expect((await one.leases.list()).filter(({ holder }) => holder !== 'dead')).toEqual([])
    })

    it('sends each record once, at a rate that all nodes share', async () => {
      const { one, two, aNode, fill, isDue, sends } = await startNodes('demo', 'other')
      const three = await aNode('three')
      for (const product of ['demo', 'other']) await fill(product, 20)
      isDue()
      await one.close()
      await Promise.all([one.submit(), two.submit(), three.submit()])
      const ids = sends.flatMap(({ records }) => records.map(({ id }) => id))
      expect(ids).toHaveLength(2 * 20 * DIMENSIONS.length)
      expect(new Set(ids).size).toBe(ids.length)
      const times = sends.map(({ at }) => at).sort((a, b) => a - b)
      for (const [index, at] of times.slice(1).entries())
        expect(at - times[index]!).toBeGreaterThanOrEqual(SPACING_MS)
      const { items } = await one.usage.listRecords({ limit: 1_000 })
      expect(items.every(({ state, attempts }) => state === 'accepted' && attempts === 1)).toBe(true)
      expect(await auditUsage(two.usage)).toMatchObject({ balanced: true })
    })

    it('lets no call that hangs hold up what other nodes send', async () => {
      const { two, aNode, fill, isDue, clock, sends } = await startNodes('demo', 'other')
      let comeBack = () => {}
      const slow = await aNode('slow', (_, records) => {
        return new Promise((resolve) => {
          comeBack = () => resolve(unanswered(records))
        })
      })
      for (const product of ['demo', 'other']) await fill(product, 10)
      isDue()
      await two.close()
      const hanging = slow.submit()
      while (sends.length === 0) await new Promise((resolve) => setImmediate(resolve))
      const held = sends[0]!.records.map(({ id }) => id)
      await two.submit()
      const others = sends.slice(1).flatMap(({ records }) => records.map(({ id }) => id))
      expect(others).toHaveLength(2 * 10 * DIMENSIONS.length - held.length)
      expect(others.filter((id) => held.includes(id))).toEqual([])

      // Its call must be over by now: whoever asks next sends the same again, as one that may have been taken.
      clock.set(clock.now() + TIMEOUT_MS + 31_000)
      await two.submit()
      const { items } = await two.usage.listRecords({ limit: 1_000 })
      expect(items.every(({ state }) => state === 'accepted')).toBe(true)
      expect(
        items
          .filter(({ attempts }) => attempts === 2)
          .map(({ id }) => id)
          .sort(),
      ).toEqual(held.sort())

      comeBack()
      await hanging
      expect(
        (await two.usage.listRecords({ limit: 1_000 })).items.every(({ state }) => state === 'accepted'),
      ).toBe(true)
      expect(await auditUsage(two.usage)).toMatchObject({ balanced: true })
    })

    it('stops a product that AWS refuses for all nodes, and lets one of them try again', async () => {
      const { one, aNode, fill, isDue, clock, sends } = await startNodes('demo')
      const nodes = await Promise.all(['two', 'three'].map((node) => aNode(node, refuse)))
      await fill('demo', 10)
      isDue()
      await one.close()
      await nodes[0]!.submit()
      await Promise.all([...nodes.map((node) => node.submit()), one.submit()])
      expect(sends).toHaveLength(1)
      clock.set(clock.now() + 5 * MINUTE)
      await Promise.all(nodes.map((node) => node.submit()))
      expect(sends).toHaveLength(2)
    })

    it('does not leave what AWS refused before to a node that does not reach AWS', async () => {
      const { one, aNode, fill, isDue, clock } = await startNodes('demo')
      const cut = await aNode('cut off', async (_, records) => unanswered(records))
      await fill('demo', 1)
      isDue()
      await one.close()
      await one.usage.isolate('demo', 'dimension', 'a', true)
      // It is always the first to ask, and others find what it tried put off.
      for (let round = 0; round < 4; round++) {
        await cut.submit()
        await one.submit()
        clock.set(clock.now() + MINUTE)
      }
      const { items } = await one.usage.listRecords({ limit: 100 })
      expect(items.find(({ dimension }) => dimension === 'a')).toMatchObject({ state: 'accepted' })
    })

    it('creates a subscription once that all nodes declare when they start', async () => {
      const { one, two } = await startNodes('demo')
      const declared = aSubscription()
      const created = await Promise.all(
        [one, two, one, two].map((node, index) =>
          node.subscriptions.create(
            { ...declared, id: `sub_start_${index}`, buyer: `buy_start_${index}` },
            'config',
          ),
        ),
      )
      expect(created.filter((outcome) => outcome.created)).toHaveLength(1)
      expect(new Set(created.map(({ subscription }) => subscription.id)).size).toBe(1)
      expect(await two.subscriptions.list({ product: 'demo', limit: 10 })).toHaveLength(1)
    })
  })
}

const succeed: MeteringService['batchMeterUsage'] = async (_, records) => ({
  outcome: 'answered',
  response: '{}',
  answers: all(records, { kind: 'result', status: 'Success', meteringRecordId: 'aws-id' }),
})

const refuse: MeteringService['batchMeterUsage'] = async (_, records) => {
  const error = { code: 'DisabledApiException', message: 'refused' }
  return {
    outcome: 'answered',
    response: '{}',
    error,
    answers: all(records, { kind: 'refused_request', ...error, alone: false }),
  }
}

function unanswered(
  records: readonly UsageRecord[],
): Awaited<ReturnType<MeteringService['batchMeterUsage']>> {
  return {
    outcome: 'unanswered',
    response: 'cut',
    answers: all(records, { kind: 'unanswered', reason: 'cut' }),
  }
}

function all(records: readonly UsageRecord[], answer: RecordAnswer): Map<string, RecordAnswer> {
  return new Map(records.map(({ id }) => [id, answer]))
}
