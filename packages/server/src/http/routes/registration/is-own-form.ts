import type { FastifyRequest } from 'fastify'

/**
 * Did our own page send this form, as far as the browser says?
 *
 * There is no cookie to borrow, so a form of another site could do nothing that its author could not do themselves:
 * it would need the ticket. This only keeps other sites from sending buyers' browsers here.
 *
 * @param publicUrl - where we are reached, if that is not the name that the request was sent to
 */
export function isOwnForm(
  { headers, host }: Pick<FastifyRequest, 'headers' | 'host'>,
  publicUrl: string | undefined,
): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined) return site === 'same-origin' || site === 'none'
  const { origin } = headers
  // Our pages send no referrer, and with that policy browsers write `null`.
  if (origin === undefined || origin === 'null') return true
  if (!URL.canParse(origin)) return false
  const from = new URL(origin).host
  return from === host || (publicUrl !== undefined && from === new URL(publicUrl).host)
}
