import { SimulatorError } from '../errors.ts'

/**
 * Where notifications go, as a seller would have set it up at AWS: subscriptions to SNS topics, and rules of the
 * default event bus in us-east-1. Nothing leaves the machine: endpoints are on loopback.
 */
export interface Destinations {
  readonly subscriptions?: readonly SubscriptionRequest[]
  readonly rules?: readonly EventRule[]
}

/** A subscription to one SNS topic, or to the two topics of each legacy product. */
export interface SubscriptionRequest {
  /** A topic's ARN. Default: the two topics that AWS Marketplace keeps for each legacy product. */
  readonly topicArn?: string
  /** `http` and `https` must confirm the subscription before they get anything; a queue need not. */
  readonly protocol: 'http' | 'https' | 'sqs'
  /** A URL on loopback, or the name (or ARN) of a queue, which is made if it is not there. */
  readonly endpoint: string
  /** The bare message, without SNS's envelope and signature. Default `false`. */
  readonly rawMessageDelivery?: boolean
  /** Virtual time (ISO 8601 or epoch ms) from which notifications are sent. Default: when it was first given. */
  readonly since?: string | number
}

/** A rule of the event bus, with one target. It matches what AWS sends, not what the seller puts. */
export interface EventRule {
  readonly name: string
  /** Default: every detail-type. */
  readonly detailTypes?: readonly string[]
  readonly target: EventTarget
  /** As of {@link SubscriptionRequest}. */
  readonly since?: string | number
}

/** A queue, a topic of the seller's (whose subscriptions are in `subscriptions`), or an API destination. */
export type EventTarget =
  | { readonly queue: string }
  | { readonly topicArn: string }
  | { readonly url: string; readonly headers?: Readonly<Record<string, string>> }

/** With every `since` an instant: what is kept. */
export interface KeptDestinations {
  readonly subscriptions: readonly (SubscriptionRequest & { readonly since: number })[]
  readonly rules: readonly (EventRule & { readonly since: number })[]
}

const ENTRIES_MAX = 100
const LOOPBACK_HOST = /^(localhost|([\w-]+\.)+localhost|127(\.\d{1,3}){3}|\[::1\])$/
export const QUEUE_NAME = /^[A-Za-z0-9_-]{1,80}$/
const TOPIC_ARN = /^arn:aws:sns:us-east-1:\d{12}:[A-Za-z0-9_-]{1,256}$/
const HEADER_NAME = /^[A-Za-z0-9-]{1,128}$/

/**
 * Checks destinations that came from outside. What was there before keeps its `since`, so that giving the same
 * again, as a program does at each start, sends nothing twice and skips nothing.
 *
 * @throws {SimulatorError} `invalid`, naming the field
 */
export function parseDestinations(value: unknown, before: KeptDestinations, now: number): KeptDestinations {
  const { subscriptions = [], rules = [] } = record(value, 'destinations', ['subscriptions', 'rules'])
  const kept = {
    subscriptions: list(subscriptions, 'subscriptions').map((entry, index) =>
      parseSubscription(entry, `subscriptions[${index}]`),
    ),
    rules: list(rules, 'rules').map((entry, index) => parseRule(entry, `rules[${index}]`)),
  }
  const names = kept.rules.map(({ name }) => name)
  check(new Set(names).size === names.length, 'each rule must have a name of its own')
  return {
    subscriptions: kept.subscriptions.map((entry) => ({
      ...entry,
      since: since(entry, before.subscriptions.find(sameSubscription(entry)), now),
    })),
    rules: kept.rules.map((entry) => ({
      ...entry,
      since: since(
        entry,
        before.rules.find(({ name }) => name === entry.name),
        now,
      ),
    })),
  }
}

const sameSubscription = (one: SubscriptionRequest) => (other: SubscriptionRequest) =>
  one.topicArn === other.topicArn && one.protocol === other.protocol && one.endpoint === other.endpoint

function since(
  entry: { readonly since?: string | number },
  before: { readonly since: number } | undefined,
  now: number,
): number {
  if (entry.since === undefined) return before?.since ?? now
  return typeof entry.since === 'number' ? entry.since : Date.parse(entry.since)
}

function parseSubscription(value: unknown, where: string): SubscriptionRequest {
  const fields = ['topicArn', 'protocol', 'endpoint', 'rawMessageDelivery', 'since']
  const entry = record(value, where, fields)
  const { topicArn, protocol, endpoint, rawMessageDelivery } = entry
  checkTopic(topicArn, `${where}.topicArn`, true)
  check(
    protocol === 'http' || protocol === 'https' || protocol === 'sqs',
    `${where}.protocol must be http, https or sqs`,
  )
  if (protocol === 'sqs') {
    checkSince(entry, where)
    checkFlag(rawMessageDelivery, where)
    return { ...entry, endpoint: queueName(endpoint, `${where}.endpoint`) } as unknown as SubscriptionRequest
  }
  checkUrl(endpoint, `${where}.endpoint`, `${protocol}:`)
  checkFlag(rawMessageDelivery, where)
  checkSince(entry, where)
  return { ...entry } as unknown as SubscriptionRequest
}

function parseRule(value: unknown, where: string): EventRule {
  const entry = record(value, where, ['name', 'detailTypes', 'target', 'since'])
  const { name, detailTypes } = entry
  check(
    typeof name === 'string' && /^[\w.-]{1,64}$/.test(name),
    `${where}.name must be of 1 to 64 letters, digits, ., - and _`,
  )
  check(
    detailTypes === undefined ||
      (Array.isArray(detailTypes) && detailTypes.every((type) => typeof type === 'string')),
    `${where}.detailTypes must be a list of detail-types`,
  )
  checkSince(entry, where)
  return { ...entry, target: parseTarget(entry.target, `${where}.target`) } as unknown as EventRule
}

function parseTarget(value: unknown, where: string): EventTarget {
  const { queue, topicArn, url, headers = {} } = record(value, where, ['queue', 'topicArn', 'url', 'headers'])
  const given = [queue, topicArn, url].filter((part) => part !== undefined)
  check(given.length === 1, `${where} must have one of queue, topicArn and url`)
  if (queue !== undefined) return { queue: queueName(queue, `${where}.queue`) }
  if (topicArn !== undefined) {
    checkTopic(topicArn, `${where}.topicArn`)
    return { topicArn: String(topicArn) }
  }
  checkUrl(url, `${where}.url`)
  const parsed = record(headers, `${where}.headers`)
  for (const [name, text] of Object.entries(parsed)) {
    check(
      HEADER_NAME.test(name) && typeof text === 'string' && /^[\x20-\x7e]{0,2048}$/.test(text),
      `${where}.headers must be an object of HTTP headers`,
    )
  }
  return { url: String(url), headers: parsed as Record<string, string> }
}

function queueName(value: unknown, where: string): string {
  const name =
    typeof value === 'string' ? (/^arn:aws:sqs:[^:]+:\d{12}:([^:]+)$/.exec(value)?.[1] ?? value) : ''
  check(QUEUE_NAME.test(name), `${where} must be a queue's name: 1 to 80 letters, digits, - and _`)
  return name
}

function checkTopic(value: unknown, where: string, isOptional = false): void {
  check(
    (isOptional && value === undefined) || (typeof value === 'string' && TOPIC_ARN.test(value)),
    `${where} must be the ARN of a topic in us-east-1`,
  )
}

function checkUrl(value: unknown, where: string, protocol?: string): void {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined
  check(
    url !== undefined && url.protocol === (protocol ?? url.protocol) && /^https?:$/.test(url.protocol),
    `${where} must be a URL that begins with ${protocol ?? 'http:'}//`,
  )
  check(
    url !== undefined && LOOPBACK_HOST.test(url.hostname),
    `${where} must be on this machine (127.0.0.1, [::1] or localhost): the simulator sends nothing elsewhere`,
  )
  check(url?.username === '' && url.password === '', `${where} must not carry a password`)
}

function checkFlag(value: unknown, where: string): void {
  check(
    value === undefined || typeof value === 'boolean',
    `${where}.rawMessageDelivery must be true or false`,
  )
}

function checkSince({ since: value }: Readonly<Record<string, unknown>>, where: string): void {
  const epochMs = typeof value === 'string' ? Date.parse(value) : value
  check(value === undefined || Number.isInteger(epochMs), `${where}.since must be a time`)
}

function list(value: unknown, where: string): readonly unknown[] {
  check(
    Array.isArray(value) && value.length <= ENTRIES_MAX,
    `${where} must be a list of at most ${ENTRIES_MAX}`,
  )
  return value as readonly unknown[]
}

function record(value: unknown, where: string, fields?: readonly string[]): Record<string, unknown> {
  check(typeof value === 'object' && value !== null && !Array.isArray(value), `${where} must be an object`)
  const unknown = Object.keys(value as object).find((field) => fields?.includes(field) === false)
  check(unknown === undefined, `${where} has no ${unknown}; it may have ${fields?.join(', ')}`)
  return value as Record<string, unknown>
}

function check(holds: boolean, message: string): void {
  if (!holds) throw new SimulatorError('invalid', message)
}
