import { whereIsHost } from './loopback.ts'

/** What came of one HTTP call, as far as this machine can know. */
export type Exchange = Response | Failure

interface Response {
  readonly kind: 'response'
  readonly status: number
  /** `x-amzn-errortype`, where AWS names an error outside the body. */
  readonly errorType: string | undefined
  readonly requestId: string | undefined
  readonly body: string
}

interface Failure {
  readonly kind: 'failure'
  /** `no`: certainly not a byte of the request left this machine. */
  readonly sent: 'no' | 'maybe'
  readonly code: NotSentCode | 'Unanswered'
  /** For a person; the error's own words, never the request's. */
  readonly message: string
}

/**
 * Why a call never left. All but the first two pass by themselves.
 *
 * - `CredentialsUnavailable`: no credentials, or they could not be fetched: a person must mend it
 * - `EndpointNotAllowed`: the address does not fit the mode: a person must mend it
 * - `ConnectionRefused`, `HostNotFound`, `ConnectionTimeout`: there was never a connection
 * - `Cancelled`: stopped before it began
 */
export type NotSentCode =
  | 'CredentialsUnavailable'
  | 'EndpointNotAllowed'
  | 'ConnectionRefused'
  | 'HostNotFound'
  | 'ConnectionTimeout'
  | 'Cancelled'

/** A step of the SDK's way, next to the wire: what goes in is the signed request, what comes out the raw answer. */
export type Watch = <Args, Result>(next: (args: Args) => Promise<Result>) => (args: Args) => Promise<Result>

export const WATCH_PLACE = { step: 'deserialize', priority: 'low', name: 'watchExchange' } as const

const BODY_BYTES_MAX = 8_000_000
const MESSAGE_LENGTH_MAX = 500

/** A connection takes milliseconds; the answer may take longer. Always shorter than the whole call. */
export function connectionTimeoutMs(timeoutMs: number): number {
  return Math.min(5_000, Math.ceil(timeoutMs / 2))
}

/** Timeouts of the SDK's own HTTP handler. They end at the answer's head: `exchange` bounds its body as well. */
export function requestHandlerOptions(timeoutMs: number) {
  return {
    connectionTimeout: connectionTimeoutMs(timeoutMs),
    requestTimeout: timeoutMs,
    throwOnRequestTimeout: true,
  }
}

/**
 * Sends a command and says what came of it on the wire. Never throws, never takes longer than `timeoutMs`.
 *
 * The SDK signs and sends; what the answer means is not left to it: it throws the same `SyntaxError` for an HTML 503
 * and for a taken batch whose answer was cut, and retries are the ledger's business.
 *
 * @param send - adds `watch` to the command's middleware by `WATCH_PLACE` and sends it
 * @param options.where - where the request's host must be; anything else is not sent
 */
export async function exchange(
  send: (watch: Watch, abortSignal: AbortSignal) => Promise<unknown>,
  options: { where: 'loopback' | 'elsewhere'; timeoutMs: number; signal?: AbortSignal | undefined },
): Promise<Exchange> {
  const { where, timeoutMs } = options
  const timeout = AbortSignal.timeout(timeoutMs)
  const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout
  let handed = false
  let misplaced: string | undefined
  let response: Response | undefined

  const watch: Watch = (next) => async (args) => {
    const host = hostOf(args)
    if (whereIsHost(host) !== where) {
      misplaced = host
      throw new Error(`the address ${host} is not allowed in this mode`)
    }
    // The race below may have ended the call while credentials were fetched: then it must not begin any more.
    signal.throwIfAborted()
    handed = true
    const result = await next(args)
    response = await readResponse(result)
    return result
  }

  try {
    await race(() => send(watch, signal), signal)
  } catch (error) {
    if (response) return response
    const message = messageOf(error)
    if (misplaced !== undefined) return { kind: 'failure', sent: 'no', code: 'EndpointNotAllowed', message }
    if (handed) return failureOnTheWay(error, timeout.aborted ? `no answer within ${timeoutMs} ms` : message)
    return signal.aborted
      ? { kind: 'failure', sent: 'no', code: 'Cancelled', message: 'stopped before it was sent' }
      : { kind: 'failure', sent: 'no', code: 'CredentialsUnavailable', message }
  }
  return (
    response ?? { kind: 'failure', sent: 'maybe', code: 'Unanswered', message: 'the answer was not seen' }
  )
}

/**
 * Was there ever a connection? Only an error of the name's look-up or of `connect` itself is proof that there was
 * none; a reset, a broken pipe or a failed TLS handshake is not.
 */
function failureOnTheWay(error: unknown, message: string): Failure {
  const code = notConnected(error)
  return code
    ? { kind: 'failure', sent: 'no', code, message }
    : { kind: 'failure', sent: 'maybe', code: 'Unanswered', message }
}

const NO_CONNECTION = [
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'EHOSTDOWN',
  'ENETDOWN',
]

function notConnected(error: unknown): NotSentCode | undefined {
  if (!(error instanceof Error)) return undefined
  if (error instanceof AggregateError && error.errors.length > 0) {
    // Several addresses were tried: every one must have failed before it was connected.
    const codes = error.errors.map(notConnected)
    return codes.every((code) => code !== undefined) ? codes[0] : undefined
  }
  const { code, syscall } = error as NodeJS.ErrnoException
  if (syscall === 'getaddrinfo') return 'HostNotFound'
  if (syscall === 'connect' && code === 'ETIMEDOUT') return 'ConnectionTimeout'
  if (syscall === 'connect' && code !== undefined && NO_CONNECTION.includes(code)) return 'ConnectionRefused'
  // The handler of @smithy/node-http-handler 4.14 has no code for it; should the text change, it counts as "maybe".
  if (error.name === 'TimeoutError' && error.message.includes('did not establish a connection')) {
    return 'ConnectionTimeout'
  }
  return undefined
}

function race<T>(start: () => Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    start()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', onAbort))
  })
}

function hostOf(args: unknown): string {
  const request = isRecord(args) ? args.request : undefined
  return isRecord(request) && typeof request.hostname === 'string' ? request.hostname : ''
}

/** Reads the whole body, keeps it, and puts it back for the SDK, which corrects its clock by the answer. */
async function readResponse(result: unknown): Promise<Response> {
  const response = isRecord(result) ? result.response : undefined
  if (!isRecord(response) || typeof response.statusCode !== 'number')
    throw new Error('the answer is not HTTP')
  const bytes = await readBody(response.body)
  response.body = bytes
  const headers = isRecord(response.headers) ? response.headers : {}
  const header = (name: string) => {
    const key = Object.keys(headers).find((candidate) => candidate.toLowerCase() === name)
    return key === undefined ? undefined : String(headers[key])
  }
  return {
    kind: 'response',
    status: response.statusCode,
    errorType: header('x-amzn-errortype'),
    requestId: header('x-amzn-requestid'),
    body: bytes.toString('utf8'),
  }
}

async function readBody(body: unknown): Promise<Buffer> {
  if (body === undefined || body === null) return Buffer.alloc(0)
  if (body instanceof Uint8Array) return Buffer.from(body)
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength
    if (size > BODY_BYTES_MAX) throw new Error(`the answer is longer than ${BODY_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error'
  const inner = error instanceof AggregateError ? error.errors.map(messageOf).join('; ') : error.message
  const code = (error as NodeJS.ErrnoException).code
  const text = [error.name, code, inner].filter((part) => part !== undefined && part !== '').join(': ')
  return text.replace(/\s+/g, ' ').slice(0, MESSAGE_LENGTH_MAX)
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
