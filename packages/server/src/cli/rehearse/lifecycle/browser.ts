/** A page as a browser got it. */
export interface Visit {
  readonly method: string
  readonly url: string
  readonly status: number
  readonly headers: Headers
  readonly body: string
}

/** A buyer's browser, as far as a landing page without script needs one. */
export interface Browser {
  get(url: string, method?: 'GET' | 'HEAD'): Promise<Visit>
  /** Sends a form and follows where it leads, as a browser does. @returns the page that it ends on */
  submit(url: string, fields: Readonly<Record<string, string>>): Promise<Visit>
  /** All that it was answered, in order. */
  readonly visits: readonly Visit[]
}

/** A page's form, as a browser would send it untouched. */
export interface Form {
  readonly action: string
  readonly fields: Readonly<Record<string, string>>
  readonly required: readonly string[]
}

const REDIRECTS_MAX = 5

/** @param address - whose browser it is: each buyer has an address of their own */
export function openBrowser(address: string): Browser {
  const visits: Visit[] = []
  const cookies = new Map<string, string>()

  async function visit(method: string, url: string, body?: URLSearchParams): Promise<Visit> {
    const response = await fetch(url, {
      method,
      redirect: 'manual',
      headers: {
        accept: 'text/html',
        'x-forwarded-for': address,
        ...(cookies.size > 0 && { cookie: [...cookies.values()].join('; ') }),
      },
      ...(body !== undefined && { body }),
    })
    for (const cookie of response.headers.getSetCookie()) {
      const [pair = ''] = cookie.split(';')
      cookies.set(pair.split('=')[0]!, pair)
    }
    const { status, headers } = response
    const page = { method, url, status, headers, body: await response.text() }
    visits.push(page)
    return page
  }

  return {
    visits,
    get: (url, method = 'GET') => visit(method, url),
    async submit(url, fields) {
      let page = await visit('POST', url, new URLSearchParams(fields))
      for (let step = 0; step < REDIRECTS_MAX && page.status >= 300 && page.status < 400; step++) {
        page = await visit('GET', new URL(page.headers.get('location') ?? '', page.url).href)
      }
      return page
    },
  }
}

/** @returns the first form that is posted; undefined where there is none */
export function findForm(page: Visit): Form | undefined {
  const [, attributes = '', inside = ''] = /<form\b([^>]*)>(.*?)<\/form>/is.exec(page.body) ?? []
  if (attributesOf(attributes).get('method')?.toLowerCase() !== 'post') return undefined
  const inputs = [...inside.matchAll(/<input\b([^>]*)>/gi)].map(([, given = '']) => attributesOf(given))
  const named = inputs.filter((input) => input.has('name'))
  return {
    action: new URL(attributesOf(attributes).get('action') ?? '', page.url).href,
    fields: Object.fromEntries(named.map((input) => [input.get('name')!, input.get('value') ?? ''])),
    required: named.filter((input) => input.has('required')).map((input) => input.get('name')!),
  }
}

function attributesOf(text: string): ReadonlyMap<string, string> {
  const found = [...text.matchAll(/([\w-]+)(?:="([^"]*)")?/g)]
  return new Map(found.map(([, name = '', value = '']) => [name, unescapeHtml(value)]))
}

function unescapeHtml(text: string): string {
  return text
    .replace(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)))
    .replace(/&#x([0-9a-f]+);/gi, (_, code: string) => String.fromCodePoint(Number.parseInt(code, 16)))
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&')
}
