import { describe, expect, it } from 'vitest'
import { describeHealth } from '../../domain/health/describe-health.ts'
import { judgeProbe, type ProbeOutcome } from '../../domain/health/endpoint-health.ts'
import type { Endpoint } from '../../domain/products/endpoint.ts'
import { hourOf } from '../../domain/usage/hour.ts'
import { utc } from './fixtures.ts'
import { type OpenStores, openTelling } from './open-stores.ts'

const NOW = utc('2026-11-21T10:00')
const HOUR = 3_600_000
const MINUTE = 60_000

export function anEndpoint(values: Partial<Endpoint> = {}): Endpoint {
  return {
    id: 'api',
    url: 'https://api.example.com/',
    healthUrl: 'https://api.example.com/health',
    everyMs: MINUTE,
    timeoutMs: 5_000,
    downAfter: 3,
    allowPrivate: false,
    origin: 'config',
    ...values,
  }
}

const GOOD: ProbeOutcome = { kind: 'up', latencyMs: 20 }
const BAD: ProbeOutcome = { kind: 'failed', reason: 'HTTP 503' }

/** How endpoints are kept, on every store. */
export function healthStoreContract(name: string, open: OpenStores): void {
  describe(`${name}: health of endpoints`, () => {
    const start = async (endpoints: readonly Endpoint[] = [anEndpoint()]) => {
      const stores = await openTelling(open)
      const product = { id: 'demo', endpoints }
      return {
        ...stores,
        probe: (at: number, outcome: ProbeOutcome, endpoint = endpoints[0]!, of = 'demo') =>
          stores.health.record({ product: of, endpoint: endpoint.id }, (before) =>
            judgeProbe(of, endpoint, before, outcome, at),
          ),
        now: async (at: number) => describeHealth(stores.health, product, at),
      }
    }

    it('are down after so many failures in a row and up with one good answer, told and alarmed once', async () => {
      const { probe, now, usage, events } = await start()
      await probe(NOW, GOOD)
      for (const minute of [1, 2]) await probe(NOW + minute * MINUTE, BAD)
      expect((await now(NOW))[0]?.health).toMatchObject({ state: 'up', since: NOW, failures: 2 })
      for (const minute of [3, 4]) await probe(NOW + minute * MINUTE, BAD)
      const [down] = await now(NOW)
      expect(down?.health).toMatchObject({
        state: 'down',
        since: NOW + 3 * MINUTE,
        checkedAt: NOW + 4 * MINUTE,
        failures: 4,
        reason: 'HTTP 503',
        latencyMs: 20,
      })
      expect(await usage.listAlarms(10)).toMatchObject([
        { kind: 'endpoint_down', subject: 'demo/api', count: 2, firstAt: NOW + 3 * MINUTE },
      ])
      await probe(NOW + 5 * MINUTE, { kind: 'up', latencyMs: 40 })
      expect(await usage.listAlarms(10)).toEqual([])
      const [up] = await now(NOW)
      expect(up?.health).toMatchObject({ state: 'up', since: NOW + 5 * MINUTE, failures: 0 })
      expect(up?.health?.reason).toBeUndefined()
      expect(up?.changes.map(({ at, state, reason }) => [at - NOW, state, reason])).toEqual([
        [5 * MINUTE, 'up', undefined],
        [3 * MINUTE, 'down', 'HTTP 503'],
        [0, 'up', undefined],
      ])
      expect(await events()).toMatchObject([
        { type: 'endpoint.down', product: 'demo', buyer: '', data: { endpoint: { id: 'api' }, failures: 3 } },
        { type: 'endpoint.up', data: { downSince: '2026-11-21T10:03:00.000Z' } },
      ])
    })

    it('are counted by the hour, with how long answers took', async () => {
      const { probe, health } = await start()
      for (let n = 1; n <= 20; n++) await probe(NOW + n * MINUTE, { kind: 'up', latencyMs: n * 10 })
      await probe(NOW + 30 * MINUTE, BAD)
      await probe(NOW + HOUR, BAD)
      // A clock that was put back changes no hour that is over.
      await probe(NOW + 59 * MINUTE, GOOD)
      const hour = hourOf(NOW)
      expect((await health.hours({ product: 'demo', limit: 10 })).items).toEqual([
        { product: 'demo', endpoint: 'api', hour: hour + 1, up: 1, down: 1, p50: 20, p95: 20, max: 20 },
        { product: 'demo', endpoint: 'api', hour, up: 20, down: 1, p50: 100, p95: 190, max: 200 },
      ])
    })

    it('have an uptime of a day, a week and a month', async () => {
      const { probe, now } = await start()
      const before = (hours: number) => NOW - hours * HOUR
      await probe(before(1000), BAD)
      await probe(before(500), BAD)
      await probe(before(100), GOOD)
      for (let n = 0; n < 2; n++) await probe(before(1) + n * MINUTE, GOOD)
      await probe(NOW, BAD)
      const [{ uptime } = { uptime: undefined }] = await now(NOW)
      expect(uptime).toEqual({
        '24h': { up: 2, down: 1, percent: 66.66 },
        '7d': { up: 3, down: 1, percent: 75 },
        '30d': { up: 3, down: 2, percent: 60 },
      })
    })

    it('are not known where nobody may ask', async () => {
      const { probe, now, usage } = await start()
      for (let n = 0; n < 5; n++) await probe(NOW + n * MINUTE, { kind: 'skipped', reason: 'not from here' })
      const [endpoint] = await now(NOW)
      expect(endpoint).toMatchObject({
        health: { state: 'unknown', reason: 'not from here' },
        uptime: { '24h': { up: 0, down: 0 } },
        changes: [],
      })
      expect(await usage.listAlarms(10)).toEqual([])
    })

    it('are listed in pages, newest first, all or one, without another product’s', async () => {
      const [api, eu] = [anEndpoint(), anEndpoint({ id: 'eu.west-1' })]
      const { probe, health } = await start([api, eu])
      for (let n = 0; n < 3; n++) {
        await probe(NOW + n * HOUR, GOOD, eu)
        await probe(NOW + n * HOUR, GOOD, api)
      }
      await probe(NOW, BAD, api, 'demo2')
      const read = async (endpoint?: string, from?: number) => {
        const found: string[] = []
        let cursor: string | undefined
        do {
          const page = await health.hours({ product: 'demo', endpoint, from, limit: 2, cursor })
          expect(page.items.length).toBeLessThanOrEqual(2)
          found.push(...page.items.map((item) => `${item.hour - hourOf(NOW)} ${item.endpoint}`))
          cursor = page.next
        } while (cursor !== undefined)
        return found
      }
      expect(await read()).toEqual(['2 api', '2 eu.west-1', '1 api', '1 eu.west-1', '0 api', '0 eu.west-1'])
      expect(await read('eu.west-1')).toEqual(['2 eu.west-1', '1 eu.west-1', '0 eu.west-1'])
      expect(await read('api', hourOf(NOW) + 1)).toEqual(['2 api', '1 api'])
      expect((await health.list('demo')).map(({ endpoint }) => endpoint)).toEqual(['api', 'eu.west-1'])
    })

    it('are kept as long as they are wanted, and an endpoint that is gone has no alarm', async () => {
      const { probe, health, usage, now } = await start([anEndpoint({ downAfter: 1 })])
      await probe(NOW - 10 * HOUR, BAD)
      await probe(NOW - 9 * HOUR, GOOD)
      await probe(NOW, BAD)
      await probe(NOW, GOOD, anEndpoint(), 'demo2')
      expect(await health.purge('demo', NOW - HOUR, 1)).toBe(1)
      while ((await health.purge('demo', NOW - HOUR, 1)) >= 1);
      expect((await health.hours({ product: 'demo', limit: 10 })).items).toMatchObject([
        { hour: hourOf(NOW) },
      ])
      expect((await now(NOW))[0]?.changes.map(({ at }) => at)).toEqual([NOW])
      await health.forget({ product: 'demo', endpoint: 'api' })
      await health.forget({ product: 'demo', endpoint: 'api' })
      expect(await health.list('demo')).toEqual([])
      expect(await health.list('demo2')).toHaveLength(1)
      expect(await usage.listAlarms(10)).toEqual([])
      expect((await health.hours({ product: 'demo', limit: 10 })).items).toHaveLength(1)
    })

    it('forget old changes of each endpoint, gone ones too, and keep the others', async () => {
      const names = ['api', 'api.eu', 'b', 'z~1']
      const endpoints = names.map((id) => anEndpoint({ id, downAfter: 1 }))
      const { probe, health } = await start(endpoints)
      for (const endpoint of endpoints) {
        await probe(NOW - 10 * HOUR, BAD, endpoint)
        await probe(NOW - HOUR - 1, GOOD, endpoint)
        await probe(NOW - HOUR, BAD, endpoint)
      }
      await health.forget({ product: 'demo', endpoint: 'b' })
      // No more at once than asked for.
      expect(await health.purge('demo', NOW - HOUR, 3)).toBe(3)
      const left = async () => {
        const all = await Promise.all(
          names.map((endpoint) => health.changes({ product: 'demo', endpoint }, 10)),
        )
        return all.map((changes) => changes.map(({ at }) => at - NOW))
      }
      expect((await left()).flat()).toHaveLength(9)
      while ((await health.purge('demo', NOW - HOUR, 3)) >= 3);
      expect(await left()).toEqual(names.map(() => [-HOUR]))
    })

    it('count each probe though several are written at once', async () => {
      const ledger = Symbol('ledger')
      const nodes = [await open(ledger), await open(ledger), await open(ledger)]
      await Promise.all(
        nodes.flatMap(({ health }) =>
          [0, 1, 2].map(() =>
            health.record({ product: 'demo', endpoint: 'api' }, (before) =>
              judgeProbe('demo', anEndpoint(), before, GOOD, NOW),
            ),
          ),
        ),
      )
      expect((await nodes[0]!.health.hours({ product: 'demo', limit: 1 })).items).toMatchObject([{ up: 9 }])
    })
  })
}
