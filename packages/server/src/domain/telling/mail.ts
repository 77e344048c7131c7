import type { DeliveryOutcome } from './sink.ts'

export interface MailAddress {
  /** Shown beside the address. */
  readonly name: string | undefined
  readonly address: string
}

/** One message to one person, or to several who may know of each other. */
export interface Mail {
  /** The same on every try: mail programs and the mailbox know a repeat by it. */
  readonly id: string
  readonly to: readonly MailAddress[]
  readonly subject: string
  readonly text: string
  readonly html: string
}

/** What carries mail. */
export interface MailTransport {
  /** Within half a minute; never rejects. Reasons name no address. */
  send(mail: Mail, signal: AbortSignal): Promise<DeliveryOutcome>
  close(): void
}

/** A mail that stayed on this machine: simulated mode without a mail server. */
export interface KeptMail {
  readonly id: string
  readonly at: number
  readonly from: string
  /** As a mail program shows it. */
  readonly to: string
  readonly subject: string
  readonly text: string
  readonly html: string
}

/** Pretended mail is for looking at, not for keeping: older ones make room. */
export const MAILS_KEPT = 200

/** The mailbox of simulated mode. */
export interface Mailbox {
  /** The same id again is the same mail. */
  keep(mail: KeptMail): Promise<void>
  /** Newest first. */
  list(limit: number): Promise<readonly KeptMail[]>
  find(id: string): Promise<KeptMail | undefined>
}
