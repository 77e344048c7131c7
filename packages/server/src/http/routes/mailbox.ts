import helmet from '@fastify/helmet'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { type KeptMail, MAILS_KEPT } from '../../domain/telling/mail.ts'
import type { HttpDeps } from '../deps.ts'
import { Html, html, PAGE_POLICY, page } from '../html.ts'

const EYEBROW = 'Mailbox of this machine'
const LINK = /https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)]/g

/** `GET /mailbox`: mail that would have gone out, in simulated mode without a mail server. Nothing of it elsewhere. */
export function mailboxRoutes(deps: Pick<HttpDeps, 'mailbox' | 'mode'>): FastifyPluginAsyncTypebox {
  return async (app) => {
    if (deps.mode !== 'simulated') return
    await app.register(helmet, {
      contentSecurityPolicy: {
        useDefaults: false,
        directives: Object.fromEntries(
          Object.entries(PAGE_POLICY).map(([name, sources]) => [name, [...sources]]),
        ),
      },
      referrerPolicy: { policy: 'no-referrer' },
    })
    app.addHook('onSend', async (_request, reply) => {
      reply.header('cache-control', 'no-store')
    })

    app.get('/mailbox', { config: { access: 'loopback' }, schema: { hide: true } }, async (_request, reply) =>
      reply.type('text/html; charset=utf-8').send(listPage(await deps.mailbox.list(MAILS_KEPT))),
    )

    app.get(
      '/mailbox/:id',
      {
        config: { access: 'loopback' },
        schema: { hide: true, params: Type.Object({ id: Type.String({ maxLength: 100 }) }) },
      },
      async ({ params: { id } }, reply) => {
        const mail = await deps.mailbox.find(id)
        reply.code(mail === undefined ? 404 : 200).type('text/html; charset=utf-8')
        return reply.send(mail === undefined ? missingPage() : mailPage(mail))
      },
    )
  }
}

function listPage(mails: readonly KeptMail[]): string {
  const items = mails.map(
    ({ id, at, to, subject }) =>
      html`<li><a href="/mailbox/${encodeURIComponent(id)}">${subject}</a><br>to ${to}, ${time(at)}</li>\n`,
  )
  return page({
    title: 'Mail',
    eyebrow: EYEBROW,
    tone: 'plain',
    body: html`<p>Nothing leaves this machine: what would go to buyers and to you by e-mail is kept here, newest first.</p>
${items.length === 0 ? html`<p>There is no mail yet. A buyer’s registration brings the first.</p>` : html`<ul>\n${items}</ul>`}
<footer><a href="/">Back to the front page</a></footer>`,
  })
}

function mailPage({ at, from, to, subject, text }: KeptMail): string {
  return page({
    title: subject,
    eyebrow: EYEBROW,
    tone: 'plain',
    body: html`<p>From ${from}<br>To ${to}<br>${time(at)}</p>
${text
  .trim()
  .split(/\n{2,}/)
  .map((paragraph) => html`<p>${linked(paragraph)}</p>\n`)}
<footer><a href="/mailbox">All mail</a></footer>`,
  })
}

function missingPage(): string {
  return page({
    title: 'No such mail',
    eyebrow: EYEBROW,
    tone: 'bad',
    body: html`<p>It is not here any more, or never was.</p><footer><a href="/mailbox">All mail</a></footer>`,
  })
}

function time(at: number): Html {
  const text = new Date(at).toISOString()
  return html`<time datetime="${text}">${text.slice(0, 16).replace('T', ' ')} UTC</time>`
}

/** As a mail program shows text: what is an address can be followed. */
function linked(text: string): Html {
  const parts: Html[] = []
  let from = 0
  for (const { 0: url, index } of text.matchAll(LINK)) {
    parts.push(html`${text.slice(from, index)}<a href="${url}" rel="noreferrer">${url}</a>`)
    from = index + url.length
  }
  return new Html([...parts, html`${text.slice(from)}`].map((part) => part.text).join(''))
}
