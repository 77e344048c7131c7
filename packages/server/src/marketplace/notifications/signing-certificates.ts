import { type KeyObject, X509Certificate } from 'node:crypto'
import type { Clock } from '../../domain/clock.ts'
import { whereIs } from '../loopback.ts'
import type { Get } from './bounded-get.ts'

/** The key of a signing certificate, or why there is none. */
export type SigningKey =
  | { readonly kind: 'key'; readonly key: KeyObject }
  /** Certainly not a certificate of SNS's. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** It cannot be told now. */
  | { readonly kind: 'unavailable'; readonly reason: string }

/** Brings the certificates that SNS signs its messages with. */
export interface SigningCertificates {
  find(certificateUrl: string): Promise<SigningKey>
}

export interface SigningCertificatesOptions {
  readonly mode: 'simulated' | 'shadow' | 'live'
  /** The simulator's address; needed, and used, in simulated mode only. */
  readonly endpoint?: string | undefined
  readonly get: Get
  readonly clock: Pick<Clock, 'now'>
}

/**
 * Where SNS keeps its certificates.
 *
 * @see {@link https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html | Verifying signatures} (read November 2026)
 */
// AWS's own pattern takes any word for a region, and `sns.s3-us-west-2.amazonaws.com` is somebody's bucket.
const SNS_HOST = /^sns\.[a-z]{2}(?:-[a-z]{3,})+-\d{1,2}\.amazonaws\.com(?:\.cn)?$/
const CERTIFICATE_PATH = /^\/SimpleNotificationService-[A-Za-z0-9]{1,128}\.pem$/
/** AWS changes its certificate every few months, under a new name. */
const KEPT_MS = 24 * 3_600_000
/** What is not there is not asked for again by each forged message. */
const REFUSED_MS = 10 * 60_000
const UNAVAILABLE_MS = 5_000
const KEPT_MAX = 100
/** Certificates that may be asked for in a minute: there are one or two, and names are easily invented. */
const FETCHES_PER_MINUTE_MAX = 30
const MINUTE_MS = 60_000

/** Fetches each certificate once, and remembers for a while what was not one. */
export function createSigningCertificates(options: SigningCertificatesOptions): SigningCertificates {
  const { clock } = options
  const place = createPlace(options)
  const kept = new Map<string, { readonly found: Promise<Found>; until: number }>()
  let minute = Number.NEGATIVE_INFINITY
  let fetches = 0

  function mayFetch(now: number): boolean {
    if (now - minute >= MINUTE_MS || now < minute) {
      minute = now
      fetches = 0
    }
    return ++fetches <= FETCHES_PER_MINUTE_MAX
  }

  function fetchOnce(url: URL): Promise<Found> {
    const now = clock.now()
    const known = kept.get(url.href)
    if (known !== undefined && now < known.until) return known.found
    if (!mayFetch(now)) {
      const reason = 'too many different certificates were asked for in this minute'
      return Promise.resolve({ kind: 'unavailable', reason })
    }
    const found = place.fetch(url)
    const entry = { found, until: now + KEPT_MS }
    kept.delete(url.href)
    if (kept.size >= KEPT_MAX) forgetOne()
    kept.set(url.href, entry)
    return found.then((result) => {
      if (result.kind !== 'certificate') {
        entry.until = clock.now() + (result.kind === 'refused' ? REFUSED_MS : UNAVAILABLE_MS)
      }
      return result
    })
  }

  /** Good ones stay: whoever invents names must not push them out. */
  function forgetOne(): void {
    const [worst] = [...kept].sort(([, a], [, b]) => a.until - b.until)
    if (worst !== undefined) kept.delete(worst[0])
  }

  return {
    async find(certificateUrl) {
      const url = URL.parse(certificateUrl)
      if (url === null || !isPlain(url) || !place.has(url))
        return { kind: 'refused', reason: 'the certificate is not where SNS keeps its own' }
      const found = await fetchOnce(url)
      if (found.kind !== 'certificate') return found
      const { certificate } = found
      const now = clock.now()
      if (now < Date.parse(certificate.validFrom) || now > Date.parse(certificate.validTo))
        return { kind: 'refused', reason: 'the certificate is not valid at this time' }
      return { kind: 'key', key: certificate.publicKey }
    },
  }
}

type Found =
  | Exclude<SigningKey, { kind: 'key' }>
  | { readonly kind: 'certificate'; readonly certificate: X509Certificate }

/** Which addresses may have a certificate, and what makes one good there. */
interface Place {
  has(url: URL): boolean
  fetch(url: URL): Promise<Found>
}

function createPlace({ mode, endpoint, get }: SigningCertificatesOptions): Place {
  if (mode !== 'simulated') {
    return {
      has: (url) =>
        url.protocol === 'https:' &&
        url.port === '' &&
        SNS_HOST.test(url.hostname) &&
        CERTIFICATE_PATH.test(url.pathname),
      fetch: (url) => fetchCertificate(get, url),
    }
  }
  const simulator = simulatorOf(endpoint)
  return {
    has: (url) => isOfSimulator(url, simulator),
    async fetch(url) {
      const [found, authority] = await Promise.all([
        fetchCertificate(get, url),
        fetchCertificate(get, new URL('/_control/ca.pem', simulator)),
      ])
      if (found.kind !== 'certificate') return found
      if (authority.kind !== 'certificate')
        return { kind: 'unavailable', reason: `the simulator’s authority: ${authority.reason}` }
      const isIssued =
        found.certificate.checkIssued(authority.certificate) &&
        found.certificate.verify(authority.certificate.publicKey)
      return isIssued
        ? found
        : { kind: 'refused', reason: 'the certificate was not issued by the simulator’s authority' }
    },
  }
}

/** @throws {Error} for an address that is not on this machine */
export function simulatorOf(endpoint: string | undefined): URL {
  const simulator = endpoint === undefined ? null : URL.parse(endpoint)
  if (simulator === null || whereIs(simulator) !== 'loopback')
    throw new Error('simulated mode needs the simulator’s address, on this machine')
  return simulator
}

/** The simulator's own address, whichever of the machine's names it was written with. */
export function isOfSimulator(url: URL, simulator: URL): boolean {
  return url.protocol === simulator.protocol && url.port === simulator.port && whereIs(url) === 'loopback'
}

function isPlain(url: URL): boolean {
  return (
    url.username === '' &&
    url.password === '' &&
    url.search === '' &&
    url.hash === '' &&
    url.pathname.endsWith('.pem')
  )
}

async function fetchCertificate(get: Get, url: URL): Promise<Found> {
  const answer = await get(url)
  if (answer.kind === 'failed') return { kind: 'unavailable', reason: `${url.host}: ${answer.reason}` }
  const { status, body } = answer
  if (status === 429 || status >= 500) return { kind: 'unavailable', reason: `${url.host} answers ${status}` }
  if (status !== 200)
    return { kind: 'refused', reason: `there is no such certificate (${url.host} answers ${status})` }
  try {
    const certificate = new X509Certificate(body)
    if (certificate.publicKey.asymmetricKeyType === 'rsa') return { kind: 'certificate', certificate }
    return { kind: 'refused', reason: 'the certificate’s key is not an RSA key' }
  } catch {
    return { kind: 'refused', reason: 'what is there is no certificate' }
  }
}
