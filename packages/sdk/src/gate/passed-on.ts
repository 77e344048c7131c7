/** In lists of Tollkeeper's: the item of the product's own service key. It says nothing of who asks the product. */
const OWN_ITEM = /^\s*"requests"\s*(;|$)/

/** What Tollkeeper says of the caller's limits, for the caller to read. */
export function passedOn(headers: Headers): Readonly<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const name of ['RateLimit', 'RateLimit-Policy']) {
    const items = (headers.get(name) ?? '')
      .split(',')
      .filter((item) => item.trim() !== '' && !OWN_ITEM.test(item))
    if (items.length > 0) found[name] = items.map((item) => item.trim()).join(', ')
  }
  const retryAfter = headers.get('Retry-After')
  if (retryAfter !== null) found['Retry-After'] = retryAfter
  return found
}
