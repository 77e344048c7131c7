import type { ProductCatalog } from '../domain/products/product.ts'
import type { BuyerStore } from '../domain/subscriptions/buyer.ts'
import { composeBuyerMails, composeSellerMails } from '../domain/telling/compose-mail.ts'
import type { DomainEvent } from '../domain/telling/domain-event.ts'
import type { Mail, MailTransport } from '../domain/telling/mail.ts'
import type { OutboxStore } from '../domain/telling/outbox-store.ts'
import type { DeliveryOutcome, Sink, SinkSpec } from '../domain/telling/sink.ts'

/** Mail servers limit connections. */
const CALLS_MAX = 2

interface MailSinkOptions {
  readonly spec: SinkSpec
  readonly transport: MailTransport
  readonly catalog: ProductCatalog
}

/** Mail to the buyer's people, whose addresses are read when it is sent. */
export function createBuyerMailSink(
  options: MailSinkOptions & {
    readonly buyers: Pick<BuyerStore, 'listContacts'>
    readonly outbox: Pick<OutboxStore, 'earlierTypes'>
  },
): Sink {
  const { buyers, outbox, catalog } = options
  return createMailSink(options, async (event) =>
    composeBuyerMails(
      event,
      catalog.find(event.product),
      await buyers.listContacts(event.buyer),
      await outbox.earlierTypes(event.id),
    ),
  )
}

/** Notes to the seller's own people. */
export function createSellerMailSink(options: MailSinkOptions & { readonly to: readonly string[] }): Sink {
  return createMailSink(options, async (event) =>
    composeSellerMails(event, options.catalog.find(event.product), options.to),
  )
}

function createMailSink(
  { spec, transport }: MailSinkOptions,
  compose: (event: DomainEvent) => Promise<readonly Mail[]>,
): Sink {
  return {
    ...spec,
    batchMax: 1,
    callsMax: CALLS_MAX,
    deliver: (events, signal) =>
      Promise.all(events.map(async (event) => sendAll(transport, await compose(event), signal))),
    close: () => transport.close(),
  }
}

/**
 * One message after the other. What went out before one failed goes out again with it: each keeps its id, by which mail
 * programs know a repeat.
 */
async function sendAll(
  transport: MailTransport,
  mails: readonly Mail[],
  signal: AbortSignal,
): Promise<DeliveryOutcome> {
  let refused: DeliveryOutcome | undefined
  let isTaken = mails.length === 0
  for (const mail of mails) {
    const outcome = await transport.send(mail, signal)
    if (outcome.kind === 'delivered') isTaken = true
    else if (outcome.kind === 'refused') refused = outcome
    else return outcome
  }
  // Somebody whose mailbox is gone must not have the others told again and again.
  return isTaken || refused === undefined ? { kind: 'delivered' } : refused
}
