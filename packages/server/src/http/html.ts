import { hash } from 'node:crypto'

/** Text with its HTML escaped; made by `html` only. */
export class Html {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** Escapes what is put in, unless it is HTML already. */
export function html(
  parts: TemplateStringsArray,
  ...values: readonly (string | Html | readonly Html[])[]
): Html {
  let text = parts[0]!
  for (const [index, value] of values.entries()) {
    text += toText(value) + parts[index + 1]!
  }
  return new Html(text)
}

function toText(value: string | Html | readonly Html[]): string {
  if (value instanceof Html) return value.text
  if (typeof value !== 'string') return value.map((item) => item.text).join('')
  return value.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}

const STYLE = `
:root { color-scheme: light dark; --ink: #16191f; --soft: #545b64; --paper: #fff; --ground: #f2f3f3; --line: #d5dbdb; --accent: #0059b3; --good: #1d7a34; --bad: #b3261e }
@media (prefers-color-scheme: dark) { :root { --ink: #eaeded; --soft: #b6bec9; --paper: #1a2029; --ground: #0f141a; --line: #414d5c; --accent: #8cc4ff; --good: #7bd88f; --bad: #ff9d94 } }
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

/** Only our own style, named by its hash: nothing that is put into a page can run or load. */
export const PAGE_POLICY: Readonly<Record<string, readonly string[]>> = {
  'default-src': ["'none'"],
  'style-src': [`'sha256-${hash('sha256', STYLE, 'base64')}'`],
  'base-uri': ["'none'"],
  'form-action': ["'none'"],
  'frame-ancestors': ["'none'"],
}

/** A whole page for a person. */
export function page(content: {
  readonly title: string
  readonly eyebrow: string
  readonly tone: 'plain' | 'good' | 'bad'
  readonly body: Html
}): string {
  const { title, eyebrow, tone, body } = content
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · ${eyebrow}</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<main class="${tone}">
<p class="eyebrow">${eyebrow}</p>
<h1>${title}</h1>
${body}
</main>
</body>
</html>
`.text
}
