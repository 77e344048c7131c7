import { createHash } from 'node:crypto'
import type { HttpResponse } from '../http/message.ts'
import { Html, html } from './html.ts'
import { STYLE } from './style.ts'

export interface Page {
  readonly title: string
  /** Which entry of the navigation this is. */
  readonly current?: '/' | '/usage'
  readonly now: number
  readonly running: boolean
  readonly content: Html
  readonly status?: number
  /** Where to come back to after the clock was moved. */
  readonly path: string
}

const STYLE_ELEMENT = new Html(`<style>${STYLE}</style>`)
const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64')

/**
 * No script runs, nothing is loaded, no other page may frame this one. Forms may go to other sites: "Set up your
 * account" posts to the seller.
 */
const HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; img-src data:; form-action 'self' http: https:; frame-ancestors 'none'; base-uri 'none'`,
  'x-frame-options': 'DENY',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'strict-origin',
}

export function pageResponse(page: Page): HttpResponse {
  const { title, current, now, running, content, path } = page
  const link = (to: '/' | '/usage', text: string) =>
    html`<a href="${to}"${current === to && html` aria-current="page"`}>${text}</a>`
  const document = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · Simulated AWS Marketplace</title>
<link rel="icon" href="data:,">
${STYLE_ELEMENT}
</head>
<body>
<a class="skip" href="#content">Skip to content</a>
<header class="bar"><div class="bar-in">
<a class="brand" href="/">Simulated AWS Marketplace<small>Nothing leaves this machine</small></a>
<nav aria-label="Main">${link('/', 'Products')}${link('/usage', 'Usage and bill')}</nav>
<div class="clock"><span>Virtual time${!running && ', frozen'}${timeOf(now)}</span>
<form method="post" action="/clock/advance"><input type="hidden" name="by" value="1h"><input type="hidden" name="back" value="${path}"><button>Advance one hour</button></form></div>
</div></header>
<main id="content">
${content}
</main>
</body>
</html>
`
  return { status: page.status ?? 200, headers: HEADERS, body: document.text }
}

/** After a form was taken: the page to look at, by GET, so that a reload does not send it again. */
export function seeOther(location: string): HttpResponse {
  return { status: 303, headers: { location, 'cache-control': 'no-store' }, body: '' }
}

export function timeOf(epochMs: number): Html {
  const iso = new Date(epochMs).toISOString()
  return html`<time datetime="${iso}">${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC</time>`
}
