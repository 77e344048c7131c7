/** An event that the seller put on the bus. */
export interface PutEvent {
  readonly id: string
  readonly source: string
  readonly detailType: string
  /** JSON, as it was put. */
  readonly detail: string
  /** Virtual time of arrival, epoch milliseconds. */
  readonly at: number
  /** As the seller gave it, epoch milliseconds. */
  readonly time?: number
  readonly eventBusName: string
  readonly resources: readonly string[]
  readonly traceHeader?: string
}
