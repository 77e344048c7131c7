export type { BufferedEvent, RefusedUsage } from './buffer/buffered-event.ts'
export {
  createUsageBuffer,
  type NewUsageEvent,
  type UsageBuffer,
  UsageBufferError,
  type UsageBufferOptions,
} from './buffer/usage-buffer.ts'
export { type JournaledEvent, memoryJournal, type UsageJournal } from './buffer/usage-journal.ts'
export type { AnswerHead, CallOptions } from './client/call.ts'
export { type Client, type ClientOptions, createClient } from './client/create-client.ts'
export { type ProblemDetails, TollkeeperError } from './client/tollkeeper-error.ts'
export type { Clock } from './clock.ts'
export { type PlanFeatures, planFeatures } from './features/plan-features.ts'
export { type Decision, decide, type Refusal } from './gate/decide.ts'
export type * from './generated/api.gen.ts'
export {
  createHealthEndpoint,
  type Health,
  type HealthEndpoint,
  type HealthOptions,
} from './health/health-endpoint.ts'
export type { KeptSettlement, Settlement, Unsettled } from './settlements/settlement.ts'
export {
  createSettlements,
  type Settlements,
  SettlementsError,
  type SettlementsOptions,
} from './settlements/settlements.ts'
export {
  type VerifiedWebhook,
  verifyWebhook,
  WebhookError,
  type WebhookRequest,
} from './webhook/verify-webhook.ts'
