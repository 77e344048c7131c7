import type { Clock } from '../clock.ts'
import type { CatalogVersions } from '../products/catalog-versions.ts'
import type { Endpoint } from '../products/endpoint.ts'
import type { ProductCatalog } from '../products/product.ts'
import { judgeProbe, type ProbeOutcome } from './endpoint-health.ts'
import { CHANGES_JUDGED } from './flapping.ts'
import type { HealthStore } from './health-store.ts'

/** Asks an endpoint how it is. Never rejects, but when it is aborted. */
export type Probe = (
  endpoint: Endpoint & { readonly healthUrl: string },
  signal: AbortSignal,
) => Promise<ProbeOutcome>

export interface ProbeDeps {
  readonly health: HealthStore
  readonly catalog: ProductCatalog & { versions(): CatalogVersions }
  readonly probe: Probe
  readonly clock: Pick<Clock, 'now'>
  /** Asked before each probe: may it go on, and does no other node? Default: yes. */
  readonly goesOn?: () => Promise<boolean>
}

/** Hours and changes are kept so long, ms. */
export const KEEP_HEALTH_MS: number = 90 * 86_400_000
const PURGE_AT_ONCE = 500
const PROBES_AT_ONCE = 16

/**
 * Asks all endpoints that are due, and forgets those that are no longer registered. Safe to stop half-way; what goes on elsewhere is
 * left to it from the next probe on.
 *
 * @returns how many were asked
 */
export async function probeEndpoints(deps: ProbeDeps, signal: AbortSignal): Promise<number> {
  const { goesOn = async () => true } = deps
  if (!(await goesOn())) return 0
  const due = await findDue(deps)
  let asked = 0
  let failure: { readonly error: unknown } | undefined
  const work = async () => {
    for (let next = due.pop(); next !== undefined && !signal.aborted; next = due.pop()) {
      try {
        if (!(await goesOn())) return
        if (await askOne(deps, next, signal)) asked++
      } catch (error) {
        failure = { error } // one must not hold up the rest
      }
    }
  }
  await Promise.all(Array.from({ length: PROBES_AT_ONCE }, work))
  if (failure !== undefined && !signal.aborted) throw failure.error
  return asked
}

interface Due {
  readonly product: string
  readonly wasDown: boolean
  readonly endpoint: Endpoint & { readonly healthUrl: string }
}

async function findDue({ health, catalog, clock }: ProbeDeps): Promise<Due[]> {
  const now = clock.now()
  const due: Due[] = []
  // Products that are sold no more, too: what is known of their endpoints is over.
  const ids = new Set([
    ...catalog.list().map(({ id }) => id),
    ...catalog.versions().products.map(({ product }) => product),
  ])
  for (const product of ids) {
    const endpoints = (catalog.list().find(({ id }) => id === product)?.endpoints ?? []).filter(isAsked)
    const known = await health.list(product)
    for (const { endpoint } of known)
      if (!endpoints.some(({ id }) => id === endpoint)) await health.forget({ product, endpoint })
    for (const endpoint of endpoints) {
      const { checkedAt: last, state } = known.find((one) => one.endpoint === endpoint.id) ?? {}
      // A clock that was put back makes it due, too.
      if (last === undefined || last > now || now - last >= endpoint.everyMs)
        due.push({ product, endpoint, wasDown: state === 'down' })
    }
  }
  return due
}

function isAsked(endpoint: Endpoint): endpoint is Endpoint & { readonly healthUrl: string } {
  return endpoint.healthUrl !== undefined
}

async function askOne(
  { health, probe, clock }: ProbeDeps,
  { product, endpoint, wasDown }: Due,
  signal: AbortSignal,
): Promise<boolean> {
  const outcome = await probe(endpoint, signal)
  if (signal.aborted) return false
  const now = clock.now()
  const name = { product, endpoint: endpoint.id }
  const isWell = outcome.kind === 'up' && !wasDown
  const changes = isWell ? [] : await health.changes(name, CHANGES_JUDGED)
  await health.record(name, (before) => judgeProbe(product, endpoint, before, outcome, now, changes))
  return true
}

/** Forgets what is older than ninety days. */
export async function purgeHealth(
  { health, catalog, clock }: Pick<ProbeDeps, 'health' | 'catalog' | 'clock'>,
  signal: AbortSignal,
): Promise<void> {
  const before = clock.now() - KEEP_HEALTH_MS
  for (const product of new Set(catalog.versions().products.map((version) => version.product)))
    while (!signal.aborted && (await health.purge(product, before, PURGE_AT_ONCE)) >= PURGE_AT_ONCE);
}
