import type { VirtualClock } from '../clock/virtual-clock.ts'
import type { DeliveryState, TopicSubscription } from './delivery-state.ts'
import type { SubscriptionRequest } from './destinations.ts'
import type { AttemptRequest, SigningFault } from './engine.ts'
import { type PostOutcome, post } from './post.ts'
import type { Queues } from './queues.ts'
import type { Signer } from './signer.ts'
import { type SnsDraft, snsHeaders, writeSnsMessage } from './sns-message.ts'

/** The subscriptions of SNS topics: how they begin and end, and how a message reaches them. */
export interface Topics {
  /** The subscription of a topic as asked for; begins one if there was none. */
  subscription(topicArn: string, request: SubscriptionRequest): TopicSubscription
  /** The same, but begins one that had ended, and asks again for confirmation. */
  subscribe(topicArn: string, request: SubscriptionRequest): TopicSubscription
  /** Ends a subscription; an HTTP endpoint that had confirmed it is told. @returns `false` if there is none */
  unsubscribe(arn: string): boolean
  /** @returns the subscription, or `undefined` for a token that confirms nothing */
  confirm(topicArn: string, token: string): TopicSubscription | undefined
  isConfirmed(arn: string): boolean
  /** Why its confirmation could not be delivered. */
  errorOf(arn: string): string | undefined
  /** Sends a message once. */
  publish(arn: string, message: TopicMessage, signal: AbortSignal): Promise<PostOutcome>
}

export interface TopicMessage {
  readonly id: string
  readonly topicArn: string
  readonly text: string
  /** Virtual time, epoch milliseconds. */
  readonly at: number
  readonly isRaw: boolean
  readonly fault: SigningFault | undefined
}

/** How long `flush` waits for an endpoint that was asked to confirm, in real ms. */
const CONFIRM_WAIT_MS = 2_000
/** The account of `wrongTopic`. */
const STRANGERS_ACCOUNT = '999999999999'

export function createTopics(options: {
  readonly clock: VirtualClock
  readonly state: DeliveryState
  readonly queues: Queues
  readonly signer: Signer
  readonly baseUrl: () => string
  readonly uuid: (name: string) => string
  readonly newToken: () => string
  readonly keep: (subscription: TopicSubscription) => void
  readonly run: (task: (signal: AbortSignal) => Promise<void>) => void
  readonly attempt: (
    request: AttemptRequest,
    signal: AbortSignal,
  ) => Promise<{ isDone: boolean; error?: string }>
}): Topics {
  const { clock, state, queues, signer } = options
  /** Subscriptions whose confirmation was asked for since the start. */
  const asked = new Set<string>()
  const errors = new Map<string, string>()
  /** Those who wait for a confirmation. */
  const waiting = new Map<string, () => void>()

  function ask(subscription: TopicSubscription): void {
    if (asked.has(subscription.arn)) return
    asked.add(subscription.arn)
    options.run(async (signal) => {
      const { isDone, error } = await sendConfirmation(subscription, 'SubscriptionConfirmation', signal)
      if (isDone) await confirmed(subscription.arn, signal)
      else errors.set(subscription.arn, error ?? 'unknown')
    })
  }

  async function sendConfirmation(
    { arn, topicArn, token, endpoint }: TopicSubscription,
    type: 'SubscriptionConfirmation' | 'UnsubscribeConfirmation',
    signal: AbortSignal,
  ) {
    const query = new URLSearchParams({ Action: 'ConfirmSubscription', TopicArn: topicArn, Token: token })
    const draft: SnsDraft = {
      Type: type,
      MessageId: options.uuid(`${type} ${arn} ${token}`),
      Token: token,
      TopicArn: topicArn,
      Message:
        type === 'SubscriptionConfirmation'
          ? `You have chosen to subscribe to the topic ${topicArn}.\nTo confirm the subscription, visit the SubscribeURL included in this message.`
          : `You have chosen to deactivate subscription ${arn}.\nTo cancel this operation and restore the subscription, visit the SubscribeURL included in this message.`,
      SubscribeURL: `${options.baseUrl()}/?${query}`,
      Timestamp: new Date(clock.now()).toISOString(),
    }
    const body = writeSnsMessage(await signer.sign(draft))
    return options.attempt(
      {
        send: () => post(endpoint, snsHeaders(draft, arn), body, signal),
        isRetried: isRetriedBySns,
      },
      signal,
    )
  }

  /** Resolves once confirmed, or after a bounded time. */
  function confirmed(arn: string, signal: AbortSignal): Promise<void> {
    if (state.subscriptions.get(arn)?.state !== 'pending') return Promise.resolve()
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        waiting.delete(arn)
        signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, CONFIRM_WAIT_MS)
      signal.addEventListener('abort', done, { once: true })
      waiting.set(arn, done)
    })
  }

  function arnOf(topicArn: string, { protocol, endpoint }: SubscriptionRequest): string {
    return `${topicArn}:${options.uuid(`subscription ${topicArn} ${protocol} ${endpoint}`)}`
  }

  function begin(topicArn: string, request: SubscriptionRequest): TopicSubscription {
    const { protocol, endpoint } = request
    if (protocol === 'sqs' && queues.find(endpoint) === undefined) queues.put(endpoint, {})
    const subscription: TopicSubscription = {
      arn: arnOf(topicArn, request),
      topicArn,
      protocol,
      endpoint,
      token: options.newToken(),
      state: protocol === 'sqs' ? 'confirmed' : 'pending',
    }
    options.keep(subscription)
    return subscription
  }

  return {
    subscription(topicArn, request) {
      const known = state.subscriptions.get(arnOf(topicArn, request)) ?? begin(topicArn, request)
      if (known.state === 'pending') ask(known)
      return known
    },
    subscribe(topicArn, request) {
      const known = state.subscriptions.get(arnOf(topicArn, request))
      const subscription = known === undefined || known.state === 'removed' ? begin(topicArn, request) : known
      asked.delete(subscription.arn)
      if (subscription.state === 'pending') ask(subscription)
      return subscription
    },
    unsubscribe(arn) {
      const subscription = state.subscriptions.get(arn)
      if (subscription === undefined || subscription.state === 'removed') return false
      const { state: before } = subscription
      const ended: TopicSubscription = { ...subscription, state: 'removed', token: options.newToken() }
      options.keep(ended)
      asked.delete(arn)
      errors.delete(arn)
      if (before === 'confirmed' && subscription.protocol !== 'sqs') {
        options.run(async (signal) => {
          await sendConfirmation(ended, 'UnsubscribeConfirmation', signal)
        })
      }
      return true
    },
    confirm(topicArn, token) {
      const subscription = [...state.subscriptions.values()].find(
        (candidate) => candidate.topicArn === topicArn && candidate.token === token,
      )
      if (subscription === undefined) return undefined
      const active: TopicSubscription = { ...subscription, state: 'confirmed' }
      if (subscription.state !== 'confirmed') options.keep(active)
      errors.delete(active.arn)
      waiting.get(active.arn)?.()
      return active
    },
    isConfirmed: (arn) => state.subscriptions.get(arn)?.state === 'confirmed',
    errorOf: (arn) => errors.get(arn),
    async publish(arn, { id, topicArn, text, at, isRaw, fault }, signal) {
      const subscription = state.subscriptions.get(arn)
      if (subscription === undefined) return { kind: 'failed', reason: 'the subscription is gone' }
      const { protocol, endpoint } = subscription
      const draft: SnsDraft = {
        Type: 'Notification',
        MessageId: id,
        TopicArn: fault === 'wrongTopic' ? withAccount(topicArn, STRANGERS_ACCOUNT) : topicArn,
        Message: text,
        Timestamp: new Date(at).toISOString(),
        UnsubscribeURL: `${options.baseUrl()}/?${new URLSearchParams({ Action: 'Unsubscribe', SubscriptionArn: arn })}`,
      }
      const body = isRaw ? text : writeSnsMessage(await signer.sign(draft, fault))
      if (protocol === 'sqs') {
        if (queues.find(endpoint) === undefined) return { kind: 'failed', reason: `no queue ${endpoint}` }
        queues.send(endpoint, { body })
        return { kind: 'answered', status: 200 }
      }
      const headers = { ...snsHeaders(draft, arn), ...(isRaw && { 'x-amz-sns-rawdelivery': 'true' }) }
      return post(endpoint, headers, body, signal)
    },
  }
}

/** SNS tries again after throttling and server errors; any other answer is final. */
export function isRetriedBySns(status: number): boolean {
  return status === 429 || status >= 500
}

function withAccount(arn: string, accountId: string): string {
  return arn
    .split(':')
    .map((part, index) => (index === 4 ? accountId : part))
    .join(':')
}
