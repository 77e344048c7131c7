import { hash } from 'node:crypto'

/** Text with its HTML escaped; made by `html` only. */
export class Html {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** What can be put into a page: `undefined` and `false` are nothing. */
export type HtmlValue = string | Html | undefined | false | readonly Html[]

/** Escapes what is put in, unless it is HTML already. */
export function html(parts: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  let text = parts[0]!
  for (const [index, value] of values.entries()) {
    text += toText(value) + parts[index + 1]!
  }
  return new Html(text)
}

function toText(value: HtmlValue): string {
  if (value === undefined || value === false) return ''
  if (value instanceof Html) return value.text
  if (typeof value !== 'string') return value.map((item) => item.text).join('')
  return value.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}

/** Backgrounds and default colours of the two schemes; `pages/accent.ts` makes a seller's colour fit them. */
export const LIGHT = { paper: '#ffffff', ground: '#f2f3f3', accent: '#0059b3' } as const
export const DARK = { paper: '#1a2029', ground: '#0f141a', accent: '#8cc4ff' } as const

const STYLE = `
:root { color-scheme: light dark; --ink: #16191f; --soft: #545b64; --paper: ${LIGHT.paper}; --ground: ${LIGHT.ground}; --line: #d5dbdb; --accent: ${LIGHT.accent}; --good: #1d7a34; --bad: #b3261e }
@media (prefers-color-scheme: dark) { :root { --ink: #eaeded; --soft: #b6bec9; --paper: ${DARK.paper}; --ground: ${DARK.ground}; --line: #414d5c; --accent: ${DARK.accent}; --good: #7bd88f; --bad: #ff9d94 } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; grid-template-columns: minmax(0, 1fr); place-items: center; padding: 1.5rem; background: var(--ground); color: var(--ink); font: 1rem/1.6 system-ui, sans-serif }
main { width: 100%; max-width: 38rem; padding: 2rem; background: var(--paper); border: 1px solid var(--line); border-radius: 12px; overflow-wrap: anywhere }
h1 { margin: 0 0 .75rem; font-size: 1.6rem; line-height: 1.25 }
.eyebrow { margin: 0 0 .5rem; color: var(--soft); font-size: .9rem }
.good h1 { color: var(--good) } .bad h1 { color: var(--bad) }
p, ul { margin: 0 0 1rem } ul { padding-left: 1.25rem }
a { color: var(--accent) } a:focus-visible, pre:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; border-radius: 3px }
code { font: .875em/1.6 ui-monospace, monospace } pre { padding: 1rem; overflow-x: auto; background: var(--ground); border-radius: 8px }
footer { margin-top: 1.5rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--soft); font-size: .9rem }
`

/** The one style of a page, with the name by which its policy lets it in. */
export interface Style {
  readonly text: string
  readonly source: string
}

/** @param more - after the style that all pages share; ours, never a seller's or buyer's words */
export function createStyle(more = ''): Style {
  const text = STYLE + more
  return { text, source: `'sha256-${hash('sha256', text, 'base64')}'` }
}

const PLAIN = createStyle()

/** Only our own style, named by its hash: nothing that is put into a page can run or load. */
export const PAGE_POLICY: Readonly<Record<string, readonly string[]>> = pagePolicy({ style: PLAIN })

export function pagePolicy(allowed: {
  readonly style: Style
  /** Origins of images. */
  readonly images?: readonly string[]
  /** May the page send a form back to us? */
  readonly form?: boolean
}): Record<string, readonly string[]> {
  const { style, images = [], form = false } = allowed
  return {
    'default-src': ["'none'"],
    'style-src': [style.source],
    ...(images.length > 0 && { 'img-src': images }),
    'base-uri': ["'none'"],
    'form-action': [form ? "'self'" : "'none'"],
    'frame-ancestors': ["'none'"],
  }
}

/** A whole page for a person. */
export function page(content: {
  readonly title: string
  readonly eyebrow: string
  readonly tone: 'plain' | 'good' | 'bad'
  readonly body: Html
}): string {
  const { title, eyebrow, tone, body } = content
  return wholePage(
    `${title} · ${eyebrow}`,
    PLAIN,
    html`<main class="${tone}">
<p class="eyebrow">${eyebrow}</p>
<h1>${title}</h1>
${body}
</main>`,
  )
}

/** @param body - the landmarks of the page */
export function wholePage(title: string, style: Style, body: Html): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${new Html(style.text)}</style>
</head>
<body>
${body}
</body>
</html>
`.text
}
