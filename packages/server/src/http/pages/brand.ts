import type { LandingPage, Product } from '../../domain/products/product.ts'
import { createStyle, DARK, type Html, html, LIGHT, pagePolicy, type Style, wholePage } from '../html.ts'
import { inkOn, readableOn } from './accent.ts'

/** How the pages of one listing look, and what each of them says at its top and its end. */
export interface Brand {
  readonly title: string
  readonly landing: LandingPage
  readonly style: Style
  /** Value of `content-security-policy`. */
  readonly policy: string
  readonly logo: { readonly url: string; readonly origin: string } | undefined
}

export function createBrand({ title, landing }: Pick<Product, 'title' | 'landing'>): Brand {
  const style = createStyle(BRAND_STYLE + accentStyle(landing.accentColor))
  const logo = readLogo(landing.logoUrl)
  const policy = pagePolicy({ style, form: true, ...(logo !== undefined && { images: [logo.origin] }) })
  return {
    title,
    landing,
    style,
    logo,
    policy: Object.entries(policy)
      .map(([name, sources]) => [name, ...sources].join(' '))
      .join('; '),
  }
}

/** @param main - what is the page’s own, its heading first */
export function brandPage(
  brand: Brand,
  content: { readonly title: string; readonly tone: 'plain' | 'good' | 'bad'; readonly main: Html },
): string {
  const { title, logo, landing, style } = brand
  return wholePage(
    content.title === title ? title : `${content.title} · ${title}`,
    style,
    html`<div class="sheet">
<header>${logo && html`<img src="${logo.url}" alt="">`}<p>${title}</p></header>
<main class="${content.tone}">
${content.main}
</main>
<footer>
${supportContact(landing)}
<p>Sold through AWS Marketplace, which does all the billing. These pages never ask for payment details.</p>
</footer>
</div>`,
  )
}

/** One thing to say, and what to do about it. */
export function noticePage(
  brand: Brand,
  notice: { readonly title: string; readonly tone: 'plain' | 'bad'; readonly body: Html },
): string {
  return brandPage(brand, { ...notice, main: html`<h1>${notice.title}</h1>\n${notice.body}` })
}

/** Paragraphs as their writer separated them: by an empty line. */
export function paragraphs(text: string): Html {
  const parts = text.split(/\n\s*\n/).filter((part) => part.trim() !== '')
  return html`${parts.map((part) => html`<p>${part.trim()}</p>`)}`
}

/** An address that a link may lead to; configuration has checked it, but a page must not rest on that. */
export function linkTo(url: string | undefined): string | undefined {
  return url !== undefined && /^https?:\/\/[^\s]+$/i.test(url) ? url : undefined
}

function supportContact({ supportEmail, supportUrl }: LandingPage): Html {
  const pages = linkTo(supportUrl)
  const ways = [
    ...(supportEmail === undefined
      ? []
      : [html`Write to <a href="mailto:${encodeURI(supportEmail)}">${supportEmail}</a>`]),
    ...(pages === undefined
      ? []
      : [html`${supportEmail === undefined ? 'See' : 'see'} the <a href="${pages}">support pages</a>`]),
  ]
  if (ways.length === 0)
    return html`<p>Questions? The product’s page on AWS Marketplace names the seller’s support.</p>`
  return html`<p>Questions? ${ways.map((way, index) => html`${index > 0 && ', or '}${way}`)}.</p>`
}

/** Whatever it is, it must be no more than one source in the page's policy. */
function readLogo(url: string | undefined): Brand['logo'] {
  if (url === undefined || !URL.canParse(url)) return undefined
  const { href, origin } = new URL(url)
  return /^https:\/\/[a-z0-9.-]+(:\d+)?$/.test(origin) ? { url: href, origin } : undefined
}

/**
 * Links and edges have the accent as it can be read on each scheme's harder background; a button has it as it is, with
 * black or white on it.
 */
function accentStyle(color: string | undefined): string {
  const light = readableOn(color ?? LIGHT.accent, LIGHT.ground) ?? LIGHT.accent
  const dark = readableOn(color ?? DARK.accent, DARK.paper) ?? DARK.accent
  const fill = color !== undefined && readableOn(color, LIGHT.ground) !== undefined ? color : undefined
  const button = (background: string) => `--fill: ${background}; --on-fill: ${inkOn(background)}`
  return `:root { --accent: ${light}; ${button(fill ?? light)} }
@media (prefers-color-scheme: dark) { :root { --accent: ${dark}; ${button(fill ?? dark)} } }
@media print { :root { --accent: #000 } }
`
}

const BRAND_STYLE = `
body { place-items: start center }
.sheet { width: 100%; max-width: 42rem; padding: 2rem; background: var(--paper); border: 1px solid var(--line); border-top: 6px solid var(--fill); border-radius: 12px; overflow-wrap: anywhere }
.sheet main { max-width: none; padding: 0; border: 0; border-radius: 0; background: none }
header { display: flex; flex-wrap: wrap; align-items: center; gap: .75rem; margin-bottom: 1.75rem }
header img { display: block; max-width: 12rem; max-height: 3rem }
header p { margin: 0; font-weight: 600 }
h2 { margin: 2rem 0 .75rem; font-size: 1.15rem; line-height: 1.3 }
ol { margin: 0 0 1rem; padding-left: 1.25rem }
.soft { color: var(--soft); font-size: .9rem }
dl { margin: 0 0 1rem; padding: 1rem 1.25rem; background: var(--ground); border-radius: 8px; display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .35rem 1.25rem }
dt { color: var(--soft) } dd { margin: 0; font-weight: 600 } dd p { margin: 0; font-weight: 400 } dd code { font-weight: 400 }
.field { margin-bottom: 1.25rem }
label { display: block; font-weight: 600 }
.field p { margin: 0 0 .35rem } .field .error { color: var(--bad); font-weight: 600 }
input { display: block; width: 100%; min-height: 2.75rem; padding: .5rem .75rem; font: inherit; color: var(--ink); background: var(--paper); border: 1px solid var(--soft); border-radius: 6px }
input[aria-invalid=true] { border: 2px solid var(--bad) }
button { min-height: 2.75rem; padding: .6rem 1.5rem; font: inherit; font-weight: 600; color: var(--on-fill); background: var(--fill); border: 2px solid var(--accent); border-radius: 6px; cursor: pointer }
input:focus-visible, button:focus-visible, .summary:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px }
button + p { margin: 1rem 0 0 }
.summary { margin: 0 0 1.75rem; padding: 1rem 1.25rem; border: 2px solid var(--bad); border-radius: 8px }
.summary h2 { margin-top: 0 } .summary ul, .summary p { margin: 0 } .summary a { color: var(--bad) }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap }
@media (prefers-color-scheme: dark) { header img { padding: .4rem; background: #fff; border-radius: 6px } }
@media (max-width: 30rem) { body { padding: 0 } .sheet { padding: 1.25rem; border-width: 6px 0 0; border-radius: 0; min-height: 100vh } dl { grid-template-columns: minmax(0, 1fr); gap: 0 } dd { margin-bottom: .6rem } button { width: 100% } }
@media print { :root { color-scheme: light; --ink: #000; --soft: #333; --paper: #fff; --ground: #fff; --line: #999; --good: #000; --bad: #000 } body { display: block; padding: 0; min-height: 0 } .sheet { max-width: none; padding: 0; border: 0 } dl { border: 1px solid var(--line) } form, .screen { display: none } a[href^=http]::after { content: " (" attr(href) ")" } }
`
