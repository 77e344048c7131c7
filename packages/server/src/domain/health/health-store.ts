import type { EndpointHealth, EndpointName, HealthChange, HealthHour, HealthStep } from './endpoint-health.ts'

/** What the domain asks of storage about endpoints. Every store passes `healthStoreContract`. */
export interface HealthStore {
  /**
   * Writes one probe down: state, hour, change, event and alarm in one step, however many do so at once.
   *
   * @param decide - pure
   */
  record(name: EndpointName, decide: (before: EndpointHealth | undefined) => HealthStep): Promise<void>
  /** Of one product, by endpoint. */
  list(product: string): Promise<readonly EndpointHealth[]>
  /** Of one product, newest first, endpoints of the same hour by name. */
  hours(options: {
    readonly product: string
    readonly endpoint?: string | undefined
    /** Not before this hour. */
    readonly from?: number | undefined
    readonly limit: number
    readonly cursor?: string | undefined
  }): Promise<{ readonly items: readonly HealthHour[]; readonly next: string | undefined }>
  /** Of one endpoint, newest first. */
  changes(name: EndpointName, limit: number): Promise<readonly HealthChange[]>
  /** An endpoint is no longer registered: its state is forgotten and its alarm is over. What was stays. */
  forget(name: EndpointName): Promise<void>
  /** Forgets at most `limit` hours and as many changes of a product from before `before`, ms. @returns the larger number */
  purge(product: string, before: number, limit: number): Promise<number>
}
