/** The product's server with buyers who have contracts; or the same one with a use case that decides nothing. */

import assert from 'node:assert/strict'
import { composeEngine, composeServer, type Engine, openLedger } from '../../packages/server/src/compose.ts'
import type { CheckAccess } from '../../packages/server/src/domain/entitlements/check-access.ts'
import { takeAnswer } from '../../packages/server/src/domain/entitlements/take-answer.ts'
import { issueServiceKey } from '../../packages/server/src/domain/keys/issue-service-key.ts'
import { PLAIN_PLAN } from '../../packages/server/src/domain/plans/plan.ts'
import type { Product } from '../../packages/server/src/domain/products/product.ts'
import { systemClock } from '../../packages/server/src/system-clock.ts'
import { answerQuestions } from '../harness/child.ts'
import { aConfig, aProduct, aSubscription, DIMENSION, FEATURE, subscriptionId } from './demo-ledger.ts'

export interface AccessOptions {
  readonly directory: string
  readonly buyers: number
  /** `false`: the same answer to everybody, and no thought. */
  readonly decides: boolean
}

const DAY_MS = 86_400_000
const REFRESH_MS = 3_600_000
let engine: Engine | undefined

const product: Product = {
  ...aProduct([DIMENSION]),
  pricing: 'contract-with-consumption',
  plans: [
    {
      id: 'pro',
      title: 'Pro',
      ...PLAIN_PLAN,
      grantedBy: 'pro',
      features: { [FEATURE]: true, sso: true, seats: 25, support: 'business hours' },
      limits: [
        { dimension: DIMENSION, quantity: 100_000, window: 'month', onExceed: 'block' },
        { dimension: 'exports', quantity: 'unlimited', window: 'day', onExceed: 'block' },
      ],
    },
  ],
}

async function start(options: AccessOptions): Promise<void> {
  const config = aConfig({ directory: options.directory, products: [product] })
  const ledger = await openLedger(config, systemClock)
  const now = Date.now()
  for (let index = 0; index < options.buyers; index++) {
    const { subscription } = await ledger.subscriptions.create(aSubscription(index, now - DAY_MS), 'bench')
    await ledger.entitlements.settle(
      subscription.id,
      (state) =>
        takeAnswer(
          state,
          {
            kind: 'answered',
            entitlements: [
              { dimension: 'pro', value: { kind: 'boolean', value: true }, expiresAt: now + 300 * DAY_MS },
              { dimension: 'seats', value: { kind: 'integer', value: 25 }, expiresAt: now + 300 * DAY_MS },
            ],
          },
          { product, askedAt: now, occurredAt: undefined, refreshMs: REFRESH_MS },
        ),
      'bench',
      now,
    )
  }
  const composed = await composeEngine(ledger, { clock: systemClock })
  const answer = await composed.checkAccess({ reference: { subscriptionId: subscriptionId(0) } })
  assert.equal(answer.access.refusal, undefined)
  const decideNothing: CheckAccess = async () => answer
  engine = options.decides ? composed : { ...composed, checkAccess: decideNothing }
}

async function listen(): Promise<{ url: string; secret: string }> {
  assert(engine !== undefined)
  const { secret } = await issueServiceKey(
    { keys: engine.ledger.keys, clock: engine.clock },
    { name: 'bench', scopes: ['access:check'], product: undefined },
    'bench',
  )
  const app = await composeServer(engine)
  return { url: await app.listen({ host: '127.0.0.1', port: 0 }), secret }
}

function cpu(): { cpuUs: number } {
  const { user, system } = process.cpuUsage()
  return { cpuUs: user + system }
}

answerQuestions({ start, listen, cpu })
