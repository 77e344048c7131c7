import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { ProbeOutcome } from '../domain/health/endpoint-health.ts'
import type { Probe } from '../domain/health/probe-endpoints.ts'
import type { AddressPolicy } from './address-policy.ts'
import { type AddressRules, onlyThese, Refused, resolveAllowed, resolveFailure } from './allowed-addresses.ts'

/** So much of an answer is read. */
const BODY_BYTES_MAX = 65_536
const REDIRECTS_MAX = 3
const FAILING_NAMES_MAX = 5
const ON_THIS_MACHINE = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/

export interface HealthProbeOptions extends Pick<AddressRules, 'resolve'> {
  readonly policyOf: (endpoint: { readonly allowPrivate: boolean }) => AddressPolicy
  readonly userAgent: string
  /** ms that only grow. */
  readonly monotonicMs?: () => number
}

/**
 * Asks a health address: a plain GET that shows no key. Any 2xx is up; of a 503 in the words of the SDK's health helper,
 * `{status, checks}`, the failing checks are named.
 *
 * Every address that its name resolves to is checked, and the connection goes to a checked one. Redirects are followed
 * on the same host only.
 */
export function createHealthProbe(options: HealthProbeOptions): Probe {
  const { policyOf, userAgent, resolve, monotonicMs = () => performance.now() } = options
  return async (endpoint, stop) => {
    const policy = policyOf(endpoint)
    const timeout = AbortSignal.timeout(endpoint.timeoutMs)
    const signal = AbortSignal.any([stop, timeout])
    const began = monotonicMs()
    try {
      let url = new URL(endpoint.healthUrl)
      for (let redirects = 0; ; redirects++) {
        const answer = await get(url, { policy, userAgent, signal, ...(resolve && { resolve }) })
        if (answer.location === undefined || redirects === REDIRECTS_MAX)
          return toOutcome(answer, Math.round(monotonicMs() - began))
        const next = URL.canParse(answer.location, url.href) ? new URL(answer.location, url) : undefined
        if (next?.host !== url.host || next.protocol !== url.protocol)
          return failed(`HTTP ${answer.status}: redirects are followed on the same host only`)
        url = next
      }
    } catch (error) {
      if (error instanceof Refused)
        // What simulated mode does not leave this machine for is not down.
        return { kind: policy === 'loopback' ? 'skipped' : 'failed', reason: error.message }
      return failed(timeout.aborted ? 'no answer in time' : failureOf(error))
    }
  }
}

interface Answer {
  readonly status: number
  readonly location: string | undefined
  readonly body: string
}

async function get(
  url: URL,
  rules: AddressRules & { readonly userAgent: string; readonly signal: AbortSignal },
): Promise<Answer> {
  const { policy, userAgent, signal } = rules
  if (url.protocol !== 'https:' && policy === 'public')
    throw new Refused('it is plain HTTP: use `https://`, or set `allowPrivate` if it is meant')
  // Not even its name is looked up.
  if (policy === 'loopback' && !ON_THIS_MACHINE.test(url.hostname))
    throw new Refused('it is not on this machine, which simulated mode does not leave')
  const addresses = await resolveAllowed(url, rules, signal).catch((error: unknown) => {
    throw error instanceof Refused || signal.aborted ? error : new Refusal(resolveFailure(error))
  })
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, {
      headers: { accept: 'application/json, */*;q=0.1', 'user-agent': userAgent },
      agent: false, // a connection of its own: one that is kept was checked for another call
      lookup: onlyThese(addresses),
      signal,
      rejectUnauthorized: true,
    })
    request.once('error', reject)
    request.once('close', () => reject(new Refusal('closed without an answer')))
    request.once('upgrade', (_, socket) => socket.destroy())
    request.once('response', (response) => {
      read(response).then(resolve, reject)
    })
    request.end()
  })
}

/** Its head says how it is: a body that goes on and on is cut off. */
async function read(response: IncomingMessage): Promise<Answer> {
  const { statusCode: status = 0, headers } = response
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    size += chunk.length
    if (size > BODY_BYTES_MAX) break // which destroys it
  }
  const isRedirect = status >= 300 && status < 400
  const body = size > BODY_BYTES_MAX ? '' : Buffer.concat(chunks).toString()
  return { status, location: isRedirect ? headers.location : undefined, body }
}

function toOutcome({ status, body }: Answer, latencyMs: number): ProbeOutcome {
  if (status >= 200 && status < 300) return { kind: 'up', latencyMs }
  const names = status === 503 ? failingChecks(body) : []
  return failed(names.length === 0 ? `HTTP ${status}` : `HTTP ${status}: ${names.join(', ')} failing`)
}

/** Names of what fails, where the answer is the SDK's health helper's. What is no plain name is left out. */
function failingChecks(body: string): readonly string[] {
  let answer: unknown
  try {
    answer = JSON.parse(body)
  } catch {
    return []
  }
  const checks =
    typeof answer === 'object' && answer !== null && 'checks' in answer ? answer.checks : undefined
  if (typeof checks !== 'object' || checks === null) return []
  return Object.entries(checks)
    .filter(([name, state]) => state === 'failing' && /^[A-Za-z0-9_.-]{1,40}$/.test(name))
    .map(([name]) => name)
    .slice(0, FAILING_NAMES_MAX)
}

function failed(reason: string): ProbeOutcome {
  return { kind: 'failed', reason }
}

/** Why there is no answer, in our own words. */
class Refusal extends Error {}

/** By the code alone: a message may quote an address with what is secret in it. */
function failureOf(error: unknown): string {
  if (error instanceof Refusal) return error.message
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
  if (code === 'ECONNREFUSED') return 'connection refused'
  if (/CERT|SIGNATURE|ISSUER|TLS|SSL|EPROTO/.test(code)) return `no trusted TLS connection (${code})`
  return `no connection (${code})`
}
