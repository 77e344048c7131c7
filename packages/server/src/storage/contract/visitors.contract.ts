import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PLAIN_PLAN } from '../../domain/plans/plan.ts'
import { createProductCatalog } from '../../domain/products/product.ts'
import { eventKey } from '../../domain/usage/ingest-usage.ts'
import type { Challenges } from '../../domain/visitors/challenge.ts'
import { forgetVisitors } from '../../domain/visitors/forget-visitors.ts'
import type { ConversionTrace, Visitor, VisitorHash } from '../../domain/visitors/visitor.ts'
import { createVisitorGate } from '../../domain/visitors/visitor-gate.ts'
import { aClock, aProduct, aSubscription, LONG_MS, utc } from './fixtures.ts'
import { type OpenStores, openTelling } from './open-stores.ts'

const NOW = utc('2026-11-21T10:30')
const DAY = 86_400_000
/** What is kept of when one was seen. */
const TODAY = utc('2026-11-21T00:00')
const LIFE = 30 * DAY

const hashes = (...salts: readonly number[]): readonly VisitorHash[] =>
  salts.map((salt) => ({ salt, hash: `ada-${salt}` }))

const seen = (...salts: readonly number[]) => ({
  product: 'demo',
  hashes: hashes(...salts),
  at: NOW,
  solution: undefined,
})

const nobodyAsks: Challenges = {
  create: async () => ({}),
  verify: async () => ({ problem: 'wrong' }),
}

/** What every store of visitors promises. @param runs - of what is random */
export function visitorsContract(name: string, open: OpenStores, runs: number): void {
  const startNodes = async (nodes: number) => {
    const ledger = Symbol('ledger')
    const opened = []
    for (let index = 0; index < nodes; index++) opened.push(await open(ledger))
    return opened
  }
  const start = async () => (await open()).visitors

  describe(`${name}: salts of visitors`, () => {
    it('are one for all processes, whoever asks first', async () => {
      const nodes = await startNodes(3)
      const made = await Promise.all(nodes.map(({ visitors }) => visitors.salts(NOW, LIFE)))
      expect(made[0]).toMatchObject([{ number: 1, since: NOW }])
      expect(made[0]![0]!.secret).toHaveLength(32)
      for (const salts of made) expect(salts).toEqual(made[0])
      expect(await nodes[0]!.visitors.salts(NOW + LIFE - 1, LIFE)).toEqual(made[0])
    })

    it('follow each other, and live on for the time of the next one', async () => {
      const [one, two] = await startNodes(2)
      const [first] = await one!.visitors.salts(NOW, LIFE)
      const next = await Promise.all([one, two].map((node) => node!.visitors.salts(NOW + LIFE, LIFE)))
      expect(next[0]!.map(({ number }) => number)).toEqual([2, 1])
      expect(next[1]).toEqual(next[0])
      expect(next[0]![1]).toEqual(first)
      expect(next[0]![0]!.secret).not.toEqual(first!.secret)
      const third = await one!.visitors.salts(NOW + 2 * LIFE, LIFE)
      expect(third.map(({ number }) => number)).toEqual([3, 2])
      expect(await two!.visitors.salts(NOW + 2 * LIFE, LIFE)).toEqual(third)
    })

    it('do not live longer where nobody came for a while', async () => {
      const visitors = await start()
      await visitors.salts(NOW, LIFE)
      expect((await visitors.salts(NOW + LIFE + 5 * DAY, LIFE)).map(({ number }) => number)).toEqual([2, 1])
      expect((await visitors.salts(NOW + 2 * LIFE, LIFE)).map(({ number }) => number)).toEqual([2])
      expect((await visitors.salts(NOW + 9 * LIFE, LIFE)).map(({ number }) => number)).toEqual([3])
    })
  })

  describe(`${name}: visitors`, () => {
    it('are one, however many processes see them first at once', async () => {
      const nodes = await startNodes(3)
      const outcomes = await Promise.all(
        Array.from({ length: 9 }, (_, index) => nodes[index % 3]!.visitors.see(seen(2, 1))),
      )
      const ids = new Set(outcomes.map((outcome) => outcome.status !== 'used' && outcome.visitor.id))
      expect([...ids]).toEqual([expect.stringMatching(/^vis_/)])
      expect(outcomes.filter(({ status }) => status === 'new')).toHaveLength(1)
    })

    it('are one for processes that do not know of the newest salt yet', async () => {
      const [ahead, behind] = await startNodes(2)
      const outcomes = await Promise.all([
        ahead!.visitors.see(seen(3, 2)),
        behind!.visitors.see(seen(2, 1)),
        ahead!.visitors.see(seen(3, 2)),
      ])
      const ids = new Set(outcomes.map((outcome) => outcome.status !== 'used' && outcome.visitor.id))
      expect(ids.size).toBe(1)
    })

    it('are carried from one salt to the next, with their first day', async () => {
      const visitors = await start()
      expect(await visitors.find(hashes(1))).toBeUndefined()
      const made = await visitors.see(seen(1))
      const first = made.status === 'new' ? made.visitor : undefined
      expect(first).toMatchObject({ product: 'demo', firstSeenAt: NOW, seenAt: TODAY, conversion: undefined })
      expect(await visitors.find(hashes(2, 1))).toEqual({ visitor: first, salt: 1 })
      const later = NOW + 20 * DAY
      expect(await visitors.see({ ...seen(2, 1), at: later })).toEqual({
        status: 'known',
        visitor: { ...first, seenAt: TODAY + 20 * DAY },
      })
      expect(await visitors.find(hashes(3, 2))).toEqual({
        visitor: { ...first, seenAt: TODAY + 20 * DAY },
        salt: 2,
      })
      expect(await visitors.find(hashes(4, 3))).toBeUndefined()
    })

    it('are known on a node for some seconds without a look at the store', async () => {
      const node = await open()
      const clock = aClock(NOW)
      const asked: string[] = []
      const noted =
        <Args extends unknown[], T>(step: string, work: (...args: Args) => Promise<T>) =>
        (...args: Args): Promise<T> => {
          asked.push(step)
          return work(...args)
        }
      const { find, see, salts } = node.visitors
      const gate = createVisitorGate({
        ...node,
        visitors: {
          ...node.visitors,
          find: noted('find', find),
          see: noted('see', see),
          salts: noted('salts', salts),
        },
        challenges: nobodyAsks,
        clock,
        settings: { saltMs: LIFE, newPerAddress: undefined },
      })
      const come = () => gate.find('demo', { ip: '192.0.2.1' }, 'consume')
      await come()
      expect(asked).toEqual(['salts', 'find', 'see'])
      for (let n = 0; n < 20; n++) await come()
      clock.set(NOW + 4_999)
      await come()
      expect(asked).toHaveLength(3)
      clock.set(NOW + 5_000)
      await come()
      expect(asked).toEqual(['salts', 'find', 'see', 'find'])
    })

    it('come in by a solution once, on whichever node', async () => {
      const [one, two] = await startNodes(2)
      const solution = { id: 'nonce', expiresAt: NOW + 600_000 }
      const by = (who: string) => ({ ...seen(), hashes: [{ salt: 1, hash: who }], solution })
      const outcomes = await Promise.all([one!.visitors.see(by('ada')), two!.visitors.see(by('bob'))])
      expect(outcomes.map(({ status }) => status).sort()).toEqual(['new', 'used'])
      const won = outcomes[0]!.status === 'new' ? 'ada' : 'bob'
      // Its own answer was lost: nothing is to be solved again.
      expect(await two!.visitors.see(by(won))).toMatchObject({ status: 'known' })
      expect(await one!.visitors.see(by('eve'))).toEqual({ status: 'used' })
    })
  })

  it(`${name}: no visitor is noted in a ledger that waits for a person, or is being moved`, async () => {
    const [node, other] = await startNodes(2)
    await node!.claimLedger({ mode: 'simulated', accountId: undefined })
    const guard = await node!.guardLedger(NOW)
    await node!.visitors.salts(NOW, LIFE)
    await guard.hold({ reason: 'a person said so' }, 'test', NOW)
    const { visitors } = other!
    const traceOf = () => {
      throw new Error('nobody was seen')
    }
    const conversion = { buyer: 'buy_1', subscription: 'sub_1', at: NOW }
    const refused = [
      () => visitors.see(seen(1)),
      () => visitors.convert(hashes(1), conversion, traceOf),
      () => visitors.salts(NOW + LIFE, LIFE),
    ]
    for (const attempt of refused)
      await expect(attempt()).rejects.toMatchObject({ code: 'ledger.waiting_for_release' })
    expect(await visitors.salts(NOW, LIFE)).toHaveLength(1)
    await guard.release('test', NOW)
    expect(await visitors.see(seen(1))).toMatchObject({ status: 'new' })
  })

  describe(`${name}: visitors who become buyers`, () => {
    const startTelling = async () => {
      const stores = await openTelling(open)
      const { subscription } = await stores.subscriptions.create(aSubscription(), 'test')
      const conversion = { buyer: subscription.buyer, subscription: subscription.id, at: NOW + DAY }
      const traceOf = (visitor: Visitor): ConversionTrace => ({
        audit: {
          at: NOW + DAY,
          actor: 'test',
          action: 'visitor.convert',
          subject: subscription.id,
          before: undefined,
          after: { visitor: visitor.id },
        },
        event: {
          id: 'evt_1',
          type: 'visitor.converted',
          at: NOW + DAY,
          product: 'demo',
          buyer: subscription.buyer,
          subscription: subscription.id,
          data: { visitor: { id: visitor.id } },
        },
      })
      return { ...stores, subscription, conversion, traceOf }
    }

    it('are noted once, in the history and to who is told', async () => {
      const { visitors, subscription, conversion, traceOf, told, history } = await startTelling()
      expect(await visitors.convert(hashes(2, 1), conversion, traceOf)).toMatchObject({ status: 'unknown' })
      await visitors.see(seen(1))
      const outcomes = []
      for (let n = 0; n < 2; n++) outcomes.push(await visitors.convert(hashes(2, 1), conversion, traceOf))
      expect(outcomes).toMatchObject([
        { status: 'converted', visitor: { conversion } },
        { status: 'repeated', visitor: { conversion } },
      ])
      const other = { ...conversion, buyer: 'buy_other' }
      expect(await visitors.convert(hashes(1), other, traceOf)).toMatchObject({
        status: 'taken',
        visitor: { conversion },
      })
      expect(await visitors.find(hashes(1))).toMatchObject({ visitor: { conversion } })
      expect((await told(subscription.id)).filter((type) => type === 'visitor.converted')).toHaveLength(1)
      await expect
        .poll(async () => (await history.list(subscription, { limit: 10 })).items)
        .toContainEqual(
          expect.objectContaining({
            kind: 'change',
            entry: expect.objectContaining({ action: 'visitor.convert' }),
          }),
        )
      // To be seen again makes nothing undone.
      expect(await visitors.see({ ...seen(2, 1), at: NOW + 2 * DAY })).toMatchObject({
        visitor: { conversion },
      })
    })
  })

  describe(`${name}: visitors who do not come back`, () => {
    it('are forgotten with what they used; others are not', async () => {
      const { visitors, quotas } = await open()
      const see = async (who: string, at: number) => {
        const outcome = await visitors.see({ ...seen(), hashes: [{ salt: 1, hash: who }], at })
        return outcome.status === 'used' ? '' : outcome.visitor.id
      }
      const [ada, bob] = [await see('ada', NOW), await see('bob', NOW + 2 * DAY)]
      const limit = { window: 'lifetime', start: 0, end: undefined, max: 10, blocks: true } as const
      for (const holder of [ada, bob])
        await quotas.admit(
          {
            key: eventKey('demo', 'calls', holder, 'a'),
            dimension: 'calls',
            quantity: 1,
            gate: { holder, limits: [limit] },
          },
          NOW,
        )
      // Whatever plans and products there are by then.
      const what = { seenBefore: NOW + DAY, now: NOW + 90 * DAY, limit: 10 }
      await expect.poll(() => visitors.forget(what)).toBe(1)
      expect(await visitors.find([{ salt: 1, hash: 'ada' }])).toBeUndefined()
      expect(await visitors.find([{ salt: 1, hash: 'bob' }])).toMatchObject({ visitor: { id: bob } })
      const counterOf = (holder: string) =>
        ({ holder, dimension: 'calls', window: 'lifetime', start: 0 }) as const
      expect(await quotas.read([counterOf(ada), counterOf(bob)])).toEqual([
        { used: 0, held: 0 },
        { used: 1, held: 0 },
      ])
      await expect.poll(() => visitors.forget(what)).toBe(0)
    })

    it('are kept while their salt lives and their trial runs, whatever is configured; salts end by themselves', async () => {
      const { visitors } = await open()
      const plan = { ...PLAIN_PLAN, audience: 'anonymous', title: 'Anonymous' } as const
      // A visitor who came on a plan that was retired since is in its trial all the same.
      const plans = [
        { ...plan, id: 'generous', trial: { days: 60 }, isRetired: true },
        { ...plan, id: 'anonymous', trial: { days: 1 } },
      ]
      const catalog = createProductCatalog([aProduct({ plans })])
      const settings = { saltMs: LIFE, keepMs: DAY }
      await visitors.salts(NOW, LIFE)
      await visitors.see(seen(2, 1))
      const { signal } = new AbortController()
      const forget = (days: number) =>
        forgetVisitors({ visitors, catalog, settings }, NOW + days * DAY, signal)
      // Seen again this late in a day, it would not have been written once more.
      const late = Date.UTC(2026, 10, 21, 23, 59, 59)
      await forget((late - NOW) / DAY + 90)
      expect(await visitors.find(hashes(2))).toMatchObject({ salt: 2 })
      expect((await visitors.salts(NOW + 89 * DAY, LIFE)).map(({ number }) => number)).toEqual([2])
      await expect
        .poll(async () => {
          await forget(92)
          return visitors.find(hashes(2))
        })
        .toBeUndefined()
    })
  })

  it(
    `${name}: no mix of addresses, browsers, nodes and salts gives a visitor more than its limit`,
    async () => {
      const MAX = 3
      /** Several ways to write one address, and one household. */
      const addresses = [
        ['192.0.2.1', '::ffff:192.0.2.1', '::FFFF:C000:0201'],
        ['192.0.2.2'],
        ['2001:db8::1', '2001:0db8:0:0:ffff::2', '2001:db8:0:0:1:2:3:4'],
        ['2001:db8:0:1::1'],
      ]
      const aVisit = fc.record({
        address: fc.nat(addresses.length - 1),
        written: fc.nat(2),
        browser: fc.constantFrom(undefined, 'Firefox'),
        node: fc.nat(1),
        /** Until the next, a part of a salt's time. */
        pause: fc.constantFrom(0, 0, 0.3, 0.9),
      })
      await fc.assert(
        fc.asyncProperty(fc.array(aVisit, { minLength: 20, maxLength: 60 }), async (visits) => {
          const clock = aClock(NOW)
          const stores = await startNodes(2)
          const gates = stores.map((node) =>
            createVisitorGate({
              ...node,
              challenges: nobodyAsks,
              clock,
              settings: { saltMs: LIFE, newPerAddress: undefined },
            }),
          )
          const known = new Map<string, { used: number; at: number; id: string }>()
          for (const [index, { address, written, browser, node, pause }] of visits.entries()) {
            const ways = addresses[address]!
            const claim = { ip: ways[written % ways.length]!, userAgent: browser }
            const found = await gates[node]!.find('demo', claim, 'consume')
            const id = found.status === 'known' ? found.visitor.id : ''
            const { status } = await stores[node]!.quotas.admit(
              {
                key: eventKey('demo', 'calls', id, String(index)),
                dimension: 'calls',
                quantity: 1,
                gate: {
                  holder: id,
                  limits: [{ window: 'lifetime', start: 0, end: undefined, max: MAX, blocks: true }],
                },
              },
              clock.now(),
            )
            const who = `${address} ${browser}`
            const before = known.get(who)
            // Away for longer than a salt's time, one is a stranger.
            const isBack = before !== undefined && clock.now() - before.at < LIFE - 60_000
            if (isBack) expect(id).toBe(before.id)
            const used = (before?.id === id ? before.used : 0) + (status === 'admitted' ? 1 : 0)
            expect(used).toBeLessThanOrEqual(MAX)
            if (status !== 'admitted') expect(used).toBe(MAX)
            for (const [other, { id: theirs }] of known) if (other !== who) expect(theirs).not.toBe(id)
            known.set(who, { used, at: clock.now(), id })
            clock.set(clock.now() + Math.floor(pause * LIFE))
          }
        }),
        { numRuns: Math.ceil(runs / 5) },
      )
    },
    LONG_MS,
  )
}
