import { describe, expect, it } from 'vitest'
import type { Product } from '../../domain/products/product.ts'
import type { Subscription } from '../../domain/subscriptions/subscription.ts'
import { decideHold } from '../../domain/usage/decide-hold.ts'
import { HOUR_MS } from '../../domain/usage/hour.ts'
import type { ContractRuns } from './contract-runs.ts'
import { aDimension, aProduct, LONG_MS, utc } from './fixtures.ts'
import { type Stores, startLedger } from './ledger-harness.ts'

/** The fourteen rules of metering, as far as they need a store; and each fault that the simulation found. */
/** @param hours - how many hours of a month are lived through */
export function meteringRulesContract(
  name: string,
  open: () => Promise<Stores>,
  { hours, pages }: ContractRuns,
): void {
  const start = (product?: Product, now?: number) => startLedger(open, product, now)
  const withDimension = (values: Parameters<typeof aDimension>[0]) =>
    aProduct({ dimensions: [aDimension(values)] })
  const LEGACY = {
    licenseArn: undefined,
    customerIdentifier: 'ifAPi5AcF3',
    customerAwsAccountId: '123456789012',
  }

  describe(`${name}: rule 1, freeze, then send`, () => {
    it('sends the same record again, whatever happened to configuration and usage meanwhile', async () => {
      const { subscribe, report, clock, close, submit, aws, configure } = await start()
      const buyer = await subscribe()
      await report(buyer, 'a', 3)
      clock.set(utc('2026-11-21T11:15'))
      await close()
      aws.next.push('lost')
      await submit()
      configure(aProduct({ region: 'eu-west-1', dimensions: [aDimension({ unitSize: 1000n })] }))
      await report(buyer, 'b', 7, { time: utc('2026-11-21T10:40') })
      clock.set(utc('2026-11-21T11:30'))
      await close()
      await submit()
      const frozen = ({ id, timestamp, quantity, identity, region }: (typeof aws.calls)[0][0]) => ({
        id,
        timestamp,
        quantity,
        identity,
        region,
      })
      expect(aws.calls).toHaveLength(2)
      expect(frozen(aws.calls[1]![0]!)).toEqual(frozen(aws.calls[0]![0]!))
    })

    it('gives the amount to the next free hour when a buyer who left and came back has the hour at AWS already', async () => {
      const product = aProduct({ metering: 'legacy' })
      const { subscribe, report, clock, close, submit, records, end, audit } = await start(product)
      const first = await subscribe(LEGACY)
      await report(first, 'a', 3)
      await end(first, clock.now())
      clock.set(utc('2026-11-21T10:41'))
      await close()
      const second = await subscribe({ ...LEGACY, accessStart: utc('2026-11-21T10:41') })
      await report(second, 'b', 4)
      clock.set(utc('2026-11-21T11:15'))
      await close()
      await submit()
      clock.set(utc('2026-11-21T12:15'))
      await close()
      await submit()
      expect((await records()).map(({ quantity, timestamp, state }) => [quantity, timestamp, state])).toEqual(
        [
          [4, utc('2026-11-21T11:00'), 'accepted'],
          [3, utc('2026-11-21T10:00'), 'accepted'],
        ],
      )
      expect(await audit()).toMatchObject({ balanced: true })
    })
  })

  describe(`${name}: rule 2, complete deduplication`, () => {
    it('finds a re-stamped retry in any hour of the days that are kept, also from another process', async () => {
      const { subscribe, report, clock } = await start()
      const buyer = await subscribe()
      await report(buyer, 'a', 3, { time: utc('2026-11-15T01:00') })
      expect(await report(buyer, 'a', 3, { time: clock.now() })).toMatchObject({ status: 'conflict' })
      expect(await report(buyer, 'a', 3, { time: utc('2026-11-15T01:00') })).toMatchObject({
        status: 'duplicate',
      })
    })

    it('finds a re-stamped retry in one batch with what it repeats', async () => {
      const { subscribe, ingest, usage } = await start()
      const reference = { subscriptionId: (await subscribe()).id }
      const outcomes = await ingest(
        ['2026-11-15T01:00', '2026-11-15T02:30', '2026-11-16T02:30'].map((time) => ({
          reference,
          dimension: 'requests',
          id: 'a',
          time: utc(time),
          quantity: 3,
        })),
      )
      expect(outcomes.map(({ status }) => status)).toEqual(['late', 'conflict', 'conflict'])
      expect((await usage.listBuckets({ limit: 5 })).items).toMatchObject([{ quantity: 3n }])
    })

    it('refuses what is older than the purge, whatever the clock says, and keeps what was counted', async () => {
      const { subscribe, report, clock, usage, audit } = await start()
      const buyer = await subscribe()
      await report(buyer, 'a', 3, { time: utc('2026-11-15T01:00') })
      expect(await usage.purge(utc('2026-11-20T00:00'))).toBe(1)
      clock.set(utc('2026-11-16T01:00'))
      expect(await report(buyer, 'a', 3, { time: utc('2026-11-15T01:00') })).toMatchObject({
        code: 'time_too_old',
      })
      expect(await usage.horizon()).toBe(utc('2026-11-20T00:00'))
      expect((await usage.listBuckets({ limit: 5 })).items).toMatchObject([{ quantity: 3n }])
      expect(await audit()).toMatchObject({ balanced: true })
    })

    it('takes the same id under another dimension or source for another event', async () => {
      const product = aProduct({ dimensions: [aDimension(), aDimension({ key: 'other' })] })
      const { subscribe, report } = await start(product)
      const buyer = await subscribe()
      await report(buyer, 'a', 3)
      expect(await report(buyer, 'a', 3, { source: 'eu' })).toMatchObject({ status: 'accepted' })
      expect(await report(buyer, 'a', 3, { dimension: 'other' })).toMatchObject({ status: 'accepted' })
    })

    it('calls a retry a duplicate after its buyer left and came back, not a conflict', async () => {
      const { subscribe, report, clock, end } = await start(aProduct({ metering: 'legacy' }))
      const first = await subscribe(LEGACY)
      const again = { reference: { customerIdentifier: 'ifAPi5AcF3' }, time: utc('2026-11-21T10:20') }
      expect(await report(first, 'a', 3, again)).toMatchObject({ status: 'accepted' })
      clock.set(utc('2026-11-21T10:40'))
      await end(first, utc('2026-11-21T10:10'))
      await subscribe({ ...LEGACY, accessStart: utc('2026-11-21T10:15') })
      expect(await report(first, 'a', 3, again)).toMatchObject({ status: 'duplicate' })
    })
  })

  describe(`${name}: rule 3, late is billed late`, () => {
    const renew = async (ledger: Awaited<ReturnType<typeof startLedger>>, endedAt: number) => {
      const old = await ledger.subscribe({ tenantId: 'acme' })
      const heir = async () => {
        const successor = await ledger.subscribe({ tenantId: 'acme', accessStart: endedAt + 60_000 })
        await ledger.end(old, endedAt, successor)
        return successor
      }
      return { old, heir }
    }
    const TENANT = { reference: { tenantId: 'acme' } }

    it('gives late usage of a renewed agreement to its successor, from the moment its last hour is sealed', async () => {
      const ledger = await start()
      const { report, clock, close, usage, audit } = ledger
      const { old, heir } = await renew(ledger, utc('2026-11-21T10:30'))
      await report(old, 'a', 1)
      const successor = await heir()
      clock.set(utc('2026-11-21T10:41'))
      await close()
      const late = { time: utc('2026-11-21T10:20') }
      expect(await report(old, 'b', 2, late)).toMatchObject({ status: 'late' })
      expect(await report(old, 'c', 4, { ...TENANT, ...late })).toMatchObject({ status: 'late' })
      expect(await report(old, 'c', 4, late)).toMatchObject({ status: 'duplicate' })
      // Less than twenty minutes before AWS stops taking the old one.
      clock.set(utc('2026-11-21T11:15'))
      expect(await report(old, 'd', 8, late)).toMatchObject({ status: 'late' })
      const items = (await usage.listBuckets({ subscription: successor.id, limit: 10 })).items
      expect(items.reduce((sum, { quantity }) => sum + quantity, 0n)).toBe(14n)
      expect((await usage.status(undefined)).unbillable).toEqual([])
      expect(await audit()).toMatchObject({ balanced: true })
    })

    it('gives usage between an agreement and its renewal to the renewal', async () => {
      const ledger = await start()
      const { report, clock, usage } = ledger
      const { old, heir } = await renew(ledger, utc('2026-11-21T10:30'))
      const successor = await heir()
      clock.set(utc('2026-11-21T10:35'))
      expect(await report(old, 'a', 5, { ...TENANT, time: utc('2026-11-21T10:30:30') })).toMatchObject({
        status: 'late',
      })
      expect(await usage.status(undefined)).toMatchObject({ lateAcrossMonths: 0, lateAcrossAgreements: 1 })
      expect((await usage.listBuckets({ subscription: successor.id, limit: 5 })).items).toMatchObject([
        { quantity: 5n },
      ])
    })

    it('shows usage that crossed a month', async () => {
      const { subscribe, report, clock, usage } = await start(undefined, utc('2026-11-30T22:30'))
      const buyer = await subscribe()
      clock.set(utc('2026-12-01T07:00'))
      expect(await report(buyer, 'a', 1, { time: utc('2026-11-30T22:30') })).toMatchObject({ status: 'late' })
      expect(await usage.status(undefined)).toMatchObject({ lateAcrossMonths: 1 })
    })
  })

  describe(`${name}: rule 4, whole units out`, () => {
    it('carries what AWS does not take in one hour to the next ones', async () => {
      const { subscribe, report, clock, close, records, audit } = await start()
      await report(await subscribe(), 'a', 5_000_000_000)
      for (const time of ['11:15', '12:15', '13:15']) {
        clock.set(utc(`2026-11-21T${time}`))
        await close()
      }
      expect((await records()).map(({ quantity }) => quantity)).toEqual([
        705_032_706, 2_147_483_647, 2_147_483_647,
      ])
      expect(await audit()).toMatchObject({ balanced: true })
    })

    it('splits a tagged overflow at once, and keeps its tags', async () => {
      const { subscribe, report, clock, close, records } = await start()
      const buyer = await subscribe()
      await report(buyer, 'a', 3_000_000_000, { tags: { team: 'a' } })
      await report(buyer, 'b', 1_000_000_000, { tags: { team: 'b' } })
      for (const time of ['11:15', '12:15']) {
        clock.set(utc(`2026-11-21T${time}`))
        await close()
      }
      const billed = (team: string) =>
        records().then((all) =>
          all
            .flatMap(({ allocations }) => allocations)
            .filter(({ tags }) => tags[0]?.[1] === team)
            .reduce((sum, { quantity }) => sum + quantity, 0),
        )
      expect([await billed('a'), await billed('b')]).toEqual([3_000_000_000, 1_000_000_000])
    })

    it.each([
      ['forgive', 1, 400n],
      ['roundUp', 2, -600n],
    ] as const)('at an end: %s the remainder, once', async (remainder, units, forgiven) => {
      const { subscribe, report, clock, close, records, end, usage, audit } = await start(
        withDimension({ unitSize: 1000n, remainder }),
      )
      const buyer = await subscribe()
      await report(buyer, 'a', 700)
      clock.set(utc('2026-11-21T11:20'))
      await close()
      await report(buyer, 'b', 400)
      await end(buyer, clock.now())
      await report(buyer, 'c', 300, { time: utc('2026-11-21T08:00') })
      clock.set(utc('2026-11-21T11:31'))
      await close()
      expect(await report(buyer, 'd', 300, { time: utc('2026-11-21T07:00') })).toMatchObject({
        code: 'subscription_ended',
      })
      clock.set(utc('2026-11-21T11:40'))
      await close()
      expect((await records()).reduce((sum, { quantity }) => sum + quantity, 0)).toBe(units)
      const [meter] = await meters(usage)
      expect(meter!.balances).toMatchObject({ forgiven, carry: 0n, unbillable: 300n })
      expect(await audit()).toMatchObject({ balanced: true })
    })

    it('refuses, with an alarm, what no hour can bill any more', async () => {
      const { subscribe, report, clock, close, end, usage, audit } = await start()
      const buyer = await subscribe({ accessStart: utc('2026-11-21T10:00') })
      await report(buyer, 'a', 3_000_000_000)
      await end(buyer, clock.now())
      clock.set(utc('2026-11-21T10:41'))
      await close()
      expect((await meters(usage))[0]!.balances).toMatchObject({
        refused: 852_516_353n,
        ready: 2_147_483_647n,
      })
      expect(await usage.listAlarms(1)).toMatchObject([{ kind: 'refused' }])
      expect(await audit()).toMatchObject({ balanced: true })
    })

    it(
      'stays exact, and stops nobody else, when one meter is told absurd amounts',
      async () => {
        const { subscribe, report, ingest, clock, close, records, usage, audit } = await start()
        const [absurd, sane] = [await subscribe(), await subscribe()]
        await report(sane, 'sane', 5)
        for (let hour = 0; hour < 3; hour++) {
          await ingest(
            Array.from({ length: 600 }, (_, index) => ({
              reference: { subscriptionId: absurd.id },
              dimension: 'requests',
              id: `${hour}-${index}`,
              time: clock.now(),
              quantity: 999_999_999_999_999,
            })),
          )
          clock.set(utc('2026-11-21T10:30') + (hour + 1) * HOUR_MS)
          await close()
        }
        expect((await records()).filter(({ subscription }) => subscription === sane.id)).toMatchObject([
          { quantity: 5 },
        ])
        expect((await usage.listAlarms(5)).some(({ kind }) => kind === 'refused')).toBe(true)
        expect(await audit()).toMatchObject({ balanced: true })
      },
      LONG_MS,
    )
  })

  describe(`${name}: rule 5, ambiguity is a state`, () => {
    const sealOne = async () => {
      const ledger = await start()
      await ledger.report(await ledger.subscribe(), 'a', 3)
      ledger.clock.set(utc('2026-11-21T11:15'))
      await ledger.close()
      return ledger
    }

    it('counts a call whose process died as unanswered, and asks again when its lease is over', async () => {
      const { usage, aws, clock, submit, records } = await sealOne()
      const options = { product: 'demo', now: clock.now(), leaseMs: 31_000, spacingMs: 112, ...aws }
      const claimed = await usage.claim(options)
      expect(claimed!.records).toHaveLength(1)
      expect(await submit()).toMatchObject({ calls: 0 })
      clock.set(clock.now() + 32_000)
      aws.next.push('DuplicateRecord')
      await submit()
      expect(await records()).toMatchObject([{ state: 'assumed', attempts: 2, unanswered: 1 }])
      const attempts = await usage.listAttempts({ record: (await records())[0]!.id, limit: 10 })
      expect(attempts.items.map(({ outcome }) => outcome)).toEqual(['unanswered', 'answered'])
    })

    it('believes a late Success of an attempt that was given up', async () => {
      const { usage, aws, clock, submit, records, audit } = await sealOne()
      const claimed = await usage.claim({
        product: 'demo',
        now: clock.now(),
        leaseMs: 1_000,
        spacingMs: 112,
        ...aws,
      })
      clock.set(clock.now() + 2_000)
      aws.next.push('lost')
      await submit()
      clock.set(utc('2026-11-22T10:01'))
      await submit()
      expect(await records()).toMatchObject([{ state: 'in_doubt' }])
      const [record] = claimed!.records
      await usage.settle(
        claimed!.attempt,
        { outcome: 'answered', response: '{}', finishedAt: clock.now() },
        new Map([[record!.id, { kind: 'result', status: 'Success' }]]),
        () => ({ state: 'accepted', unanswered: 1 }),
      )
      expect(await records()).toMatchObject([{ state: 'accepted' }])
      expect(await audit()).toMatchObject({ balanced: true })
    })

    it('never carries a record in doubt, and lets a person end the doubt', async () => {
      const { usage, aws, clock, submit, close, records, audit } = await sealOne()
      aws.next.push('lost')
      await submit()
      clock.set(utc('2026-11-22T10:01'))
      await submit()
      await close()
      const [doubted] = await records()
      expect(doubted).toMatchObject({ state: 'in_doubt' })
      await usage.resolve(doubted!.id, 'refused', 'person', clock.now())
      expect(await records()).toMatchObject([{ state: 'refused' }])
      await expect(usage.resolve(doubted!.id, 'accepted', 'person', clock.now())).rejects.toMatchObject({
        code: 'record.not_in_doubt',
      })
      expect(await audit()).toMatchObject({ balanced: true })
    })

    it('keeps the tags of what is carried', async () => {
      const { subscribe, report, clock, close, submit, records, aws } = await start()
      const buyer = await subscribe()
      await report(buyer, 'a', 3, { tags: { team: 'a' } })
      clock.set(utc('2026-11-21T11:15'))
      await close()
      aws.next.push({ refuse: 'ThrottlingException' })
      await submit()
      clock.set(utc('2026-11-22T10:01'))
      await submit()
      clock.set(utc('2026-11-22T11:15'))
      await close()
      await submit()
      expect((await records())[0]).toMatchObject({
        state: 'accepted',
        quantity: 3,
        allocations: [{ quantity: 3, tags: [['team', 'a']] }],
      })
    })
  })

  describe(`${name}: rule 6, one bad record must not stop the rest`, () => {
    it('finds the bad one although the product was stopped meanwhile', async () => {
      const { subscribe, report, clock, close, submit, records, aws, usage } = await start()
      const buyers = await Promise.all(Array.from({ length: 6 }, () => subscribe()))
      for (const buyer of buyers) await report(buyer, `a-${buyer.id}`, 1)
      clock.set(utc('2026-11-21T11:15'))
      await close()
      aws.next.push({ refuse: 'DisabledApiException' })
      expect(await submit()).toMatchObject({ halted: ['demo'] })
      expect(await submit()).toMatchObject({ calls: 0 })
      const poison = buyers[2]!.licenseArn!
      aws.poison = ({ identity }) =>
        identity.kind === 'license' && identity.licenseArn === poison && 'InvalidLicenseException'
      clock.set(utc('2026-11-21T11:21'))
      await submit()
      expect(await usage.listHalts()).toEqual([])
      expect((await records()).filter(({ state }) => state === 'accepted')).toHaveLength(5)
    })

    it('sends suspects after everything else', async () => {
      const product = aProduct({ dimensions: [aDimension(), aDimension({ key: 'ghost' })] })
      const { subscribe, report, clock, close, submit, aws } = await start(product)
      aws.poison = ({ dimension }) => dimension === 'ghost' && 'InvalidUsageDimensionException'
      const buyer = await subscribe()
      await report(buyer, 'g', 1, { dimension: 'ghost' })
      clock.set(utc('2026-11-21T11:15'))
      await close()
      await submit()
      await report(buyer, 'a', 1)
      clock.set(utc('2026-11-21T12:15'))
      await close()
      aws.calls.length = 0
      await submit()
      expect(aws.calls.map(([record]) => record!.dimension)).toEqual(['requests', 'ghost'])
    })

    it('leaves a product that a person paused alone', async () => {
      const { subscribe, report, clock, close, submit, usage } = await start()
      await report(await subscribe(), 'a', 1)
      clock.set(utc('2026-11-21T11:15'))
      await close()
      await usage.halt({ product: 'demo', reason: 'paused', since: clock.now(), probeAt: undefined })
      await usage.halt({ product: 'demo', reason: 'error', since: clock.now(), probeAt: clock.now() })
      expect(await submit()).toMatchObject({ calls: 0 })
      await usage.resume('demo', 'person', clock.now())
      expect(await submit()).toMatchObject({ accepted: 1 })
    })

    it('sends what ends first, first: an end shortens the time of records that wait', async () => {
      const { subscribe, report, clock, close, records, end, usage } = await start()
      const buyer = await subscribe()
      await report(buyer, 'a', 1)
      clock.set(utc('2026-11-21T11:15'))
      await close()
      expect(await records()).toMatchObject([{ deadline: utc('2026-11-22T10:00') }])
      await end(buyer, utc('2026-11-21T11:10'))
      expect((await usage.listRecords({ limit: 5 })).items).toMatchObject([
        { deadline: utc('2026-11-21T12:10') },
      ])
    })
  })

  describe(`${name}: rule 7, one identity per subscription and hour`, () => {
    it('keeps region and identity of an hour for every dimension of it, zeros too', async () => {
      const dimensions = [aDimension(), aDimension({ key: 'seats', reportZero: true })]
      const { subscribe, report, clock, close, silence, records, configure } = await start(
        aProduct({ dimensions }),
      )
      await report(await subscribe({ accessStart: utc('2026-11-21T10:00') }), 'a', 3)
      clock.set(utc('2026-11-21T11:15'))
      await close()
      configure(aProduct({ dimensions, region: 'eu-west-1' }))
      await silence()
      expect((await records()).map(({ quantity, region }) => [quantity, region])).toEqual([
        [0, 'us-east-1'],
        [3, 'us-east-1'],
      ])
    })
  })

  describe(`${name}: rule 8, silence is reported`, () => {
    it('seals a zero for each completed hour of access, once', async () => {
      const { subscribe, clock, silence, records } = await start(withDimension({ reportZero: true }))
      await subscribe({ accessStart: utc('2026-11-21T08:30') })
      clock.set(utc('2026-11-21T11:20'))
      expect(await silence()).toBe(3)
      expect(await silence()).toBe(0)
      expect((await records()).map(({ timestamp, quantity }) => [timestamp, quantity]).sort()).toEqual([
        [utc('2026-11-21T08:30'), 0],
        [utc('2026-11-21T09:00'), 0],
        [utc('2026-11-21T10:00'), 0],
      ])
    })

    it('says nothing of a buyer before AWS lets access start, and then of each hour since', async () => {
      const { subscribe, subscriptions, clock, silence } = await start(withDimension({ reportZero: true }))
      const buyer = await subscribe({ status: 'pending', accessStart: utc('2026-11-21T08:30') })
      const failing = await subscribe({ status: 'pending', accessStart: utc('2026-11-21T08:30') })
      clock.set(utc('2026-11-21T11:20'))
      expect(await silence()).toBe(0)
      const now = clock.now()
      await subscriptions.change(buyer.id, () => ({ status: 'active' }), 'aws', now)
      const end = { status: 'failed', accessEnd: now, finalWindowEnd: now + 3_600_000 } as const
      await subscriptions.change(failing.id, () => end, 'aws', now)
      expect(await silence()).toBe(3)
    })

    it('takes no hour from usage: neither its own nor that of the buyer’s earlier subscription', async () => {
      const product = aProduct({
        metering: 'legacy',
        graceMs: 0,
        goodbyeSettleMs: 40 * 60_000,
        dimensions: [aDimension({ reportZero: true })],
      })
      const { subscribe, report, clock, silence, close, records, end } = await start(product)
      const first = await subscribe({ ...LEGACY, accessStart: utc('2026-11-21T10:00') })
      await report(first, 'a', 3)
      await end(first, clock.now())
      await subscribe({ ...LEGACY, accessStart: utc('2026-11-21T10:40') })
      clock.set(utc('2026-11-21T11:00'))
      expect(await silence()).toBe(0)
      clock.set(utc('2026-11-21T11:10'))
      await close()
      expect(await silence()).toBe(0)
      expect(await records()).toMatchObject([{ quantity: 3 }])
    })
  })

  describe(`${name}: rule 9, goodbye is metered`, () => {
    it('folds hours ahead, with their tags, into the last one', async () => {
      const { subscribe, report, clock, close, records, end, audit } = await start(
        undefined,
        utc('2026-11-21T10:58'),
      )
      const buyer = await subscribe()
      await report(buyer, 'a', 1, { tags: { team: 'a' } })
      await report(buyer, 'b', 2, { time: utc('2026-11-21T11:01'), tags: { team: 'a' } })
      clock.set(utc('2026-11-21T10:59'))
      await end(buyer, clock.now())
      clock.set(utc('2026-11-21T11:10'))
      await close()
      expect(await records()).toMatchObject([
        { quantity: 3, allocations: [{ quantity: 3, tags: [['team', 'a']] }] },
      ])
      expect(await audit()).toMatchObject({ balanced: true })
    })

    it('bills the rest in the next hour when the news of the end came after the last one was sealed', async () => {
      const { subscribe, report, clock, close, records, end, usage } = await start(
        withDimension({ unitSize: 10n, remainder: 'roundUp' }),
      )
      const buyer = await subscribe()
      await report(buyer, 'a', 15)
      clock.set(utc('2026-11-21T11:15'))
      await close()
      await end(buyer, utc('2026-11-21T10:45'))
      clock.set(utc('2026-11-21T11:20'))
      await close()
      expect((await records()).map(({ quantity }) => quantity)).toEqual([1, 1])
      expect((await meters(usage))[0]!.balances).toMatchObject({ carry: 0n, forgiven: -5n })
    })

    it('is not disturbed by usage timed after the end', async () => {
      const { subscribe, report, clock, close, records, end, usage } = await start(
        withDimension({ unitSize: 10n }),
      )
      const buyer = await subscribe()
      await report(buyer, 'a', 15)
      await end(buyer, clock.now())
      clock.set(utc('2026-11-21T11:05'))
      expect(await report(buyer, 'b', 7)).toMatchObject({ code: 'subscription_ended' })
      await close()
      expect(await records()).toMatchObject([{ quantity: 1, timestamp: utc('2026-11-21T10:00') }])
      expect((await meters(usage))[0]!.balances).toMatchObject({ forgiven: 5n, unbillable: 7n, carry: 0n })
    })

    it('does not let subscriptions that still settle hide those whose time is over', async () => {
      const { subscribe, subscribeMany, report, reportAll, clock, close, end, endAll } = await start(
        aProduct({ goodbyeSettleMs: 40 * 60_000 }),
      )
      const settling = await subscribeMany(pages)
      await reportAll(settling, 1)
      await endAll(settling, clock.now())
      const last = await subscribe()
      await report(last, 'earlier', 1, { time: utc('2026-11-21T10:10') })
      await end(last, utc('2026-11-21T10:11'))
      clock.set(utc('2026-11-21T10:52'))
      expect(await close()).toMatchObject({ closed: 1 })
    })
  })

  describe(`${name}: rule 11, a meter can be wrong`, () => {
    it('holds an hour once, though two processes see it, and does not hold up later hours', async () => {
      const { subscribe, report, clock, close, usage, records, audit, catalog } = await start(
        withDimension({ holdAbove: { units: 5n } }),
      )
      const buyer = await subscribe()
      await report(buyer, 'a', 9)
      clock.set(utc('2026-11-21T11:15'))
      await report(buyer, 'b', 2)
      await Promise.all([close(), close()])
      const [held] = await usage.listHeld(undefined, 5)
      const key = { subscription: buyer.id, dimension: 'requests', hour: held!.bucket.hour }
      const hold = () => ({
        status: 'held' as const,
        transfers: [{ from: 'open' as const, to: 'held' as const, amount: 9n }],
      })
      expect(
        await usage.close(
          [key],
          clock.now(),
          ({ bucket }) => (bucket.status === 'open' ? hold() : undefined),
          { history: false, contract: false },
        ),
      ).toEqual(['unchanged'])
      clock.set(utc('2026-11-21T12:15'))
      await close()
      expect(await records()).toMatchObject([{ quantity: 2 }])
      await decideHold({ usage, catalog }, key, { kind: 'lower', units: 4n }, 'person', clock.now())
      expect((await records()).map(({ quantity }) => quantity)).toEqual([4, 2])
      expect((await meters(usage))[0]!.balances).toMatchObject({ waived: 5n, held: 0n })
      expect(await audit()).toMatchObject({ balanced: true })
    })

    it.each([
      ['release', 9],
      ['waive', 0],
    ] as const)('at its deadline: %s', async (onDeadline, units) => {
      const { subscribe, report, clock, close, usage, records } = await start(
        withDimension({ holdAbove: { units: 5n }, onDeadline }),
      )
      await report(await subscribe(), 'a', 9)
      clock.set(utc('2026-11-21T11:15'))
      await close()
      clock.set(utc('2026-11-22T08:59'))
      expect(await close()).toMatchObject({ expired: 0 })
      clock.set(utc('2026-11-22T09:00'))
      expect(await close()).toMatchObject({ expired: 1 })
      expect((await records()).reduce((sum, { quantity }) => sum + quantity, 0)).toBe(units)
      expect(await usage.listAlarms(1)).toMatchObject([{ kind: 'hold_expired' }])
    })
  })

  describe(`${name}: rule 14 and aggregation`, () => {
    const grow = async (
      ledger: Awaited<ReturnType<typeof startLedger>>,
      buyer: Subscription,
      totals: readonly number[],
    ) => {
      const statuses: string[] = []
      for (const total of totals) {
        const outcome = await ledger.report(buyer, `t${statuses.length}-${buyer.id}`, total)
        statuses.push(outcome.status)
        ledger.clock.set(ledger.clock.now() + 1_000)
      }
      return statuses
    }

    it('meters a running total by its growth; one that falls is a conflict', async () => {
      const ledger = await start(withDimension({ aggregation: 'total' }))
      const buyer = await ledger.subscribe()
      expect(await grow(ledger, buyer, [100, 100, 130, 90, 131])).toEqual([
        'accepted',
        'accepted',
        'accepted',
        'conflict',
        'accepted',
      ])
      expect(await ledger.usage.listBuckets({ limit: 5 })).toMatchObject({ items: [{ quantity: 131n }] })
    })

    it('goes on with a running total, peaks and values through a renewal', async () => {
      const ledger = await start(withDimension({ aggregation: 'total' }))
      const old = await ledger.subscribe()
      await grow(ledger, old, [100])
      const heir = await ledger.subscribe({ accessStart: ledger.clock.now() })
      await ledger.end(old, ledger.clock.now(), heir)
      await grow(ledger, heir, [130])
      expect((await ledger.usage.listBuckets({ subscription: heir.id, limit: 5 })).items).toMatchObject([
        { quantity: 30n },
      ])
    })

    it(
      `bills five users who are active for ${hours} hours as five, and a gauge of 25 as 25`,
      async () => {
        for (const [aggregation, expected] of [
          ['unique', 5],
          ['max', 25],
        ] as const) {
          const ledger = await start(withDimension({ aggregation }), utc('2026-11-01T00:05'))
          const { ingest, clock, close, submit, aws } = ledger
          const buyer = await ledger.subscribe()
          for (let hour = 0; hour < hours; hour++) {
            await ingest(
              Array.from({ length: 5 }, (_, user) => ({
                reference: { subscriptionId: buyer.id },
                dimension: 'requests',
                id: `${hour}-${user}`,
                time: clock.now(),
                ...(aggregation === 'unique' ? { value: `user-${user}` } : { quantity: 21 + user }),
              })),
            )
            clock.set(clock.now() + HOUR_MS)
            if (hour % 6 === 5) {
              await close()
              await submit()
            }
          }
          clock.set(utc('2026-12-01T03:00'))
          await close()
          await submit()
          expect(aws.calls.flat().reduce((sum, { quantity }) => sum + quantity, 0)).toBe(expected)
        }
      },
      LONG_MS,
    )

    it('bills a user who was also seen before the subscription began', async () => {
      const { subscribe, report, usage } = await start(withDimension({ aggregation: 'unique' }))
      const buyer = await subscribe({ accessStart: utc('2026-11-20T00:00') })
      const user = { value: 'ann', quantity: undefined }
      expect(await report(buyer, 'a', 0, { ...user, time: utc('2026-11-19T10:00') })).toMatchObject({
        code: 'before_access',
      })
      await report(buyer, 'b', 0, user)
      await report(buyer, 'c', 0, user)
      expect((await usage.listBuckets({ limit: 5, from: 0 })).items[0]).toMatchObject({ quantity: 1n })
    })
  })
}

async function meters(usage: Stores['usage']) {
  const found: Parameters<Parameters<typeof usage.audit>[0]>[0][number][] = []
  await usage.audit((page) => void found.push(...page))
  return found
}
