import type { Transporter } from 'nodemailer'
import type { MailTransport } from '../domain/telling/mail.ts'
import type { DeliveryOutcome } from '../domain/telling/sink.ts'

export interface SmtpTransportOptions {
  /** `smtp://` takes TLS where it is offered, `smtps://` insists on it. */
  readonly url: string
  /** An address, or `Name <address>`. */
  readonly from: string
  readonly whereIsHost: (hostname: string) => 'loopback' | 'elsewhere' | 'unclear'
  /** For one message. */
  readonly timeoutMs?: number
}

const TIMEOUT_MS = 30_000
/** Ports on which a session begins in clear and asks for TLS, whatever the URL is called. */
const STARTTLS_PORTS = ['25', '587', '2525']

/** Mail by SMTP. Each message has a connection of its own: they are few. */
export function createSmtpTransport(options: SmtpTransportOptions): MailTransport {
  const { from, timeoutMs = TIMEOUT_MS } = options
  let loading: Promise<Transporter> | undefined
  const domain = /@([^\s@<>]+)>?\s*$/.exec(from)?.[1] ?? 'tollkeeper.invalid'
  return {
    async send(mail, signal) {
      const timeout = AbortSignal.timeout(timeoutMs)
      try {
        loading ??= load(options, timeoutMs)
        const transporter = await loading
        await transporter.sendMail({
          from,
          // As parts, never as text: an address is one address, whatever characters it has.
          to: mail.to.map(({ name = '', address }) => ({ name, address })),
          subject: mail.subject,
          text: mail.text,
          html: mail.html,
          messageId: `<${mail.id}@${domain}>`,
          headers: { 'Auto-Submitted': 'auto-generated' },
          signal: AbortSignal.any([signal, timeout]),
          disableFileAccess: true,
          disableUrlAccess: true,
        })
        return { kind: 'delivered' }
      } catch (error) {
        if (signal.aborted) return { kind: 'cancelled' }
        return failureOf(error, timeout.aborted)
      }
    },
    close() {
      loading?.then(
        (transporter) => transporter.close(),
        () => {}, // it was never made
      )
    },
  }
}

/** Loaded when the first mail goes out: most starts send none. */
async function load(
  { url: text, whereIsHost }: SmtpTransportOptions,
  timeoutMs: number,
): Promise<Transporter> {
  const { createTransport } = await import('nodemailer')
  const url = new URL(text)
  const mustBeSecure = url.protocol === 'smtps:'
  const startsInClear = !mustBeSecure || STARTTLS_PORTS.includes(url.port)
  return createTransport({
    host: url.hostname.replace(/^\[|\]$/g, ''),
    ...(url.port !== '' && { port: Number(url.port) }),
    secure: !startsInClear,
    requireTLS: mustBeSecure,
    ...(url.username !== '' && {
      auth: { user: decodeURIComponent(url.username), pass: decodeURIComponent(url.password) },
    }),
    // On this machine a certificate proves nothing, and mail servers bring one of their own making.
    ...(whereIsHost(url.hostname) === 'loopback' && { tls: { rejectUnauthorized: false } }),
    connectionTimeout: Math.ceil(timeoutMs / 2),
    greetingTimeout: Math.ceil(timeoutMs / 2),
    dnsTimeout: Math.ceil(timeoutMs / 2),
    socketTimeout: timeoutMs,
  })
}

/** Before these, no message of anybody would get through. */
const NOBODY = ['EDNS', 'ETLS', 'EAUTH', 'ENOAUTH', 'EREQUIRETLS', 'ECONFIG']

/** By codes alone: a server's own words name the recipient. */
function failureOf(error: unknown, isTimeout: boolean): DeliveryOutcome {
  const code = textOf(error, 'code') ?? 'unknown error'
  const command = textOf(error, 'command') ?? ''
  const answer = answerOf(textOf(error, 'response') ?? '')
  const reason = answer ?? (isTimeout ? 'no answer in time' : (systemCode(error) ?? code))
  if (NOBODY.includes(code)) return { kind: 'unreachable', reason: `${code}: ${reason}` }
  if (command === 'CONN' || command.startsWith('AUTH')) return { kind: 'unreachable', reason }
  if (command === 'MAIL FROM') {
    return { kind: 'unreachable', reason: `${reason}: the sender is not accepted` }
  }
  if (code === 'EENVELOPE' && answer === undefined) {
    return { kind: 'refused', reason: 'the address is not one that mail can be sent to' }
  }
  return { kind: answer?.startsWith('SMTP 5') ? 'refused' : 'failed', reason }
}

/** Its codes: `550 5.1.1 <ada@example.com> unknown` is `SMTP 550 5.1.1`. */
function answerOf(response: string): string | undefined {
  const codes = /^([245]\d\d)(?:[ -]([245]\.\d{1,3}\.\d{1,3}))?/.exec(response)
  return codes === null ? undefined : ['SMTP', codes[1], codes[2]].filter(Boolean).join(' ')
}

/** What the machine said, such as ECONNREFUSED, within a message that says more. */
function systemCode(error: unknown): string | undefined {
  return /\bE(?:CONN|TIMED|HOST|NET|NOTFOUND|AI_)[A-Z]*\b/.exec(textOf(error, 'message') ?? '')?.[0]
}

function textOf(error: unknown, name: string): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const value = (error as Readonly<Record<string, unknown>>)[name]
  return typeof value === 'string' ? value : undefined
}
