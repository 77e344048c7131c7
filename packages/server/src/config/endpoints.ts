import type { Endpoint } from '../domain/products/endpoint.ts'
import type { LedgerMode } from '../domain/stores.ts'
import type { EndpointSection, ProductSection } from './schema.ts'
import type { Pointer } from './source.ts'

type ReportAt = (path: Pointer, message: string) => void

/** What no schema says of a product's endpoints. */
export function checkEndpoints(
  { endpoints }: Pick<ProductSection, 'endpoints'>,
  mode: LedgerMode,
  report: ReportAt,
): void {
  endpoints.forEach((endpoint, index) => {
    const { id } = endpoint
    if (endpoints.findIndex((other) => other.id === id) < index)
      report(['endpoints', index, 'id'], `must be unique in its product, but \`${id}\` is there twice`)
    checkAddress(endpoint, mode, (key, message) => report(['endpoints', index, key], message))
  })
}

export function checkAddress(
  { url, healthUrl, allowPrivate }: EndpointSection,
  mode: LedgerMode,
  report: (key: 'url' | 'healthUrl', message: string) => void,
): void {
  for (const [key, address] of [
    ['url', url],
    ['healthUrl', healthUrl],
  ] as const)
    if (address !== undefined && !URL.canParse(address)) report(key, 'must be a URL: this one cannot be read')
  if (mode !== 'simulated' && !allowPrivate && healthUrl?.startsWith('http:'))
    report('healthUrl', `must begin with \`https://\` in ${mode} mode, unless \`allowPrivate\` is set`)
}

export function toEndpoint(section: EndpointSection): Endpoint {
  return {
    id: section.id,
    url: section.url,
    healthUrl: section.healthUrl,
    everyMs: section.everySeconds * 1000,
    timeoutMs: section.timeoutSeconds * 1000,
    downAfter: section.downAfter,
    allowPrivate: section.allowPrivate,
    origin: 'config',
  }
}
