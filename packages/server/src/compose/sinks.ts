import type { Config, Email } from '../config.ts'
import type { Clock } from '../domain/clock.ts'
import type { Probe } from '../domain/health/probe-endpoints.ts'
import type { MailTransport } from '../domain/telling/mail.ts'
import type { Sink, SinkSpec } from '../domain/telling/sink.ts'
import { whereIsHost } from '../marketplace/loopback.ts'
import { systemClock } from '../system-clock.ts'
import { awsClientOptions } from './aws.ts'
import type { Ledger } from './ledger.ts'
import { VERSION } from './logger.ts'

/** The ways to all who are told. Loaded only where they are configured. */
export async function createSinks(ledger: Ledger, clock: Clock): Promise<readonly Sink[]> {
  const { config, buyers } = ledger
  const { eventBridge, webhooks, email } = config.events
  const parts = email && { ...ledger, transport: await createMailTransport(ledger, email, clock) }
  const create = async (spec: SinkSpec): Promise<Sink | undefined> => {
    const webhook = webhooks.find(({ id }) => spec.name === `webhook:${id}`)
    if (webhook !== undefined) {
      const { createWebhookSink } = await import('../sinks/webhook-sink.ts')
      const { url, secret, allowPrivate } = webhook
      const policy = config.mode === 'simulated' ? 'loopback' : allowPrivate ? 'private' : 'public'
      // Receivers compare the time of a signature with their own: the machine's, whatever our clock pretends.
      const { now } = systemClock
      const userAgent = `tollkeeper/${VERSION}`
      return createWebhookSink({ spec, url, secret, policy, buyers, now, userAgent })
    }
    if (spec.name === 'eventbridge' && eventBridge !== undefined) return createEventBridge(config, spec)
    if (parts === undefined) return undefined
    const { createBuyerMailSink, createSellerMailSink } = await import('../sinks/mail-sink.ts')
    return spec.name === 'email:seller'
      ? createSellerMailSink({ ...parts, spec, to: email!.sellerTo })
      : createBuyerMailSink({ ...parts, spec })
  }
  const sinks = await Promise.all(ledger.sinks.map(create))
  return sinks.filter((sink) => sink !== undefined)
}

/** Asks endpoints how they are. Loaded when there is one. */
export function createProbe({ mode }: Config): Probe {
  let loaded: Promise<Probe> | undefined
  const load = async () => {
    const { createHealthProbe } = await import('../sinks/health-probe.ts')
    return createHealthProbe({
      policyOf: ({ allowPrivate }) =>
        mode === 'simulated' ? 'loopback' : allowPrivate ? 'private' : 'public',
      userAgent: `tollkeeper/${VERSION}`,
    })
  }
  return async (endpoint, signal) => {
    loaded ??= load()
    return (await loaded)(endpoint, signal)
  }
}

/** A delivery's lease is longer, whatever `aws.timeoutMs` says. */
const EVENTBRIDGE_TIMEOUT_MS = 20_000

async function createEventBridge(config: Config, spec: SinkSpec): Promise<Sink> {
  const { createEventBridgeSink } = await import('../sinks/event-bridge-sink.ts')
  const { awsClientConfig, placeOf } = await import('../marketplace/aws-client.ts')
  const options = await awsClientOptions(config)
  return createEventBridgeSink({
    ...config.events.eventBridge!,
    spec,
    client: awsClientConfig(options, 'EventBridge'),
    isAllowedHost: (host) => whereIsHost(host) === placeOf(config.mode),
    timeoutMs: Math.min(options.timeoutMs, EVENTBRIDGE_TIMEOUT_MS),
  })
}

async function createMailTransport(
  { mailbox }: Pick<Ledger, 'mailbox'>,
  { smtpUrl, from }: Email,
  clock: Clock,
): Promise<MailTransport> {
  if (smtpUrl === undefined) {
    const { createMailboxTransport } = await import('../sinks/mailbox-transport.ts')
    return createMailboxTransport({ mailbox, from, clock })
  }
  const { createSmtpTransport } = await import('../sinks/smtp-transport.ts')
  return createSmtpTransport({ url: smtpUrl, from, whereIsHost })
}
