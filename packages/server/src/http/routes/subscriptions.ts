import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { HttpDeps } from '../deps.ts'
import { manageSubscriptionRoutes } from './subscriptions/manage-subscriptions.ts'
import { readSubscriptionRoutes } from './subscriptions/read-subscriptions.ts'
import { subscriptionUsageRoute } from './subscriptions/subscription-usage.ts'
import { trackUsageRoute } from './subscriptions/track-usage.ts'

/** Who uses what: subscriptions of every channel, what a seller may do with them, and their usage. */
export function subscriptionRoutes(
  deps: Pick<
    HttpDeps,
    | 'subscriptions'
    | 'manage'
    | 'requestCancellation'
    | 'history'
    | 'entitlements'
    | 'usageAccounts'
    | 'ingest'
    | 'catalog'
    | 'clock'
  >,
): FastifyPluginAsyncTypebox {
  return async (app) => {
    await app.register(readSubscriptionRoutes(deps))
    await app.register(manageSubscriptionRoutes(deps))
    await app.register(subscriptionUsageRoute(deps))
    await app.register(trackUsageRoute(deps))
  }
}
