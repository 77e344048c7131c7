import { Counter, Gauge, Registry } from 'prom-client'
import type { Clock } from './domain/clock.ts'
import type { HealthStore } from './domain/health/health-store.ts'
import type { ApiKeyVerifier } from './domain/keys/verify-api-key.ts'
import type { ProductCatalog } from './domain/products/product.ts'
import { statusAt, worthAtRisk } from './domain/usage/usage-at-risk.ts'
import type { UsageStore } from './domain/usage/usage-store.ts'
import type { VisitorGate } from './domain/visitors/visitor-gate.ts'
import type { Jobs } from './jobs/jobs.ts'

export interface Metrics {
  readonly contentType: string
  text(): Promise<string>
}

/** What an operator watches, read from the ledger when it is asked for. Names end in their unit. */
export function createMetrics(deps: {
  usage: UsageStore
  health: Pick<HealthStore, 'list'>
  catalog: ProductCatalog
  clock: Clock
  jobs: Jobs | undefined
  /** Of this process. */
  apiKeys: Pick<ApiKeyVerifier, 'counts'>
  visitors: Pick<VisitorGate, 'counts'>
  /** Of requests, by this process. */
  limits: {
    refusals(): readonly { readonly scope: string; readonly route: string; readonly count: number }[]
    tracked(): readonly { readonly scope: string; readonly count: number }[]
  }
  mode: string
  /** This process among those that share the ledger. */
  node: string
}): Metrics {
  const registry = new Registry()
  const gauge = <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
    new Gauge({ name, help, labelNames, registers: [registry] })
  const records = gauge('tollkeeper_usage_records', 'Usage records by state', ['state'])
  const oldest = gauge(
    'tollkeeper_usage_at_risk_oldest_hour_age_seconds',
    'Age of the oldest hour that AWS has not taken yet; 0 where there is none',
  )
  const left = gauge(
    'tollkeeper_usage_at_risk_time_left_seconds',
    'How long AWS still takes that hour; NaN where there is none',
  )
  const pending = gauge('tollkeeper_usage_at_risk_units', 'Units sealed but not accepted yet', [
    'product',
    'dimension',
  ])
  const atRisk = gauge('tollkeeper_usage_at_risk_usd', 'What they are worth by the configured prices')
  const buckets = gauge('tollkeeper_usage_buckets', 'Hours that are not closed yet', ['status'])
  const halted = gauge('tollkeeper_usage_product_halted', '1 where submission of a product is stopped', [
    'product',
  ])
  const endpointUp = gauge(
    'tollkeeper_endpoint_up',
    '1 where an endpoint of a product is up, 0 where it is down; none where that is not known',
    ['product', 'endpoint'],
  )
  const lastRun = gauge('tollkeeper_jobs_last_run_timestamp_seconds', 'When the jobs last ran')
  const keyChecks = new Counter({
    name: 'tollkeeper_api_key_checks_total',
    help: 'API keys checked by this process, by what came of it',
    labelNames: ['result'],
    registers: [registry],
  })
  const visitorChecks = new Counter({
    name: 'tollkeeper_visitor_checks_total',
    help: 'Visitors without a key that this process looked up, by what came of it',
    labelNames: ['result'],
    registers: [registry],
  })
  const rateLimited = new Counter({
    name: 'tollkeeper_rate_limited_total',
    help: 'Requests that this process refused as too many, by whom the limit is about and by route',
    labelNames: ['scope', 'route'],
    registers: [registry],
  })
  const limitedCallers = gauge(
    'tollkeeper_rate_limit_callers',
    'Callers whose requests this process counts, by whom the limit is about',
    ['scope'],
  )
  gauge('tollkeeper_mode', 'Always 1; the label says whether the ledger is simulated, shadow or live', [
    'mode',
  ]).set({ mode: deps.mode }, 1)
  gauge('tollkeeper_node_info', 'Always 1; the label names this process in logs and leases', ['node']).set(
    { node: deps.node },
    1,
  )

  async function collect(): Promise<void> {
    const now = deps.clock.now()
    const status = await deps.usage.status(undefined, statusAt(deps.catalog, now))
    for (const [state, count] of Object.entries(status.records)) records.set({ state }, count)
    oldest.set(status.oldest === undefined ? 0 : (now - status.oldest.hour * 3_600_000) / 1000)
    left.set(status.oldest === undefined ? Number.NaN : (status.oldest.deadline - now) / 1000)
    pending.reset()
    for (const { product, dimension, units } of status.pending)
      pending.set({ product, dimension }, Number(units))
    atRisk.set(Number(worthAtRisk(status, deps.catalog).total))
    buckets.set({ status: 'open' }, status.openBuckets)
    buckets.set({ status: 'held' }, status.heldBuckets)
    halted.reset()
    for (const { product } of await deps.usage.listHalts()) halted.set({ product }, 1)
    endpointUp.reset()
    for (const { id, endpoints } of deps.catalog.list()) {
      if (endpoints.length === 0) continue
      for (const { product, endpoint, state } of await deps.health.list(id))
        if (state !== 'unknown') endpointUp.set({ product, endpoint }, state === 'up' ? 1 : 0)
    }
    keyChecks.reset()
    for (const [result, count] of Object.entries(deps.apiKeys.counts())) keyChecks.inc({ result }, count)
    visitorChecks.reset()
    for (const [result, count] of Object.entries(deps.visitors.counts())) visitorChecks.inc({ result }, count)
    rateLimited.reset()
    for (const { scope, route, count } of deps.limits.refusals()) rateLimited.inc({ scope, route }, count)
    for (const { scope, count } of deps.limits.tracked()) limitedCallers.set({ scope }, count)
    const at = deps.jobs?.lastRunAt()
    if (at !== undefined) lastRun.set(at / 1000)
  }

  return {
    contentType: registry.contentType,
    async text() {
      await collect()
      return registry.metrics()
    },
  }
}
