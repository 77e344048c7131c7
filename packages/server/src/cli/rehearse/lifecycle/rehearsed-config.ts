import { sqliteStore } from '../../../config/store.ts'
import { type Config, type Email, NO_RATE_LIMITS } from '../../../config.ts'
import type { Product } from '../../../domain/products/product.ts'
import { MINUTE_MS } from '../../../domain/usage/hour.ts'
import { CALL_TIMEOUT_MS } from '../faults.ts'

/** What of the rehearsal stands for the world outside. */
export interface Stage {
  /** The simulated AWS. */
  readonly endpoint: string
  /** The ledger. */
  readonly file: string
  readonly queueUrl: string
  readonly topicArn: string
  readonly relaySecret: string
  readonly webhook: { readonly url: string; readonly secret: string }
}

/** Mail stays on this machine. */
const MAILBOX: Email = { smtpUrl: undefined, from: 'seller@example.com', sellerTo: [] }

/** The seller's settings, of one product, with all that leads out of this machine turned to the rehearsal. */
export function rehearsedConfig(config: Config, product: Product, stage: Stage): Config {
  const { endpoint, file, queueUrl, topicArn, relaySecret, webhook } = stage
  return {
    ...config,
    mode: 'simulated',
    server: {
      host: '127.0.0.1',
      port: 0,
      publicUrl: undefined,
      trustProxy: ['127.0.0.1'],
      rateLimits: NO_RATE_LIMITS,
      drainMs: 0,
    },
    store: sqliteStore(file),
    aws: { ...config.aws, accountId: undefined, endpoint, timeoutMs: CALL_TIMEOUT_MS, assumeRole: undefined },
    notifications: {
      ...config.notifications,
      sqsQueues: [queueUrl],
      snsTopics: [topicArn],
      relay: { secret: relaySecret, toleranceMs: 5 * MINUTE_MS },
    },
    events: {
      eventBridge: undefined,
      webhooks: [{ ...webhook, id: 'provisioning', product: undefined, types: [], allowPrivate: false }],
      email: MAILBOX,
    },
    products: [withoutHolds(product)],
    subscriptions: [],
    deployment: undefined,
  }
}

/** Nobody is there to look at what is held. */
function withoutHolds(product: Product): Product {
  const dimensions = product.dimensions.map((dimension) => ({ ...dimension, holdAbove: undefined }))
  return { ...product, dimensions }
}
