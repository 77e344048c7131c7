import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { CountedLimit, Counter, Gate } from '../../domain/quotas/quota.ts'
import type { Admission, QuotaStore } from '../../domain/quotas/quota-store.ts'
import { windowAt } from '../../domain/quotas/window.ts'
import { hourOf } from '../../domain/usage/hour.ts'
import { eventKey } from '../../domain/usage/ingest-usage.ts'
import type { RoutedEvent } from '../../domain/usage/usage-event.ts'
import { aSubscription, LONG_MS, utc } from './fixtures.ts'
import type { OpenStores } from './open-stores.ts'

const NOW = utc('2026-11-21T10:30')
const DAY = windowAt('day', NOW, 0)

function aLimit(max: number | undefined, values: Partial<CountedLimit> = {}): CountedLimit {
  return { window: 'day', ...DAY, max, blocks: true, ...values }
}

const LIFETIME = { window: 'lifetime', start: 0, end: undefined } as const

function anAdmission(
  id: string,
  limits: readonly CountedLimit[],
  values: Partial<Admission> = {},
): Admission {
  return {
    key: eventKey('demo', 'calls', 'sub_1', id),
    dimension: 'calls',
    quantity: 1,
    gate: { holder: 'sub_1', limits },
    ...values,
  }
}

const DAILY = { holder: 'sub_1', dimension: 'calls', window: 'day', start: DAY.start } as const

function count(outcomes: readonly { readonly status: string }[]): Record<string, number> {
  return Object.fromEntries(
    [...new Set(outcomes.map(({ status }) => status))]
      .sort()
      .map((status) => [status, outcomes.filter((outcome) => outcome.status === status).length]),
  )
}

/** What every store of quotas promises. @param runs - of what is random */
export function quotaStoreContract(name: string, open: OpenStores, runs: number): void {
  /** Processes on one ledger that starts empty. */
  const startNodes = async (nodes: number) => {
    const ledger = Symbol('ledger')
    const opened = []
    for (let index = 0; index < nodes; index++) opened.push(await open(ledger))
    return opened
  }
  const start = async (): Promise<QuotaStore> => (await open()).quotas

  describe(`${name}: admissions`, () => {
    it('lets through exactly what the limit is, however many ask at once, on however many nodes', async () => {
      const nodes = await startNodes(3)
      const outcomes = await Promise.all(
        Array.from({ length: 60 }, (_, index) =>
          nodes[index % 3]!.quotas.admit(anAdmission(`a${index}`, [aLimit(37)]), NOW + index),
        ),
      )
      expect(count(outcomes)).toEqual({ admitted: 37, exceeded: 23 })
      expect(await nodes[0]!.quotas.read([DAILY])).toEqual([{ used: 37, held: 0 }])
    })

    it('gives the same id the same answer, and counts it once, whichever nodes are asked', async () => {
      const nodes = await startNodes(2)
      const twice = anAdmission('twice', [aLimit(1)])
      const outcomes = await Promise.all(nodes.map(({ quotas }) => quotas.admit(twice, NOW)))
      expect(count(outcomes)).toEqual({ admitted: 1, repeated: 1 })
      const { quotas } = nodes[1]!
      expect(await quotas.admit({ ...twice, quantity: 2 }, NOW)).toMatchObject({ status: 'conflict' })
      expect(await quotas.admit(anAdmission('other', [aLimit(1)]), NOW)).toEqual({
        status: 'exceeded',
        counters: [{ used: 1, held: 0 }],
      })
      expect(await quotas.admit(twice, NOW)).toMatchObject({ status: 'repeated' })
    })

    it('remembers no refusal: what was refused may be admitted when there is room', async () => {
      const quotas = await start()
      const refused = anAdmission('a', [aLimit(0)])
      expect(await quotas.admit(refused, NOW)).toMatchObject({ status: 'exceeded' })
      const raised = anAdmission('a', [aLimit(1)])
      expect(await quotas.admit(raised, NOW)).toMatchObject({ status: 'admitted' })
    })

    it('wants room in every limit, counts in all of them or none, and blocks with those that block', async () => {
      const quotas = await start()
      const limits = [
        aLimit(3),
        aLimit(5, LIFETIME),
        aLimit(1, { ...windowAt('hour', NOW, 0), window: 'hour', blocks: false }),
      ]
      const outcomes = []
      for (const id of ['a', 'b', 'c', 'd']) outcomes.push(await quotas.admit(anAdmission(id, limits), NOW))
      expect(count(outcomes)).toEqual({ admitted: 3, exceeded: 1 })
      expect(outcomes[3]!.counters.map(({ used }) => used)).toEqual([3, 3, 3])
      const tomorrow = { ...windowAt('day', NOW + 86_400_000, 0), window: 'day' } as const
      const next = [aLimit(3, tomorrow), aLimit(5, LIFETIME)]
      const later = []
      for (const id of ['e', 'f', 'g'])
        later.push(await quotas.admit(anAdmission(id, next), NOW + 86_400_000))
      expect(count(later)).toEqual({ admitted: 2, exceeded: 1 })
      expect(later[2]!.counters).toEqual([
        { used: 2, held: 0 },
        { used: 5, held: 0 },
      ])
    })

    it('counts what is unlimited, and what no limit is for', async () => {
      const quotas = await start()
      expect(await quotas.admit(anAdmission('a', [aLimit(undefined)], { quantity: 4e15 }), NOW)).toEqual({
        status: 'admitted',
        counters: [{ used: 4e15, held: 0 }],
      })
      // Past 2^53 nothing is exact any more.
      const more = anAdmission('b', [aLimit(undefined)], { quantity: 6e15 })
      expect(await quotas.admit(more, NOW)).toMatchObject({ status: 'exceeded' })
      expect(await quotas.admit(anAdmission('c', []), NOW)).toEqual({ status: 'admitted', counters: [] })
      expect(await quotas.admit(anAdmission('c', []), NOW)).toMatchObject({ status: 'repeated' })
    })

    it('counts nothing in a ledger that waits for a person, or is being moved', async () => {
      const [node, other] = await startNodes(2)
      await node!.claimLedger({ mode: 'simulated', accountId: undefined })
      const guard = await node!.guardLedger(NOW)
      await guard.hold({ reason: 'a person said so' }, 'test', NOW)
      const refused = { code: 'ledger.waiting_for_release' }
      const { quotas } = other!
      await expect(quotas.admit(anAdmission('a', [aLimit(1)]), NOW)).rejects.toMatchObject(refused)
      const slice = { key: DAILY, end: DAY.end, want: 1, least: 1, giveBack: 0, max: 1 }
      await expect(quotas.exchange(slice, NOW)).rejects.toMatchObject(refused)
      await guard.release('test', NOW)
      expect(await quotas.admit(anAdmission('a', [aLimit(1)]), NOW)).toMatchObject({ status: 'admitted' })
    })

    it('keeps holders and dimensions apart', async () => {
      const quotas = await start()
      await quotas.admit(anAdmission('a', [aLimit(1)]), NOW)
      const others = [
        { gate: { holder: 'vis_1', limits: [aLimit(1)] }, key: eventKey('demo', 'calls', 'vis_1', 'a') },
        { dimension: 'scans', key: eventKey('demo', 'scans', 'sub_1', 'a') },
      ]
      for (const other of others)
        expect(await quotas.admit(anAdmission('a', [aLimit(1)], other), NOW)).toMatchObject({
          status: 'admitted',
        })
    })
  })

  describe(`${name}: slices of a limit`, () => {
    const slice = (want: number, giveBack = 0, max = 100, least = 1) => ({
      key: DAILY,
      end: DAY.end,
      want,
      least,
      giveBack,
      max,
    })
    it('come to the limit and no more, with what is admitted beside them', async () => {
      const [one, two] = await startNodes(2)
      await one!.quotas.admit(anAdmission('a', [aLimit(100)], { quantity: 10 }), NOW)
      const granted = await Promise.all(
        Array.from({ length: 8 }, (_, index) =>
          (index % 2 === 0 ? one : two)!.quotas.exchange(slice(15), NOW),
        ),
      )
      expect(granted.reduce((sum, one) => sum + one.granted, 0)).toBe(90)
      expect(await one!.quotas.admit(anAdmission('b', [aLimit(100)]), NOW)).toMatchObject({
        status: 'exceeded',
      })
    })

    it('are given back unused, and nothing is granted where the limit was lowered', async () => {
      const quotas = await start()
      expect(await quotas.exchange(slice(60), NOW)).toEqual({ granted: 60, counter: { used: 60, held: 0 } })
      expect(await quotas.exchange(slice(60, 40), NOW)).toEqual({
        granted: 60,
        counter: { used: 80, held: 0 },
      })
      expect(await quotas.exchange(slice(10, 0, 50), NOW)).toEqual({
        granted: 0,
        counter: { used: 80, held: 0 },
      })
      expect(await quotas.exchange(slice(0, 60), NOW)).toEqual({ granted: 0, counter: { used: 20, held: 0 } })
    })
  })

  describe(`${name}: slices and what is too large for them`, () => {
    it('take nothing where less than the least is left, so that it is there for others', async () => {
      const quotas = await start()
      const asked = { key: DAILY, end: DAY.end, want: 200, least: 200, giveBack: 0, max: 100 }
      expect(await quotas.exchange(asked, NOW)).toEqual({ granted: 0, counter: { used: 0, held: 0 } })
      expect(await quotas.admit(anAdmission('a', [aLimit(100)], { quantity: 100 }), NOW)).toMatchObject({
        status: 'admitted',
      })
    })
  })

  describe(`${name}: reservations`, () => {
    const MINUTE = 60_000
    const reserve = (quotas: QuotaStore, id: string, quantity: number, limits = [aLimit(10)]) =>
      quotas.reserve(anAdmission(id, limits, { quantity }), {
        id: `rsv_${id}`,
        product: 'demo',
        createdAt: NOW,
        expiresAt: NOW + MINUTE,
      })
    const gate = (limits = [aLimit(10)]): { gate: Gate; dimension: string } => ({
      gate: { holder: 'sub_1', limits },
      dimension: 'calls',
    })

    it('hold their quantity until they are settled for what was used', async () => {
      const quotas = await start()
      expect(await reserve(quotas, 'a', 6)).toMatchObject({
        status: 'admitted',
        counters: [{ used: 0, held: 6 }],
        reservation: { id: 'rsv_a', state: 'held', quantity: 6, expiresAt: NOW + MINUTE },
      })
      expect(await reserve(quotas, 'b', 5)).toMatchObject({ status: 'exceeded', reservation: undefined })
      expect(await quotas.admit(anAdmission('c', [aLimit(10)], { quantity: 5 }), NOW)).toMatchObject({
        status: 'exceeded',
      })
      expect(await quotas.settle('rsv_a', 2, gate(), NOW)).toMatchObject({
        status: 'settled',
        reservation: { state: 'settled', used: 2 },
      })
      expect(await quotas.read([DAILY])).toEqual([{ used: 2, held: 0 }])
      expect(await reserve(quotas, 'b', 5)).toMatchObject({ status: 'admitted' })
    })

    it('are one by their id, and settle once', async () => {
      const [one, two] = await startNodes(2)
      const reserved = await Promise.all([reserve(one!.quotas, 'a', 4), reserve(two!.quotas, 'a', 4)])
      expect(count(reserved)).toEqual({ admitted: 1, repeated: 1 })
      expect(await reserve(two!.quotas, 'a', 5)).toMatchObject({ status: 'conflict' })
      const settled = await Promise.all(
        [one, two, one].map((node) => node!.quotas.settle('rsv_a', 3, gate(), NOW)),
      )
      expect(settled.map((outcome) => outcome?.status)).toEqual(['settled', 'settled', 'settled'])
      expect(await one!.quotas.settle('rsv_a', 4, gate(), NOW)).toMatchObject({ status: 'conflict' })
      expect(await two!.quotas.read([DAILY])).toEqual([{ used: 3, held: 0 }])
      expect(await one!.quotas.settle('rsv_none', 1, gate(), NOW)).toBeUndefined()
    })

    it('are released, and then settle no more', async () => {
      const quotas = await start()
      await reserve(quotas, 'a', 4)
      expect(await quotas.release('rsv_a', NOW)).toMatchObject({ state: 'released' })
      expect(await quotas.release('rsv_a', NOW)).toMatchObject({ state: 'released' })
      expect(await quotas.settle('rsv_a', 1, gate(), NOW)).toMatchObject({ status: 'conflict' })
      expect(await quotas.read([DAILY])).toEqual([{ used: 0, held: 0 }])
      expect(await quotas.release('rsv_none', NOW)).toBeUndefined()
    })

    it('are held anew under the same id where they were let go of, or refused where there is no room', async () => {
      const quotas = await start()
      await reserve(quotas, 'a', 6)
      await quotas.release('rsv_a', NOW)
      expect(await reserve(quotas, 'a', 7)).toMatchObject({
        status: 'admitted',
        reservation: { state: 'held', quantity: 7 },
      })
      expect(await quotas.read([DAILY])).toEqual([{ used: 0, held: 7 }])
      const later = (id: string, quantity: number, at: number) =>
        quotas.reserve(anAdmission(id, [aLimit(10)], { quantity }), {
          id: `rsv_${id}`,
          product: 'demo',
          createdAt: at,
          expiresAt: at + MINUTE,
        })
      // Expired: the same again holds from now on.
      expect(await later('a', 7, NOW + MINUTE)).toMatchObject({ status: 'admitted' })
      expect(await quotas.read([DAILY])).toEqual([{ used: 0, held: 7 }])
      expect(await later('b', 3, NOW + MINUTE)).toMatchObject({ status: 'admitted' })
      await quotas.release('rsv_b', NOW + MINUTE)
      await quotas.admit(anAdmission('c', [aLimit(10)], { quantity: 3 }), NOW + MINUTE)
      expect(await later('b', 3, NOW + MINUTE)).toMatchObject({ status: 'exceeded', reservation: undefined })
      expect(await quotas.settle('rsv_a', 7, gate(), NOW + MINUTE)).toMatchObject({ status: 'settled' })
      expect(await later('a', 7, NOW + 3 * MINUTE)).toMatchObject({
        status: 'repeated',
        reservation: { state: 'settled' },
      })
      expect(await quotas.read([DAILY])).toEqual([{ used: 10, held: 0 }])
    })

    it('expire, so that whoever asks next is not refused for them', async () => {
      const quotas = await start()
      await reserve(quotas, 'a', 10)
      const next = anAdmission('b', [aLimit(10)], { quantity: 9 })
      expect(await quotas.admit(next, NOW + MINUTE - 1)).toMatchObject({ status: 'exceeded' })
      expect(await quotas.admit(next, NOW + MINUTE)).toMatchObject({
        status: 'admitted',
        counters: [{ used: 9, held: 0 }],
      })
      expect(await quotas.findReservation('rsv_a')).toMatchObject({ state: 'expired' })
    })

    it('count after they expired only where there is room', async () => {
      const quotas = await start()
      for (const id of ['a', 'b']) await reserve(quotas, id, 5)
      const late = NOW + 2 * MINUTE
      expect(await quotas.settle('rsv_a', 5, gate(), late)).toMatchObject({ status: 'settled' })
      await quotas.admit(anAdmission('c', [aLimit(10)], { quantity: 3 }), late)
      expect(await quotas.settle('rsv_b', 5, gate(), late)).toMatchObject({
        status: 'exceeded',
        reservation: { state: 'expired' },
      })
      expect(await quotas.settle('rsv_b', 2, gate(), late)).toMatchObject({ status: 'settled' })
      expect(await quotas.read([DAILY])).toEqual([{ used: 10, held: 0 }])
    })

    it('are let go of in the windows that they were made in, by a job as well', async () => {
      const quotas = await start()
      await reserve(quotas, 'a', 4)
      await reserve(quotas, 'b', 3)
      expect(await quotas.expire(NOW + MINUTE - 1, 10)).toBe(0)
      // On DynamoDB an index says what is due, a moment later.
      await expect.poll(() => quotas.expire(NOW + 86_400_000, 10)).toBe(2)
      expect(await quotas.read([DAILY])).toEqual([{ used: 0, held: 0 }])
      await expect.poll(() => quotas.expire(NOW + 86_400_000, 10)).toBe(0)
    })
  })

  describe(`${name}: reservations that are held anew`, () => {
    const HOUR = 3_600_000
    const IDS = Array.from({ length: 6 }, (_, index) => `a${index}`)
    const hourly = (at: number) => [aLimit(100, { ...windowAt('hour', at, 0), window: 'hour' })]
    const hourKey = (at: number) => {
      const { start } = windowAt('hour', at, 0)
      return { holder: 'sub_1', dimension: 'calls', window: 'hour', start } as const
    }
    const reserve = (quotas: QuotaStore, id: string, at: number) =>
      quotas.reserve(anAdmission(id, hourly(at), { quantity: 2 }), {
        id: `rsv_${id}`,
        product: 'demo',
        createdAt: at,
        expiresAt: at + 60_000,
      })

    it('are not let go of by what saw them expire, in another window either, and by whatever else is asked', async () => {
      const [one, two] = await startNodes(2)
      for (const id of IDS) await reserve(one!.quotas, id, NOW)
      const later = NOW + HOUR
      const key = (id: string) => eventKey('demo', 'calls', 'sub_1', `beside-${id}`)
      await Promise.all([
        one!.quotas.expire(later, 100),
        ...IDS.map((id) => reserve(two!.quotas, id, later)),
        // In the window that they were held in before: it lets go of what it sees expired.
        ...IDS.map((id) =>
          one!.quotas.admit(anAdmission(id, hourly(NOW), { key: key(id), quantity: 1 }), later),
        ),
        one!.quotas.expire(later, 100),
      ])
      for (const id of IDS)
        expect(await one!.quotas.findReservation(`rsv_${id}`)).toMatchObject({
          state: 'held',
          expiresAt: later + 60_000,
        })
      expect(await one!.quotas.read([hourKey(NOW), hourKey(later)])).toEqual([
        { used: IDS.length, held: 0 },
        { used: 0, held: 2 * IDS.length },
      ])
    })
  })

  describe(`${name}: usage that the gate meters`, () => {
    const SUBSCRIPTION = aSubscription({ id: 'sub_1' })
    const startMetered = async (nodes = 1) => {
      const opened = await startNodes(nodes)
      await opened[0]!.subscriptions.create(SUBSCRIPTION, 'test')
      const epoch = await opened[0]!.usage.epoch()
      const record = async (id: string, limits: readonly CountedLimit[], values: Values = {}) =>
        (
          await (values.on ?? opened[0]!).usage.record(
            [anEvent(id, limits, values)],
            values.now ?? NOW,
            epoch,
          )
        )[0]!
      return { opened, record, usage: opened[0]!.usage, quotas: opened[0]!.quotas }
    }

    it('counts it and its quota in one step: exactly what the limit is', async () => {
      const { opened, record, usage } = await startMetered(2)
      const outcomes = await Promise.all(
        Array.from({ length: 30 }, (_, index) =>
          record(`a${index}`, [aLimit(21), aLimit(100, LIFETIME)], {
            on: opened[index % 2],
            now: NOW + index,
          }),
        ),
      )
      expect(count(outcomes)).toEqual({ accepted: 21, exceeded: 9 })
      const { items } = await usage.listBuckets({ limit: 10 })
      expect(items).toMatchObject([{ quantity: 21n, events: 21 }])
      expect(await opened[1]!.quotas.read([DAILY, { ...DAILY, ...LIFETIME }])).toEqual([
        { used: 21, held: 0 },
        { used: 21, held: 0 },
      ])
    })

    it('lets an id through again that took the last of it, whichever nodes it comes to at once', async () => {
      const { opened, record, usage } = await startMetered(2)
      for (let n = 0; n < 8; n++) {
        const outcomes = await Promise.all(
          [0, 1, 0, 1].map((node) => record(`a${n}`, [aLimit(n + 1)], { on: opened[node] })),
        )
        expect(count(outcomes)).toEqual({ accepted: 1, duplicate: 3 })
      }
      const key = (id: string) => eventKey('demo', 'calls', '', id)
      expect(await usage.isRecorded([key('a0'), key('none'), key('a7')])).toEqual([true, false, true])
      const { quotas } = opened[0]!
      const admission = anAdmission('x', [])
      await quotas.admit(admission, NOW)
      expect(await quotas.isAdmitted([key('a0'), admission.key])).toEqual([false, true])
    })

    it('knows an id again, whenever it comes, and says what is left', async () => {
      const { record, quotas } = await startMetered()
      expect(await record('a', [aLimit(1)])).toEqual({ status: 'accepted', counters: [{ used: 1, held: 0 }] })
      expect(await record('a', [aLimit(1)], { now: NOW + 5_000 })).toEqual({
        status: 'duplicate',
        counters: [{ used: 1, held: 0 }],
      })
      expect(await record('a', [aLimit(9)], { quantity: 2 })).toMatchObject({ status: 'conflict' })
      expect(await record('b', [aLimit(1)])).toEqual({ status: 'exceeded', counters: [{ used: 1, held: 0 }] })
      expect(await quotas.read([DAILY])).toEqual([{ used: 1, held: 0 }])
    })

    it('lets nothing through that nobody can be billed for', async () => {
      const { record, usage, quotas } = await startMetered()
      expect(await record('a', [aLimit(5)], { hours: [] })).toMatchObject({ status: 'unbillable' })
      expect((await usage.listBuckets({ limit: 10 })).items).toEqual([])
      expect(await quotas.read([DAILY])).toEqual([{ used: 0, held: 0 }])
    })

    it('bills past a limit that does not block', async () => {
      const { record, quotas } = await startMetered()
      for (const id of ['a', 'b', 'c'])
        expect(await record(id, [aLimit(2, { blocks: false })])).toMatchObject({ status: 'accepted' })
      expect(await quotas.read([DAILY])).toEqual([{ used: 3, held: 0 }])
    })

    it('settles a reservation by the event that is billed, once', async () => {
      const { record, usage, quotas } = await startMetered()
      const limits = [aLimit(10)]
      await quotas.reserve(anAdmission('a', limits, { quantity: 10 }), {
        id: 'rsv_a',
        product: 'demo',
        createdAt: NOW,
        expiresAt: NOW + 60_000,
      })
      expect(await record('b', limits)).toMatchObject({ status: 'exceeded' })
      const settle = { quantity: 7, reservation: 'rsv_a' }
      expect(await record('rsv_a', limits, settle)).toEqual({
        status: 'accepted',
        counters: [{ used: 7, held: 0 }],
      })
      expect(await record('rsv_a', limits, settle)).toMatchObject({ status: 'duplicate' })
      expect(await quotas.findReservation('rsv_a')).toMatchObject({ state: 'settled', used: 7 })
      expect((await usage.listBuckets({ limit: 10 })).items).toMatchObject([{ quantity: 7n, events: 1 }])
      await quotas.reserve(anAdmission('c', limits, { quantity: 1 }), {
        id: 'rsv_c',
        product: 'demo',
        createdAt: NOW,
        expiresAt: NOW + 60_000,
      })
      await quotas.release('rsv_c', NOW)
      expect(await record('rsv_c', limits, { reservation: 'rsv_c' })).toMatchObject({ status: 'conflict' })
    })
  })

  describe(`${name}: any order of asking, reserving, settling and leasing`, () => {
    it(
      'never lets more through than the limit, and loses nothing',
      () =>
        fc.assert(
          fc.asyncProperty(
            fc.array(aStep, { minLength: 5, maxLength: 25 }),
            fc.integer({ min: 1, max: 12 }),
            async (steps, max) => {
              const nodes = (await startNodes(2)).map(({ quotas }) => quotas)
              const model = aModel(max)
              for (const [index, step] of steps.entries()) {
                const at = NOW + index * 1_000
                await play(nodes[step.node]!, step, max, at, model)
                const [counter] = await nodes[1 - step.node]!.read([DAILY])
                expect(counter!.used).toBe(model.counter().used)
                // What has expired is let go of when somebody next asks for room.
                expect(counter!.held).toBeGreaterThanOrEqual(model.counter().held)
                expect(counter!.used + counter!.held).toBeLessThanOrEqual(max)
              }
            },
          ),
          { numRuns: runs },
        ),
      LONG_MS,
    )
  })
}

type Values = {
  readonly on?: ({ readonly usage: { record: unknown } } & Awaited<ReturnType<OpenStores>>) | undefined
  readonly now?: number
  readonly quantity?: number
  readonly hours?: readonly number[]
  readonly reservation?: string
}

function anEvent(id: string, limits: readonly CountedLimit[], values: Values): RoutedEvent {
  const now = values.now ?? NOW
  return {
    key: eventKey('demo', 'calls', '', id),
    event: { id, source: '', time: now, quantity: values.quantity ?? 1, value: undefined, tags: '' },
    subscription: 'sub_1',
    product: 'demo',
    dimension: 'calls',
    scale: 0,
    aggregation: 'sum',
    hours: values.hours ?? [hourOf(now), hourOf(now) + 1],
    unbillable: 'subscription_ended',
    period: '',
    hasHeir: false,
    isInherited: false,
    gate: { holder: 'sub_1', limits, reservation: values.reservation },
  }
}

// A model of one window that knows nothing of stores.

interface Step {
  readonly kind: 'admit' | 'reserve' | 'settle' | 'release' | 'take' | 'giveBack'
  readonly node: number
  readonly id: number
  readonly quantity: number
}

const aStep: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('admit', 'admit', 'reserve', 'settle', 'release', 'take', 'giveBack'),
  node: fc.integer({ min: 0, max: 1 }),
  id: fc.integer({ min: 0, max: 5 }),
  quantity: fc.integer({ min: 1, max: 4 }),
})

/** Reservations are held for so long; a step takes a second. */
const HELD_MS = 6_000

function aModel(max: number) {
  const admitted = new Map<number, number>()
  const held = new Map<
    number,
    { quantity: number; until: number; state: 'held' | 'settled' | 'released' | 'expired' }
  >()
  let used = 0
  let leased = 0
  const holding = () =>
    [...held.values()]
      .filter(({ state }) => state === 'held')
      .reduce((sum, { quantity }) => sum + quantity, 0)
  const expire = (now: number) => {
    for (const one of held.values()) if (one.state === 'held' && one.until <= now) one.state = 'expired'
  }
  const room = () => max - used - holding()
  return {
    admitted,
    held,
    expire,
    room,
    counter: (): Counter => ({ used, held: holding() }),
    use: (quantity: number) => {
      used += quantity
    },
    lease: (quantity: number) => {
      leased += quantity
      used += quantity
    },
    leased: () => leased,
  }
}

async function play(
  quotas: QuotaStore,
  step: Step,
  max: number,
  now: number,
  model: ReturnType<typeof aModel>,
): Promise<void> {
  const { id, quantity } = step
  const limits = [aLimit(max)]
  const one = model.held.get(id)
  switch (step.kind) {
    case 'admit': {
      const before = model.admitted.get(id)
      const { status } = await quotas.admit(anAdmission(`${id}`, limits, { quantity }), now)
      model.expire(now)
      if (before !== undefined) expect(status).toBe(before === quantity ? 'repeated' : 'conflict')
      else if (quantity > model.room()) expect(status).toBe('exceeded')
      else {
        expect(status).toBe('admitted')
        model.admitted.set(id, quantity)
        model.use(quantity)
      }
      return
    }
    case 'reserve': {
      const reservation = { id: `rsv_${id}`, product: 'demo', createdAt: now, expiresAt: now + HELD_MS }
      const { status } = await quotas.reserve(anAdmission(`r${id}`, limits, { quantity }), reservation)
      model.expire(now)
      if (one?.state === 'held' || one?.state === 'settled')
        expect(status).toBe(one.quantity === quantity ? 'repeated' : 'conflict')
      else if (quantity > model.room()) expect(status).toBe('exceeded')
      else {
        expect(status).toBe('admitted')
        model.held.set(id, { quantity, until: now + HELD_MS, state: 'held' })
      }
      return
    }
    case 'settle': {
      const used = one === undefined ? quantity : Math.min(quantity, one.quantity)
      const outcome = await quotas.settle(
        `rsv_${id}`,
        used,
        { gate: { holder: 'sub_1', limits }, dimension: 'calls' },
        now,
      )
      const wasHeld = one?.state === 'held' && now < one.until
      model.expire(now)
      if (one === undefined) return expect(outcome).toBeUndefined()
      if (one.state === 'settled' || one.state === 'released') return
      if (!wasHeld && used > model.room()) return expect(outcome).toMatchObject({ status: 'exceeded' })
      expect(outcome).toMatchObject({ status: 'settled' })
      one.state = 'settled'
      model.use(used)
      return
    }
    case 'release': {
      await quotas.release(`rsv_${id}`, now)
      if (one?.state === 'held') one.state = 'released'
      model.expire(now)
      return
    }
    case 'take': {
      const { granted } = await quotas.exchange(
        { key: DAILY, end: DAY.end, want: quantity, least: 1, giveBack: 0, max },
        now,
      )
      model.expire(now)
      expect(granted).toBe(Math.max(0, Math.min(quantity, model.room())))
      model.lease(granted)
      return
    }
    case 'giveBack': {
      const giveBack = Math.min(quantity, model.leased())
      await quotas.exchange({ key: DAILY, end: DAY.end, want: 0, least: 0, giveBack, max }, now)
      model.expire(now)
      model.lease(-giveBack)
    }
  }
}
