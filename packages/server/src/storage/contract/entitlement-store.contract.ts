import { describe, expect, it } from 'vitest'
import { confirmRevocations, listRevocable } from '../../domain/entitlements/revoke-unentitled.ts'
import { DomainError } from '../../domain/error.ts'
import { PLAIN_PLAN, type Plan } from '../../domain/plans/plan.ts'
import { aCustomer, anAgreement } from '../../domain/subscriptions/marketplace.fixture.ts'
import type { Subscription } from '../../domain/subscriptions/subscription.ts'
import {
  aContract,
  type ContractStores,
  nameOf,
  REFRESH_MS,
  seats,
  startContracts,
} from './contract-harness.ts'
import type { ContractRuns } from './contract-runs.ts'
import { utc } from './fixtures.ts'

const MINUTE = 60_000
const DAY = 86_400_000

const aPlan = (id: string, grantedBy?: string): Plan => ({
  id,
  title: id,
  ...PLAIN_PLAN,
  grantedBy,
})
const granted = (dimension: string) => ({
  dimension,
  value: { kind: 'boolean' as const, value: true },
  expiresAt: undefined,
})

/** What every store makes of AWS's answers about contracts. */
export function entitlementStoreContract(
  name: string,
  open: () => Promise<ContractStores>,
  { sold, pace }: ContractRuns,
): void {
  describe(`${name}: what AWS grants`, () => {
    it('is kept with its age, and serves on while AWS cannot be asked', async () => {
      const { subscribe, grant, refresh, entitlements, clock, trouble } = await startContracts(open)
      const buyer = await subscribe()
      expect(await entitlements.findServing(buyer.id)).toMatchObject({ readAt: undefined, entitlements: [] })
      grant(nameOf(buyer), seats(5, utc('2027-11-01T00:00')))
      const readAt = clock.now()
      expect(await refresh(buyer.id)).toBe('granted')
      trouble.isDown = true
      clock.set(readAt + 90 * MINUTE)
      expect(await refresh(buyer.id)).toBe('failed')
      expect(await entitlements.findServing(buyer.id)).toEqual({
        subscription: buyer.id,
        entitlements: [seats(5, utc('2027-11-01T00:00'))],
        readAt,
        emptySince: undefined,
        failedAt: readAt + 90 * MINUTE,
        failure: 'AWS is down',
      })
      trouble.isDown = false
      await refresh(buyer.id)
      expect(await entitlements.findServing(buyer.id)).toMatchObject({
        readAt: readAt + 90 * MINUTE,
        failedAt: undefined,
        failure: undefined,
      })
    })

    it('makes a new period only where units changed, from AWS’s time of the event or the time of asking', async () => {
      const { subscribe, grant, refresh, entitlements, clock, told } = await startContracts(open)
      const buyer = await subscribe()
      const start = clock.now()
      grant(nameOf(buyer), seats(5), granted('pro'))
      await refresh(buyer.id)
      clock.set(start + 60 * MINUTE)
      await refresh(buyer.id)
      grant(nameOf(buyer), granted('pro'), seats(8))
      clock.set(start + 100 * MINUTE)
      await refresh(buyer.id, start + 95 * MINUTE)
      grant(nameOf(buyer), seats(8))
      clock.set(start + 120 * MINUTE)
      // Redelivered from before AWS was asked last: then it still granted it.
      await refresh(buyer.id, start)
      expect((await entitlements.find(buyer.id)).history).toMatchObject({
        isRead: true,
        entitlements: [
          { dimension: 'pro', units: 1, from: 0 },
          { dimension: 'seats', units: 5, from: 0 },
          { dimension: 'seats', units: 8, from: start + 95 * MINUTE },
          { dimension: 'pro', units: 0, from: start + 100 * MINUTE },
        ],
      })
      expect(await told(buyer.id)).toEqual([
        'entitlements.changed',
        'entitlements.changed',
        'entitlements.changed',
      ])
    })

    it('of an earlier question never replaces that of a later one', async () => {
      const { subscribe, grant, refresh, entitlements, clock, service } = await startContracts(open)
      const buyer = await subscribe()
      const start = clock.now()
      const { getEntitlements } = service
      let answerFirst = () => {}
      const isAsked = new Promise<void>((asked) => {
        service.getEntitlements = () => {
          asked()
          return new Promise((resolve) => {
            answerFirst = () => resolve([seats(1)])
          })
        }
      })
      const first = refresh(buyer.id)
      await isAsked
      service.getEntitlements = getEntitlements
      grant(nameOf(buyer), seats(2))
      clock.set(start + 1000)
      await refresh(buyer.id)
      answerFirst()
      await first
      expect(await entitlements.findServing(buyer.id)).toMatchObject({ entitlements: [seats(2)] })
    })

    it('chooses the last plan of the list that is granted, and takes it away with what granted it', async () => {
      const product = aContract({
        plans: [aPlan('base'), aPlan('pro', 'pro'), aPlan('enterprise', 'enterprise')],
      })
      const { subscribe, subscriptions, grant, refresh, told } = await startContracts(open, product)
      const buyer = await subscribe({ plan: 'base' })
      const planOf = async () => (await subscriptions.get(buyer.id)).plan
      grant(nameOf(buyer), seats(5))
      await refresh(buyer.id)
      expect(await planOf()).toBe('base')
      grant(nameOf(buyer), granted('enterprise'), granted('pro'))
      await refresh(buyer.id)
      expect(await planOf()).toBe('enterprise')
      grant(nameOf(buyer), granted('pro'), { ...granted('enterprise'), value: { kind: 'integer', value: 0 } })
      await refresh(buyer.id)
      expect(await planOf()).toBe('pro')
      grant(nameOf(buyer), { ...granted('tier'), value: { kind: 'string', value: 'gold' } })
      await refresh(buyer.id)
      expect(await planOf()).toBeUndefined()
      expect((await told(buyer.id)).filter((type) => type === 'subscription.changed')).toHaveLength(3)
    })

    it('remembers which plan held when', async () => {
      const product = aContract({ plans: [aPlan('pro', 'pro'), aPlan('enterprise', 'enterprise')] })
      const { subscribe, grant, refresh, entitlements, clock, subscriptions } = await startContracts(
        open,
        product,
      )
      const buyer = await subscribe()
      const start = clock.now()
      grant(nameOf(buyer), granted('pro'))
      await refresh(buyer.id)
      clock.set(start + 30 * MINUTE)
      grant(nameOf(buyer), granted('enterprise'))
      await refresh(buyer.id)
      clock.set(start + 40 * MINUTE)
      await subscriptions.change(buyer.id, () => ({ plan: 'special' }), 'person', clock.now())
      expect((await entitlements.find(buyer.id)).history.plans).toEqual([
        { plan: 'pro', from: 0 },
        { plan: 'enterprise', from: start + 30 * MINUTE },
        { plan: 'special', from: start + 40 * MINUTE },
      ])
    })

    it('lets access of a registered buyer start; nothing granted does not', async () => {
      const { subscribe, grant, refresh, subscriptions, clock, told } = await startContracts(open)
      const buyer = await subscribe({ status: 'pending', accessStart: utc('2026-11-21T10:30') })
      await refresh(buyer.id)
      expect(await subscriptions.get(buyer.id)).toMatchObject({ status: 'pending' })
      clock.set(utc('2026-11-21T10:31'))
      grant(nameOf(buyer), seats(1))
      await refresh(buyer.id)
      expect(await subscriptions.get(buyer.id)).toMatchObject({
        status: 'active',
        grantedAt: utc('2026-11-21T10:31'),
        accessStart: utc('2026-11-21T10:30'),
      })
      expect(await told(buyer.id)).toEqual(['subscription.activated', 'entitlements.changed'])
    })

    it('is asked by license, or of a legacy product by customer, and only of contracts bought at AWS', async () => {
      const { subscribe, refresh, asked, configure, end, clock } = await startContracts(open)
      const buyer = await subscribe()
      await refresh(buyer.id)
      const direct = await subscribe({ channel: 'direct', licenseArn: undefined })
      const gone = await subscribe()
      await end(gone, clock.now())
      const unnamed = await subscribe({ licenseArn: undefined, customerIdentifier: 'nobody' })
      for (const { id } of [direct, gone, unnamed]) expect(await refresh(id)).toBe('skipped')
      configure(aContract({ metering: 'legacy' }))
      await refresh((await subscribe({ licenseArn: undefined, customerIdentifier: 'customer' })).id)
      await refresh((await subscribe({ licenseArn: undefined, customerAwsAccountId: '123456789012' })).id)
      configure(aContract({ pricing: 'usage' }))
      expect(await refresh(buyer.id)).toBe('skipped')
      expect(asked).toEqual([nameOf(buyer), 'customer', '123456789012'])
    })

    it('shows until when a contract binds where AWS names no agreement', async () => {
      const { subscribe, grant, refresh, subscriptions } = await startContracts(open)
      const legacy = await subscribe({ licenseArn: undefined, customerIdentifier: 'customer' })
      const named = await subscribe({ agreementId: 'agmt-1' })
      const end = utc('2027-11-01T00:00')
      grant(nameOf(named), seats(5, end))
      await refresh(named.id)
      expect(await subscriptions.get(named.id)).toMatchObject({ termEnd: undefined })
      const unnamed = await subscribe()
      grant(nameOf(unnamed), seats(5, end))
      await refresh(unnamed.id)
      expect(await subscriptions.get(unnamed.id)).toMatchObject({ termEnd: end })
      expect(await subscriptions.get(legacy.id)).toMatchObject({ termEnd: undefined })
    })

    it('serves the one that took over until AWS answers for it', async () => {
      const { subscribe, grant, refresh, entitlements, end, clock } = await startContracts(open)
      const old = await subscribe()
      grant(nameOf(old), seats(5))
      await refresh(old.id)
      const heir = await subscribe()
      await end(old, clock.now(), heir)
      expect(await entitlements.findServing(heir.id)).toMatchObject({ entitlements: [seats(5)] })
      grant(nameOf(heir), seats(7))
      await refresh(heir.id)
      expect(await entitlements.findServing(heir.id)).toMatchObject({
        subscription: heir.id,
        entitlements: [seats(7)],
      })
    })

    it('moves the subscriptions’ epoch only where a subscription changed', async () => {
      const product = aContract({ plans: [aPlan('pro', 'pro')] })
      const { subscribe, grant, refresh, entitlements } = await startContracts(open, product)
      const buyer = await subscribe()
      const before = await entitlements.epochs()
      grant(nameOf(buyer), seats(5))
      await refresh(buyer.id)
      const after = await entitlements.epochs()
      expect(after.subscriptions).toBe(before.subscriptions)
      expect(after.readings).toBeGreaterThan(before.readings)
      grant(nameOf(buyer), granted('pro'))
      await refresh(buyer.id)
      expect((await entitlements.epochs()).subscriptions).toBeGreaterThan(after.subscriptions)
    })
  })

  describe(`${name}: reading on a schedule`, () => {
    it('reads whatever lives, oldest reading first, and each again when its time has come', async () => {
      const { subscribe, refreshDue, asked, clock, grant, end } = await startContracts(open)
      const buyers: Subscription[] = []
      for (let index = 0; index < 3; index++) {
        const buyer = await subscribe({ status: index === 2 ? 'pending' : 'active' })
        grant(nameOf(buyer), seats(index + 1))
        buyers.push(buyer)
      }
      await end(await subscribe(), clock.now())
      await subscribe({ channel: 'free', licenseArn: undefined })
      const start = clock.now()
      expect(await refreshDue()).toMatchObject({ read: 3, failed: 0 })
      expect(new Set(asked)).toEqual(new Set(buyers.map(nameOf)))
      asked.length = 0
      clock.set(start + REFRESH_MS - 1)
      expect(await refreshDue()).toMatchObject({ read: 0 })
      clock.set(start + REFRESH_MS)
      expect(await refreshDue()).toMatchObject({ read: 3 })
    })

    it('takes them in turns: what one process took, another leaves alone, and takes up when it died', async () => {
      const { subscribe, entitlements, clock } = await startContracts(open)
      const [first, second] = [await subscribe(), await subscribe()]
      const claim = (limit: number) => entitlements.claimDue('demo', clock.now(), 5 * MINUTE, limit)
      const taken = [...(await claim(1)), ...(await claim(5))]
      expect(new Set(taken)).toEqual(new Set([first.id, second.id]))
      expect(await claim(5)).toEqual([])
      clock.set(clock.now() + 5 * MINUTE)
      expect(await claim(5)).toHaveLength(2)
    })

    it('goes on past one that fails, asks it again soon, and stops where AWS is down', async () => {
      const { subscribe, refreshDue, asked, clock, grant, service, trouble } = await startContracts(open)
      const buyers: Subscription[] = []
      for (let index = 0; index < 8; index++) {
        const buyer = await subscribe()
        grant(nameOf(buyer), seats(1))
        buyers.push(buyer)
      }
      const { getEntitlements } = service
      service.getEntitlements = (code, customer) => {
        trouble.isDown = nameOf(customer) === nameOf(buyers[0]!)
        return getEntitlements(code, customer)
      }
      expect(await refreshDue()).toEqual({ read: 7, failed: 1, revoked: 0 })
      asked.length = 0
      clock.set(clock.now() + 5 * MINUTE)
      await refreshDue()
      expect(asked).toEqual([nameOf(buyers[0]!)])
      service.getEntitlements = getEntitlements
      trouble.isDown = true
      clock.set(clock.now() + REFRESH_MS)
      expect(await refreshDue()).toMatchObject({ read: 0, failed: 5 })
    })

    it('goes on past one that others keep changing, which is read once it is claimed again', async () => {
      const { subscribe, refresh, refreshDue, asked, clock, grant } = await startContracts(open)
      const buyers: Subscription[] = []
      for (let index = 0; index < 3; index++) {
        const buyer = await subscribe()
        grant(nameOf(buyer), seats(1))
        buyers.push(buyer)
      }
      const contended = (id: string) =>
        id === buyers[0]!.id ? Promise.reject(new DomainError('ledger.busy', 'try again')) : refresh(id)
      expect(await refreshDue(contended)).toEqual({ read: 2, failed: 1, revoked: 0 })
      asked.length = 0
      clock.set(clock.now() + 5 * MINUTE)
      expect(await refreshDue()).toEqual({ read: 1, failed: 0, revoked: 0 })
      expect(asked).toEqual([nameOf(buyers[0]!)])
    })

    it('asks at once after an event, and soon again where the answer was still the old one', async () => {
      const { subscribe, refresh, refreshDue, asked, clock, grant, receive } = await startContracts(open)
      const agreement = anAgreement()
      const buyer = await subscribe({
        licenseArn: agreement.licenseArn,
        customerAwsAccountId: '111122223333',
        status: 'pending',
      })
      grant(nameOf(buyer), seats(5))
      await refreshDue()
      await receive(agreement.granted(clock.now()))
      asked.length = 0
      clock.set(clock.now() + 1000)
      // Nobody has asked: the process died with the event on disk.
      await receive(agreement.granted(clock.now()))
      expect(await refreshDue()).toMatchObject({ read: 1 })
      await refresh(buyer.id, clock.now())
      asked.length = 0
      clock.set(clock.now() + 2 * MINUTE)
      expect(await refreshDue()).toMatchObject({ read: 1 })
    })
  })

  describe(`${name}: the end of what AWS grants`, () => {
    /** A seller with so many buyers who all have a contract. */
    const startSold = async (count: number, values: Partial<Subscription> = {}) => {
      const contracts = await startContracts(open)
      const { subscribeMany, grant, refreshDue, clock } = contracts
      const buyers = await subscribeMany(count, values)
      for (const buyer of buyers) grant(nameOf(buyer), seats(1))
      await refreshDue()
      const runUntil = async (time: number) => {
        while (clock.now() < time) {
          clock.set(Math.min(time, clock.now() + pace * MINUTE))
          await refreshDue()
        }
      }
      return {
        ...contracts,
        buyers,
        runUntil,
        lose: (...lost: Subscription[]) => {
          for (const buyer of lost) grant(nameOf(buyer))
        },
        statuses: () => Promise.all(buyers.map(({ id }) => contracts.statusOf(id))),
        alarms: async () =>
          (await contracts.usage.listAlarms(10)).map(({ kind, subject }) => [kind, subject]),
      }
    }

    it('ends access after two empty answers ten minutes apart, never after one', async () => {
      const { buyers, lose, refresh, refreshDue, clock, subscriptions, entitlements } = await startSold(1)
      const [buyer] = buyers as [Subscription]
      lose(buyer)
      const start = clock.now()
      await refresh(buyer.id)
      clock.set(start + 9 * MINUTE)
      await refresh(buyer.id)
      await refreshDue()
      expect(await subscriptions.get(buyer.id)).toMatchObject({ status: 'active' })
      expect(await entitlements.findServing(buyer.id)).toMatchObject({ entitlements: [seats(1)] })
      clock.set(start + 10 * MINUTE)
      // The clock alone ends nothing: AWS must say it again.
      await refreshDue()
      expect(await subscriptions.get(buyer.id)).toMatchObject({ status: 'active' })
      await refresh(buyer.id)
      await refreshDue()
      expect(await subscriptions.get(buyer.id)).toMatchObject({ status: 'cancelling', accessEnd: start })
    })

    it('asks again by itself to be sure', async () => {
      const { buyers, lose, runUntil, clock, statuses } = await startSold(1)
      lose(...buyers)
      await runUntil(clock.now() + REFRESH_MS + 30 * MINUTE)
      expect(await statuses()).toEqual(['cancelling'])
    })

    it('takes an answer between them for what it says', async () => {
      const { buyers, lose, grant, refresh, refreshDue, clock, statuses } = await startSold(1)
      const [buyer] = buyers as [Subscription]
      for (const minutes of [0, 5, 10, 15, 20]) {
        clock.set(utc('2026-11-21T12:00') + minutes * MINUTE)
        if (minutes === 10) grant(nameOf(buyer), seats(1))
        else lose(buyer)
        await refresh(buyer.id)
        await refreshDue()
      }
      expect(await statuses()).toEqual(['active'])
    })

    it('never ends a buyer who waits, nor one whose license AWS says is alive', async () => {
      const { subscribe, receive, refresh, refreshDue, clock, statusOf } = await startContracts(open)
      const agreement = anAgreement({ acceptedAt: utc('2026-11-21T10:00') })
      const buyer = await subscribe({
        licenseArn: agreement.licenseArn,
        customerAwsAccountId: '111122223333',
      })
      const waiting = await subscribe({ status: 'pending' })
      await receive(agreement.granted(clock.now()))
      for (let round = 0; round < 4; round++) {
        clock.set(clock.now() + 10 * MINUTE)
        await refresh(buyer.id)
        await refresh(waiting.id)
        await refreshDue()
      }
      expect(await statusOf(buyer.id)).toBe('active')
      expect(await statusOf(waiting.id)).toBe('pending')
    })

    it('believes AWS’s word on a license only until the contract’s own end', async () => {
      const { subscribe, receive, refresh, refreshDue, grant, clock, statusOf, lookAfter, configure } =
        await startContracts(open)
      configure(aContract({ metering: 'legacy' }))
      const customer = aCustomer()
      const expiry = clock.now() + 60 * MINUTE
      const buyer = await subscribe({
        licenseArn: undefined,
        customerAwsAccountId: undefined,
        customerIdentifier: customer.customerIdentifier,
      })
      await receive(customer.success(clock.now()))
      grant(customer.customerIdentifier, seats(5, expiry))
      await refresh(buyer.id)
      grant(customer.customerIdentifier)
      for (let round = 0; round < 3; round++) {
        clock.set(clock.now() + 15 * MINUTE)
        await refresh(buyer.id)
        await refreshDue()
      }
      expect(await statusOf(buyer.id)).toBe('active')
      clock.set(expiry)
      await refreshDue()
      expect(await statusOf(buyer.id)).toBe('cancelling')
      clock.set(expiry + 2 * 60 * MINUTE)
      await lookAfter()
      expect(await statusOf(buyer.id)).toBe('expired')
    })

    it('calls it expired where the term is over; a date that has passed alone ends nothing', async () => {
      const { buyers, lose, grant, refresh, refreshDue, clock, statusOf, lookAfter } = await startSold(1)
      const [buyer] = buyers as [Subscription]
      const expiry = clock.now() + 30 * MINUTE
      grant(nameOf(buyer), seats(1, expiry))
      await refresh(buyer.id)
      clock.set(expiry + DAY)
      await refresh(buyer.id)
      await refreshDue()
      expect(await statusOf(buyer.id)).toBe('active')
      lose(buyer)
      for (let round = 0; round < 2; round++) {
        clock.set(clock.now() + 10 * MINUTE)
        await refresh(buyer.id)
      }
      await refreshDue()
      clock.set(clock.now() + 2 * 60 * MINUTE)
      await lookAfter()
      expect(await statusOf(buyer.id)).toBe('expired')
    })

    it('ends nobody, with an alarm, where many would end at once; it goes on when AWS grants them again', async () => {
      const { buyers, lose, grant, runUntil, clock, statuses, alarms } = await startSold(sold)
      const lost = buyers.slice(0, 4)
      lose(...lost)
      await runUntil(clock.now() + REFRESH_MS + 30 * MINUTE)
      expect(new Set(await statuses())).toEqual(new Set(['active']))
      expect(await alarms()).toEqual([['revocation_stopped', 'demo']])
      // Three of them are back: the fourth is not many, but may well be of the same trouble.
      for (const buyer of lost.slice(0, 3)) grant(nameOf(buyer), seats(1))
      await runUntil(clock.now() + 30 * MINUTE)
      expect(new Set(await statuses())).toEqual(new Set(['active']))
      grant(nameOf(lost[3]!), seats(1))
      await runUntil(clock.now() + 30 * MINUTE)
      expect(await alarms()).toEqual([])
      // Later, and alone.
      lose(lost[0]!)
      await runUntil(clock.now() + REFRESH_MS + 30 * MINUTE)
      expect((await statuses()).filter((status) => status !== 'active')).toEqual(['cancelling'])
    })

    it('does not count those whose license AWS says is alive', async () => {
      const { buyers, lose, subscribe, receive, runUntil, clock, statuses, alarms } = await startSold(sold)
      for (let index = 0; index < 4; index++) {
        const agreement = anAgreement({ id: `agmt-${index}`, account: `11112222333${index}` })
        await subscribe({
          licenseArn: agreement.licenseArn,
          customerAwsAccountId: `11112222333${index}`,
        })
        await receive(agreement.granted(clock.now()))
      }
      lose(buyers[0]!)
      await runUntil(clock.now() + REFRESH_MS + 30 * MINUTE)
      expect((await statuses()).filter((status) => status !== 'active')).toEqual(['cancelling'])
      expect(await alarms()).toEqual([])
    })

    it('ends many when a person confirms, and says before whose', async () => {
      const seller = await startSold(sold)
      const { buyers, lose, runUntil, clock, statuses, alarms, catalog } = seller
      const lost = buyers.slice(0, 4)
      lose(...lost)
      await runUntil(clock.now() + REFRESH_MS + 30 * MINUTE)
      const product = catalog.find('demo')!
      const shown = await listRevocable(seller, product, clock.now())
      expect(new Set(shown.map(({ id }) => id))).toEqual(new Set(lost.map(({ id }) => id)))
      expect(await confirmRevocations(seller, product, 'cli:ann', clock.now())).toHaveLength(4)
      expect((await statuses()).filter((status) => status === 'cancelling')).toHaveLength(4)
      expect(await alarms()).toEqual([])
    })

    it('sees many also where they come one after the other', async () => {
      const { buyers, lose, refresh, refreshDue, clock, statuses, alarms } = await startSold(sold)
      for (const buyer of buyers.slice(0, 6)) {
        lose(buyer)
        for (let round = 0; round < 2; round++) {
          await refresh(buyer.id)
          clock.set(clock.now() + 10 * MINUTE)
        }
        await refreshDue()
      }
      expect((await statuses()).filter((status) => status !== 'active')).toHaveLength(2)
      expect(await alarms()).toEqual([['revocation_stopped', 'demo']])
    })
  })
}
