import type { IncomingHttpHeaders } from 'node:http'
import { HttpError } from './problem.ts'

const LOOPBACK = /^(localhost|[\w-]+\.localhost|127(\.\d{1,3}){3}|\[::1\])$/

/**
 * Answers only to its own names. The simulator asks nobody who they are, so a web page elsewhere must not reach it
 * by making its own name point here (DNS rebinding).
 *
 * @throws {HttpError} 421
 */
export function checkHost(host: string | undefined, allowedHosts: readonly string[]): void {
  const name = (host ?? '').replace(/:\d{1,5}$/, '').toLowerCase()
  if (LOOPBACK.test(name) || allowedHosts.includes(name)) return
  throw new HttpError(421, 'The simulator answers only to loopback names such as 127.0.0.1 and localhost.')
}

/**
 * Lets no other site's page change anything here (CSRF). Browsers send `Origin` with every such request; programs
 * do not.
 *
 * @throws {HttpError} 403
 */
export function checkOrigin(headers: IncomingHttpHeaders): void {
  const { origin, host } = headers
  const site = headers['sec-fetch-site']
  const isOwn = origin === undefined || origin === `http://${host}` || origin === `https://${host}`
  if (!isOwn || (site !== undefined && site !== 'same-origin' && site !== 'none')) {
    throw new HttpError(403, 'A page of another site may not change anything here.')
  }
}
