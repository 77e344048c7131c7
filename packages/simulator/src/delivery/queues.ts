import type { Queue, QueueChange, QueueMessage, QueueState } from './queue.ts'

/** The queues of the simulated SQS. Names are checked at the door; whatever is asked of a queue that is gone is `undefined`. */
export interface Queues {
  /** Makes a queue, or gives the one there other attributes. */
  put(name: string, attributes: Readonly<Record<string, string>>): void
  delete(name: string): void
  find(name: string): Queue | undefined
  list(): [name: string, queue: Queue][]
  /** @returns the message as kept */
  send(name: string, draft: MessageDraft): QueueMessage
  /**
   * Takes visible messages, oldest first, and hides them. Waits for one up to `waitMs` of real time. A message that
   * was received as often as the redrive policy allows goes to the dead-letter queue instead.
   */
  receive(name: string, request: ReceiveRequest): Promise<QueueMessage[]>
  /** Does nothing for a receipt that is not the message's latest, as SQS. */
  remove(name: string, receipt: Receipt): void
  /** @returns `false` if the message is not in flight */
  changeVisibility(name: string, receipt: Receipt, timeoutMs: number): boolean
  purge(name: string): void
  /** Ends all waiting. */
  close(): void
}

export interface MessageDraft {
  readonly body: string
  readonly messageAttributes?: QueueMessage['messageAttributes']
  /** Real milliseconds until it can be received. */
  readonly delayMs?: number
  /** Virtual time; default now. */
  readonly sentAt?: number
}

export interface ReceiveRequest {
  readonly max: number
  readonly visibilityTimeoutMs: number
  readonly waitMs: number
  readonly signal?: AbortSignal
}

/** What a receipt handle says: which message, and which of its receptions. */
export interface Receipt {
  readonly id: string
  readonly receiveCount: number
}

export interface RedrivePolicy {
  readonly deadLetterQueue: string
  readonly maxReceiveCount: number
}

/** Longest wait in one timer; what waits longer looks again. */
const TIMER_MS_MAX = 60_000

export function createQueues(options: {
  readonly state: QueueState
  readonly commit: (queue: string, change: QueueChange) => void
  /** Virtual time. */
  readonly now: () => number
  /** Real time. */
  readonly realNow: () => number
  readonly messageId: (name: string) => string
}): Queues {
  const { state, commit, now, realNow } = options
  const waiting = new Map<string, Set<() => void>>()

  function wake(name: string): void {
    for (const look of waiting.get(name) ?? []) look()
  }

  /** Resolves when the queue changed, after `ms`, or when aborted. */
  function change(name: string, ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const looks = waiting.get(name) ?? new Set()
      waiting.set(name, looks)
      const done = () => {
        clearTimeout(timer)
        looks.delete(done)
        signal?.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, Math.min(Math.max(ms, 1), TIMER_MS_MAX))
      looks.add(done)
      signal?.addEventListener('abort', done, { once: true })
    })
  }

  function moveToDeadLetters(name: string, policy: RedrivePolicy): void {
    if (!state.has(policy.deadLetterQueue)) return
    const spent = [...(state.get(name)?.messages.values() ?? [])].filter(
      ({ receiveCount, visibleAt }) => receiveCount >= policy.maxReceiveCount && visibleAt <= realNow(),
    )
    for (const { id } of spent) commit(name, { type: 'move', id, to: policy.deadLetterQueue })
    if (spent.length > 0) wake(policy.deadLetterQueue)
  }

  function take(name: string, { max, visibilityTimeoutMs }: ReceiveRequest): QueueMessage[] {
    const queue = state.get(name)
    if (queue === undefined) return []
    const policy = redrivePolicy(queue)
    if (policy !== undefined) moveToDeadLetters(name, policy)
    const ids: string[] = []
    for (const { id, visibleAt } of queue.messages.values()) {
      if (visibleAt > realNow()) continue
      ids.push(id)
      if (ids.length === max) break
    }
    if (ids.length === 0) return []
    commit(name, { type: 'receive', ids, at: now(), visibleAt: realNow() + visibilityTimeoutMs })
    return ids.flatMap((id) => queue.messages.get(id) ?? [])
  }

  /** Real milliseconds until a hidden message can be seen again. */
  function nextVisibleIn(name: string): number {
    let next = Number.MAX_SAFE_INTEGER
    for (const { visibleAt } of state.get(name)?.messages.values() ?? []) next = Math.min(next, visibleAt)
    return next - realNow()
  }

  /** The message that a receipt is the latest for. */
  function messageOf(name: string, { id, receiveCount }: Receipt): QueueMessage | undefined {
    const message = state.get(name)?.messages.get(id)
    return message?.receiveCount === receiveCount ? message : undefined
  }

  let isOpen = true
  return {
    put: (name, attributes) =>
      commit(name, { type: 'put', attributes, createdAt: state.get(name)?.createdAt ?? now() }),
    delete(name) {
      commit(name, { type: 'delete' })
      wake(name)
    },
    find: (name) => state.get(name),
    list: () => [...state],
    send(name, { body, messageAttributes, delayMs = 0, sentAt = now() }) {
      const message: QueueMessage = {
        id: options.messageId(`${name} ${state.get(name)?.sentCount ?? 0}`),
        body,
        ...(messageAttributes !== undefined && { messageAttributes }),
        sentAt,
        visibleAt: delayMs === 0 ? 0 : realNow() + delayMs,
        receiveCount: 0,
      }
      commit(name, { type: 'send', message })
      wake(name)
      return message
    },
    async receive(name, request) {
      const deadline = realNow() + request.waitMs
      for (;;) {
        if (request.signal?.aborted || !isOpen) return []
        const taken = take(name, request)
        const remaining = deadline - realNow()
        if (taken.length > 0 || remaining <= 0 || !state.has(name)) return taken
        await change(name, Math.min(remaining, nextVisibleIn(name)), request.signal)
      }
    },
    remove(name, receipt) {
      if (messageOf(name, receipt) !== undefined) commit(name, { type: 'remove', ids: [receipt.id] })
    },
    changeVisibility(name, receipt, timeoutMs) {
      const message = messageOf(name, receipt)
      if (message === undefined || message.visibleAt <= realNow()) return false
      commit(name, { type: 'visibility', id: message.id, visibleAt: realNow() + timeoutMs })
      wake(name)
      return true
    },
    purge: (name) => commit(name, { type: 'purge' }),
    close() {
      isOpen = false
      for (const name of waiting.keys()) wake(name)
    },
  }
}

/** The redrive policy of a queue's attributes, which were checked when they were given. */
export function redrivePolicy({ attributes }: Queue): RedrivePolicy | undefined {
  if (attributes.RedrivePolicy === undefined) return undefined
  const { deadLetterTargetArn, maxReceiveCount } = JSON.parse(attributes.RedrivePolicy)
  return {
    deadLetterQueue: String(deadLetterTargetArn).split(':').at(-1) ?? '',
    maxReceiveCount: Number(maxReceiveCount),
  }
}
