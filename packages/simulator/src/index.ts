/**
 * AWS Marketplace on a laptop: metering, entitlements, agreements, notifications, a buyer's storefront, a clock and
 * faults.
 *
 * Notifications: `simulator.deliverTo(…)` says where they go (SNS to an HTTP endpoint or a queue; EventBridge rules to
 * a queue, a topic or an API destination), `await simulator.delivery.flush()` waits for those that are due, and
 * `simulator.delivery.faults.order(…)` has them repeated, delayed, held or forged. SQS, SNS's links and `PutEvents` are
 * at the same address as the rest.
 */
export { createVirtualClock, type VirtualClock } from './clock/virtual-clock.ts'
export type { DeliveredNotification, Delivery, DestinationsView } from './delivery/delivery.ts'
export type { Destinations, EventRule, EventTarget, SubscriptionRequest } from './delivery/destinations.ts'
export type { DeliveryView } from './delivery/engine.ts'
export {
  NOTIFICATION_FAULT_KINDS,
  type NotificationFault,
  type NotificationFaultBook,
  type NotificationFaultKind,
  type NotificationFaultOrder,
} from './delivery/notification-faults.ts'
export type { PutEvent } from './delivery/put-events.ts'
export type { Queue, QueueMessage } from './delivery/queue.ts'
export type { Queues } from './delivery/queues.ts'
export { DEMO_PRODUCTS } from './demo-products.ts'
export { SimulatorError, type SimulatorErrorCode } from './errors.ts'
export {
  DELIVERY_OPERATIONS,
  type DeliveryOperation,
  FAULT_KINDS,
  type Fault,
  type FaultBook,
  type FaultKind,
  type FaultOrder,
  type Operation,
} from './faults/faults.ts'
export type { ListenOptions } from './http/http-server.ts'
export {
  ANNOUNCEMENT_KINDS,
  type AnnouncementKind,
  type AnnouncementOrder,
} from './marketplace/agreement-announcement.ts'
export type { Order, Terms } from './marketplace/agreement-order.ts'
export type {
  CancellationReason,
  CancellationRequestView,
  CancellationStatus,
} from './marketplace/agreement-request.ts'
export type { Bill, BillLine } from './marketplace/bill.ts'
export type { LedgerRecord } from './marketplace/ledger.ts'
export type { CallCounts, Marketplace } from './marketplace/marketplace.ts'
export type { Notification } from './marketplace/notifications.ts'
export type { DimensionType, SimulatedDimension, SimulatedProduct } from './marketplace/product.ts'
export { DEFAULT_SETTINGS, type Settings } from './marketplace/settings.ts'
export type {
  Quantities,
  Subscription,
  SubscriptionEnd,
  SubscriptionState,
} from './marketplace/subscription.ts'
export type { UsageAllocation, UsageTag } from './marketplace/usage-record.ts'
export { createSimulator, type Simulator, type SimulatorOptions } from './simulator.ts'
export type { Call } from './wire/call-log.ts'
export type { AwsReply, AwsRequest } from './wire/handle-aws.ts'
export type { ServiceRequest } from './wire/json-service.ts'
