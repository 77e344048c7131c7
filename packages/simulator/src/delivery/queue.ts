/** A queue as it is kept. Its name is its key in {@link QueueState}. */
export interface Queue {
  /** As SQS names and writes them, e.g. `VisibilityTimeout: "30"`. Only those that were given. */
  readonly attributes: Readonly<Record<string, string>>
  /** Virtual time, epoch milliseconds. */
  readonly createdAt: number
  /** Oldest first. */
  readonly messages: ReadonlyMap<string, QueueMessage>
  /** How many were ever sent to it: the ids of messages follow from this. */
  readonly sentCount: number
}

export interface QueueMessage {
  readonly id: string
  readonly body: string
  readonly messageAttributes?: Readonly<Record<string, MessageAttribute>>
  /** Virtual time, epoch milliseconds. */
  readonly sentAt: number
  /** Real time, epoch milliseconds: a consumer's visibility timeout runs on the consumer's clock. */
  readonly visibleAt: number
  readonly receiveCount: number
  /** Virtual time. */
  readonly firstReceivedAt?: number
  /** The queue it came from, for a message that was moved to a dead-letter queue. */
  readonly deadLetterOf?: string
}

/** As SQS writes it; `BinaryValue` is base64. */
export interface MessageAttribute {
  readonly DataType: string
  readonly StringValue?: string
  readonly BinaryValue?: string
}

export type QueueState = Map<string, Queue>

/** One change of one queue, as the state file keeps it. */
export type QueueChange =
  | {
      readonly type: 'put'
      readonly attributes: Readonly<Record<string, string>>
      readonly createdAt: number
    }
  | { readonly type: 'delete' }
  | { readonly type: 'send'; readonly message: QueueMessage }
  | {
      readonly type: 'receive'
      readonly ids: readonly string[]
      readonly at: number
      readonly visibleAt: number
    }
  | { readonly type: 'visibility'; readonly id: string; readonly visibleAt: number }
  | { readonly type: 'remove'; readonly ids: readonly string[] }
  | { readonly type: 'purge' }
  /** To a dead-letter queue. */
  | { readonly type: 'move'; readonly id: string; readonly to: string }

/** @throws {Error} for a change of a queue that is not there */
export function applyQueueChange(queues: QueueState, name: string, change: QueueChange): void {
  const queue = queues.get(name)
  if (change.type === 'put') {
    const { attributes, createdAt } = change
    queues.set(name, { messages: new Map(), sentCount: 0, ...queue, attributes, createdAt })
    return
  }
  if (queue === undefined) throw new Error(`there is no queue ${name}`)
  const messages = queue.messages as Map<string, QueueMessage>
  switch (change.type) {
    case 'delete':
      queues.delete(name)
      return
    case 'send':
      messages.set(change.message.id, change.message)
      queues.set(name, { ...queue, sentCount: queue.sentCount + 1 })
      return
    case 'receive':
      for (const id of change.ids) update(messages, id, (message) => received(message, change))
      return
    case 'visibility':
      update(messages, change.id, (message) => ({ ...message, visibleAt: change.visibleAt }))
      return
    case 'remove':
      for (const id of change.ids) messages.delete(id)
      return
    case 'purge':
      messages.clear()
      return
    case 'move': {
      const message = messages.get(change.id)
      const target = queues.get(change.to)?.messages as Map<string, QueueMessage> | undefined
      if (message === undefined || target === undefined) throw new Error(`${change.id} cannot be moved`)
      messages.delete(change.id)
      target.set(change.id, { ...message, deadLetterOf: name, visibleAt: 0 })
    }
  }
}

function received(message: QueueMessage, { at, visibleAt }: { at: number; visibleAt: number }): QueueMessage {
  const receiveCount = message.receiveCount + 1
  return { ...message, receiveCount, visibleAt, firstReceivedAt: message.firstReceivedAt ?? at }
}

function update(
  messages: Map<string, QueueMessage>,
  id: string,
  change: (message: QueueMessage) => QueueMessage,
): void {
  const message = messages.get(id)
  if (message !== undefined) messages.set(id, change(message))
}
