import { randomBytes } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { VirtualClock } from '../clock/virtual-clock.ts'
import { SimulatorError } from '../errors.ts'
import type { Notification } from '../marketplace/notifications.ts'
import type { SimulatedProduct } from '../marketplace/product.ts'
import {
  applyDeliveryFact,
  createDeliveryState,
  type DeliveryFact,
  type TopicSubscription,
} from './delivery-state.ts'
import {
  type Destinations,
  type EventRule,
  type KeptDestinations,
  parseDestinations,
  type SubscriptionRequest,
} from './destinations.ts'
import { createDeliveryEngine, type DeliveryView, type Destination } from './engine.ts'
import { createNotificationFaultBook, type NotificationFaultBook } from './notification-faults.ts'
import { type IdentifiedNotification, identifyNotifications } from './notification-id.ts'
import { post } from './post.ts'
import type { PutEvent } from './put-events.ts'
import { createQueues, type Queues } from './queues.ts'
import { createSigner } from './signer.ts'
import type { SignatureVersion } from './sns-message.ts'
import { createTopics, isRetriedBySns } from './topics.ts'

/** A notification, and where it stands at each destination. */
export interface DeliveredNotification extends IdentifiedNotification {
  readonly deliveries: readonly DeliveryView[]
}

/** Destinations as they are, with the subscriptions that they led to. */
export interface DestinationsView extends KeptDestinations {
  readonly topicSubscriptions: readonly (Omit<TopicSubscription, 'token'> & { readonly error?: string })[]
}

/**
 * How notifications get to the seller: for legacy products through SNS, for the others through EventBridge. Each is
 * delivered once its virtual time has come, in order of time, at least once; what was delivered is remembered.
 */
export interface Delivery {
  /** All that was sent up to now, oldest first. */
  notifications(): DeliveredNotification[]
  destinations(): DestinationsView
  /**
   * Replaces all destinations; `{}` has none. A subscription over HTTP is asked to confirm before it gets anything;
   * one that is left out is told that it ended.
   *
   * @throws {SimulatorError} `invalid`
   */
  deliverTo(destinations: Destinations): void
  /**
   * Resolves when all that is due by the virtual clock was delivered, or is held, dropped or given up. An endpoint
   * that was asked to confirm is waited for, but not for ever.
   *
   * @throws `signal.reason` when aborted; the error of a state file that cannot be written
   */
  flush(signal?: AbortSignal): Promise<void>
  readonly faults: NotificationFaultBook
  /** Lets go what a `hold` keeps. */
  release(): void
  /**
   * Sends a notification once more, with the same id and without faults.
   *
   * @throws {SimulatorError} `not_found` for one that no destination was done with
   */
  redeliver(notificationId: string): void
  /** What the seller put on the event bus, oldest first. */
  putEvents(): readonly PutEvent[]
  readonly queues: Queues
  /** The certificate (PEM) of the authority behind the certificates that SNS messages are signed with. */
  caCertificate(): Promise<string>
  /** The signing certificate (PEM) that is served at a path. */
  certificateAt(path: string): string | undefined
  /** What following `SubscribeURL` does. @returns the subscription's ARN, or `undefined` for a wrong token */
  confirmSubscription(topicArn: string, token: string): string | undefined
  /** What following `UnsubscribeURL` does. @returns `false` if there is no such subscription */
  unsubscribe(subscriptionArn: string): boolean
}

/** What the rest of the simulator does with it. */
export interface DeliveryInside extends Delivery {
  restore(fact: DeliveryFact): void
  /** Something may be due. */
  poke(): void
  /** From here on, links lead here. */
  listening(url: string): void
  keepEvents(events: readonly PutEvent[]): void
  /** The id of the next event but `index` that is put. */
  eventId(index: number): string
  close(): Promise<void>
}

export interface DeliveryOptions {
  readonly clock: VirtualClock
  readonly uuid: (name: string) => string
  readonly notifications: () => readonly Notification[]
  readonly products: () => readonly SimulatedProduct[]
  readonly productOf: (subscriptionId: string) => string | undefined
  readonly settings: () => {
    readonly snsSignatureVersion: SignatureVersion
    readonly deliveryAttemptsMax: number
  }
  /** Makes a fact durable; throws if it cannot. */
  readonly persist?: (fact: DeliveryFact) => void
}

/** The AWS account that owns the topics (AWS's serverless sample, template of 2025). */
const TOPIC_ACCOUNT = '287250355862'
/** EventBridge tries an API destination again after these and after server errors (EventBridge user guide, 2026). */
const RETRIED_BY_EVENTBRIDGE = [401, 407, 409, 429]

export function createDelivery(options: DeliveryOptions): DeliveryInside {
  const { clock, uuid } = options
  const state = createDeliveryState()
  let baseUrl = 'http://127.0.0.1'
  /** Where the clock stood when it was last moved, or later. */
  let latest = clock.now()

  function commit(fact: DeliveryFact): void {
    options.persist?.(fact)
    applyDeliveryFact(state, fact)
  }

  const queues = createQueues({
    state: state.queues,
    commit: (queue, change) => commit({ kind: 'queue', queue, change }),
    now: () => clock.now(),
    realNow: () => Date.now(),
    messageId: (name) => uuid(`queue ${name}`),
  })
  const faults = createNotificationFaultBook(() => engine.poke(), options.productOf)
  const signer = createSigner({
    kept: () => state.keys,
    keep: (keys) => commit({ kind: 'signingKeys', keys }),
    version: () => options.settings().snsSignatureVersion,
    baseUrl: () => baseUrl,
  })
  const identified = () => identifyNotifications(options.notifications(), uuid)
  const engine = createDeliveryEngine({
    clock,
    state,
    faults,
    notifications: identified,
    destinations: listDestinations,
    settle: (outcome) => commit({ kind: 'delivery', outcome }),
    attemptsMax: () => options.settings().deliveryAttemptsMax,
  })
  const topics = createTopics({
    clock,
    state,
    queues,
    signer,
    baseUrl: () => baseUrl,
    uuid,
    newToken: () => randomBytes(64).toString('hex'),
    keep: (subscription) => commit({ kind: 'topicSubscription', subscription }),
    run: engine.run,
    attempt: engine.attempt,
  })

  function listDestinations(): Destination[] {
    const { subscriptions, rules } = state.destinations
    const wanted = subscriptions.flatMap((request) =>
      topicsOf(request).map((topicArn) => ({ request, ...topics.subscription(topicArn, request) })),
    )
    const forTopics = wanted.map(({ request, arn, topicArn }) =>
      topicDestination(request, arn, {
        id: arn,
        since: request.since,
        accepts: ({ channel, payload }) => channel === 'sns' && payload.topicArn === topicArn,
        messageOf: ({ id, at, payload }) => ({ id, at, topicArn, text: JSON.stringify(payload.message) }),
      }),
    )
    const forRules = rules.flatMap((rule) => {
      const { target } = rule
      if (!('topicArn' in target)) return [ruleDestination(rule)]
      const { topicArn } = target
      return wanted
        .filter((subscription) => subscription.topicArn === topicArn)
        .map(({ request, arn }) =>
          topicDestination(request, arn, {
            id: `rule ${rule.name} ${arn}`,
            since: Math.max(rule.since, request.since),
            accepts: matches(rule),
            messageOf: ({ id, at, payload }) => ({
              id: uuid(`sns ${id} ${topicArn}`),
              at,
              topicArn,
              text: JSON.stringify(payload),
            }),
          }),
        )
    })
    return [...forTopics, ...forRules]
  }

  function topicsOf({ topicArn }: SubscriptionRequest): string[] {
    if (topicArn !== undefined) return [topicArn]
    return options
      .products()
      .filter(({ metering }) => metering === 'legacy')
      .flatMap(({ productCode }) =>
        ['subscription', 'entitlement'].map(
          (name) => `arn:aws:sns:us-east-1:${TOPIC_ACCOUNT}:aws-mp-${name}-notification-${productCode}`,
        ),
      )
  }

  function topicDestination(
    { protocol, endpoint, rawMessageDelivery: isRaw = false }: SubscriptionRequest,
    arn: string,
    given: Pick<Destination, 'id' | 'since' | 'accepts'> & {
      messageOf(notification: IdentifiedNotification): {
        id: string
        at: number
        topicArn: string
        text: string
      }
    },
  ): Destination {
    const { messageOf, ...destination } = given
    return {
      ...destination,
      line: protocol === 'sqs' ? queueLine(endpoint) : endpoint,
      isSigned: !isRaw,
      isOpen: () => topics.isConfirmed(arn),
      send: (notification, fault, signal) =>
        topics.publish(arn, { ...messageOf(notification), isRaw, fault }, signal),
      isRetried: isRetriedBySns,
    }
  }

  function ruleDestination(rule: EventRule & { readonly since: number }): Destination {
    const { name, since, target } = rule
    if ('queue' in target && queues.find(target.queue) === undefined) queues.put(target.queue, {})
    return {
      id: `rule ${name}`,
      line: 'queue' in target ? queueLine(target.queue) : 'url' in target ? target.url : name,
      since,
      isSigned: false,
      isOpen: () => true,
      accepts: matches(rule),
      async send({ payload }, _, signal) {
        const body = JSON.stringify(payload)
        if ('queue' in target) {
          if (queues.find(target.queue) === undefined) {
            return { kind: 'failed', reason: `no queue ${target.queue}` }
          }
          queues.send(target.queue, { body })
          return { kind: 'answered', status: 200 }
        }
        if (!('url' in target)) return { kind: 'failed', reason: 'no target' }
        const headers = {
          'content-type': 'application/json; charset=utf-8',
          'user-agent': 'Amazon/EventBridge/ApiDestinations',
          ...target.headers,
        }
        return post(target.url, headers, body, signal)
      },
      isRetried: (status) => status >= 500 || RETRIED_BY_EVENTBRIDGE.includes(status),
    }
  }

  /** A clock put back takes the beginning of what had begun along: else nothing would come until then. */
  function keepBegun(): void {
    const now = clock.now()
    const lower = <Entry extends { readonly since: number }>(entry: Entry): Entry =>
      entry.since > now && entry.since <= latest ? { ...entry, since: now } : entry
    const { subscriptions, rules } = state.destinations
    const destinations = { subscriptions: subscriptions.map(lower), rules: rules.map(lower) }
    latest = now
    if (!isDeepStrictEqual(destinations, state.destinations)) commit({ kind: 'destinations', destinations })
  }

  function endLeftOut(): void {
    const wanted = new Set(
      state.destinations.subscriptions.flatMap((request) =>
        topicsOf(request).map((topicArn) => `${topicArn} ${request.protocol} ${request.endpoint}`),
      ),
    )
    for (const { arn, topicArn, protocol, endpoint, state: at } of [...state.subscriptions.values()]) {
      if (at !== 'removed' && !wanted.has(`${topicArn} ${protocol} ${endpoint}`)) topics.unsubscribe(arn)
    }
  }

  const stopWatching = clock.onChange(keepBegun)

  return {
    notifications: () =>
      identified().map((notification) => ({
        ...notification,
        deliveries: engine.deliveriesOf(notification),
      })),
    destinations: () => ({
      ...state.destinations,
      topicSubscriptions: [...state.subscriptions.values()]
        .filter((subscription) => subscription.state !== 'removed')
        .map(({ token: _, ...subscription }) => {
          const error = topics.errorOf(subscription.arn)
          return { ...subscription, ...(error !== undefined && { error }) }
        }),
    }),
    deliverTo(value) {
      latest = Math.max(latest, clock.now())
      const destinations = parseDestinations(value, state.destinations, clock.now())
      commit({ kind: 'destinations', destinations })
      endLeftOut()
      for (const request of destinations.subscriptions) {
        for (const topicArn of topicsOf(request)) topics.subscribe(topicArn, request)
      }
      listDestinations() // which makes queues: a consumer may ask for them at once
      engine.poke()
    },
    flush: engine.flush,
    faults,
    release: () => faults.release(),
    redeliver(notificationId) {
      if (engine.redeliver(notificationId) === 0) {
        throw new SimulatorError('not_found', `no destination is done with a notification ${notificationId}`)
      }
    },
    putEvents: () => state.putEvents,
    queues,
    caCertificate: () => signer.caCertificate(),

    restore: (fact) => applyDeliveryFact(state, fact),
    poke: engine.poke,
    listening(url) {
      // All addresses of the machine are none to link to.
      baseUrl = url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:')
      engine.poke()
    },
    keepEvents: (events) => commit({ kind: 'putEvents', events }),
    eventId: (index) => uuid(`put event ${state.putEventCount + index}`),
    certificateAt: signer.certificateAt,
    confirmSubscription(topicArn, token) {
      const subscription = topics.confirm(topicArn, token)
      engine.poke()
      return subscription?.arn
    },
    unsubscribe: (arn) => topics.unsubscribe(arn),
    async close() {
      stopWatching()
      queues.close()
      await engine.close()
    },
  }
}

function queueLine(queue: string): string {
  return `queue ${queue}`
}

function matches({ detailTypes }: EventRule): (notification: IdentifiedNotification) => boolean {
  return ({ channel, type }) =>
    channel === 'eventbridge' && (detailTypes === undefined || detailTypes.includes(type))
}
