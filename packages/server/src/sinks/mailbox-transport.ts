import type { Clock } from '../domain/clock.ts'
import type { Mailbox, MailTransport } from '../domain/telling/mail.ts'

/** Mail that does not leave this machine: it is kept for the mailbox page of simulated mode. */
export function createMailboxTransport(options: {
  readonly mailbox: Mailbox
  readonly from: string
  readonly clock: Pick<Clock, 'now'>
}): MailTransport {
  const { mailbox, from, clock } = options
  return {
    async send({ id, to, subject, text, html }) {
      const shown = to.map(({ name, address }) => (name === undefined ? address : `${name} <${address}>`))
      await mailbox.keep({ id, at: clock.now(), from, to: shown.join(', '), subject, text, html })
      return { kind: 'delivered' }
    },
    close() {},
  }
}
