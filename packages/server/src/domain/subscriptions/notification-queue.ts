/** A message as a queue holds it. */
export interface QueuedMessage {
  /** The queue's own id of it: the same each time it is received. */
  readonly id: string
  readonly body: string
  /** When it was put in, ms. */
  readonly sentAt: number
  /** How often it was received, this time included. */
  readonly receives: number
  /** To settle it with; of this receipt only. */
  readonly receipt: string
}

/** A queue that AWS Marketplace's notifications are delivered to. Several processes may receive from it at once. */
export interface NotificationQueue {
  /** For people: its name, without the account. */
  readonly name: string
  /**
   * Waits for messages for up to 20 seconds; may be none. Nobody else is given them for a minute.
   *
   * @throws in the queue's own words; at once when the signal is aborted
   */
  receive(signal: AbortSignal): Promise<readonly QueuedMessage[]>
  /** Takes it off the queue. */
  delete(message: QueuedMessage): Promise<void>
  /** Lets it be received again after a while. @param seconds - 0 to 43,200 */
  retryIn(message: QueuedMessage, seconds: number): Promise<void>
}
