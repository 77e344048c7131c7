import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createVirtualClock } from '../clock/virtual-clock.ts'
import { SimulatorError } from '../errors.ts'
import { aProduct, aSimulator, call, utc } from '../test-values.ts'
import { createMarketplace } from './marketplace.ts'
import { applyFact, type Fact } from './state.ts'

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE

const products = [
  aProduct({ productCode: 'usage' }),
  aProduct({ productCode: 'contract', pricing: 'contract', dimensions: [{ key: 'seats' }] }),
  aProduct({ productCode: 'legacy', metering: 'legacy' }),
  aProduct({
    productCode: 'old-contract',
    metering: 'legacy',
    pricing: 'contractWithConsumption',
    dimensions: [
      { key: 'seats', types: ['Entitled'] },
      { key: 'calls', types: ['ExternallyMetered'] },
    ],
  }),
]

const aSettings = fc.record({
  licenseDelayMs: fc.constantFrom(0, 72_000),
  createdDelayMs: fc.constantFrom(0, 11_000),
  deprovisionDelayMs: fc.constantFrom(0, 31_000),
  licenseOnRenewal: fc.constantFrom('new' as const, 'kept' as const),
  successionOrder: fc.constantFrom('interleaved' as const, 'oldFirst' as const, 'newFirst' as const),
})

const aCommand = fc.oneof(
  fc.record({
    kind: fc.constant('subscribe' as const),
    order: fc.record(
      {
        productCode: fc.constantFrom(...products.map(({ productCode }) => productCode)),
        accountId: fc.constantFrom('111111111111', '222222222222'),
        freeTrial: fc.boolean(),
        autoRenew: fc.boolean(),
        fail: fc.boolean(),
        termMonths: fc.constantFrom(1, 12),
        sellerRole: fc.constantFrom('proposer' as const, 'manufacturer' as const),
        startAt: fc.constantFrom(utc('00:00'), utc('23:00')),
      },
      { requiredKeys: ['productCode', 'accountId'] },
    ),
  }),
  fc.record({
    kind: fc.constantFrom(
      'renew' as const,
      'replace' as const,
      'cancel' as const,
      'amend' as const,
      'suspend' as const,
      'resume' as const,
      'renewalOn' as const,
      'renewalOff' as const,
      'ask' as const,
      'notify' as const,
    ),
    which: fc.nat(20),
  }),
  fc.record({ kind: fc.constantFrom('approve' as const, 'reject' as const), which: fc.nat(5) }),
  fc.record({
    kind: fc.constant('advance' as const),
    by: fc.constantFrom(0, 10_000, MINUTE, 61 * MINUTE, DAY, 8 * DAY, 32 * DAY, 400 * DAY),
  }),
)
type Command = typeof aCommand extends fc.Arbitrary<infer Value> ? Value : never

/** What has been told stays told, word for word: it may have been delivered. */
it('never takes back or rewrites what it told, has one live agreement a chain, and is the same when replayed', async () => {
  await fc.assert(
    fc.asyncProperty(aSettings, fc.array(aCommand, { maxLength: 25 }), async (settings, commands) => {
      const simulator = await aSimulator({ products, settings })
      const { marketplace, clock } = simulator
      let told: string[] = []
      for (const command of commands) {
        await perform(command)
        const now = marketplace.notifications().map((notification) => JSON.stringify(notification))
        const all = [...now]
        for (const line of told) {
          const at = all.indexOf(line)
          expect(at, `still told: ${line}`).toBeGreaterThanOrEqual(0)
          all.splice(at, 1)
        }
        told = now
        const ids = marketplace.notifications().flatMap(({ payload }) => payload.id ?? [])
        expect(new Set(ids).size).toBe(ids.length)

        const live = marketplace
          .listSubscriptions()
          .filter(({ end }) => end === undefined || clock.now() < end.endedAt)
          .map(({ agreementId, initialAgreementId }) => initialAgreementId ?? agreementId)
        expect(new Set(live).size).toBe(live.length)
        const legacy = marketplace
          .listSubscriptions()
          .filter(({ state, customerIdentifier }) => state === 'licensed' && customerIdentifier !== undefined)
          .map(({ productCode, accountId }) => `${productCode} ${accountId}`)
        expect(new Set(legacy).size).toBe(legacy.length)
      }

      async function perform(command: Command): Promise<void> {
        try {
          await attempt(command)
        } catch (error) {
          if (!(error instanceof SimulatorError)) throw error
        }
      }

      async function attempt(command: Command): Promise<unknown> {
        if (command.kind === 'subscribe') return marketplace.subscribe(command.order)
        if (command.kind === 'advance') return clock.advance(command.by)
        if (command.kind === 'approve' || command.kind === 'reject') {
          const request = marketplace.listCancellationRequests()[command.which]
          return request && marketplace.answerCancellationRequest(request.id, command.kind)
        }
        const all = marketplace.listSubscriptions()
        const subscription = all[command.which % Math.max(all.length, 1)]
        if (subscription === undefined) return undefined
        const { id, agreementId, productCode } = subscription
        switch (command.kind) {
          case 'renew':
          case 'replace':
          case 'cancel':
            return marketplace[command.kind](id)
          case 'amend':
            return marketplace.amend(id, productCode.endsWith('contract') ? { seats: 5 } : {})
          case 'suspend':
          case 'resume':
            return marketplace.suspend(id, command.kind === 'suspend')
          case 'renewalOn':
          case 'renewalOff':
            return marketplace.setAutoRenew(id, command.kind === 'renewalOn')
          case 'notify':
            return marketplace.notify(id, { kind: 'agreementEnding' })
          case 'ask':
            return call(simulator, 'SendAgreementCancellationRequest', { agreementId, reasonCode: 'OTHER' })
        }
      }

      const { body } = await call(simulator, 'SearchAgreements', {
        filters: [
          { name: 'PartyType', values: ['Proposer'] },
          { name: 'AgreementType', values: ['PurchaseAgreement'] },
        ],
      })
      const proposed = marketplace
        .listSubscriptions()
        .filter(({ channelPartner }) => channelPartner === undefined)
      expect(body.agreementViewSummaries).toHaveLength(Math.min(50, proposed.length))
    }),
    { numRuns: 150 },
  )
})

it('is the same again when its facts are replayed', () => {
  fc.assert(
    fc.property(aSettings, fc.array(aCommand, { maxLength: 25 }), (settings, commands) => {
      const clock = createVirtualClock({ start: utc('12:30'), running: false })
      const facts: Fact[] = []
      const options = { clock, seed: 1, settings, calls: () => ({}) }
      const first = createMarketplace({ ...options, persist: (fact) => facts.push(structuredClone(fact)) })
      for (const product of products) first.marketplace.addProduct(product)
      for (const command of commands) {
        if (command.kind === 'advance') clock.advance(command.by)
        else if (command.kind === 'subscribe')
          ignoringRefusals(() => first.marketplace.subscribe(command.order))
        else if (command.kind === 'renew' || command.kind === 'replace' || command.kind === 'cancel') {
          const { kind, which } = command
          ignoringRefusals(() => first.marketplace[kind](`sub-${1 + (which % 5)}`))
        }
      }
      const seen = [first.marketplace.listSubscriptions(), first.marketplace.notifications()]
      const second = createMarketplace(options)
      for (const fact of facts) applyFact(second.context.state, fact)
      expect([second.marketplace.listSubscriptions(), second.marketplace.notifications()]).toEqual(seen)
    }),
    { numRuns: 100 },
  )
})

function ignoringRefusals(attempt: () => unknown): void {
  try {
    attempt()
  } catch (error) {
    if (!(error instanceof SimulatorError)) throw error
  }
}
