import { SimulatorError } from '../errors.ts'

export interface ClientOptions {
  readonly url: string
  readonly json?: boolean
}

const TIMEOUT_MS = 30_000

/**
 * Asks a running simulator's control API.
 *
 * @throws {SimulatorError} with the problem's detail, or that nobody answers
 */
export async function call(
  options: ClientOptions,
  method: string,
  path: string,
  body?: object,
): Promise<unknown> {
  if (!URL.canParse(path, options.url)) throw new SimulatorError('invalid', `${options.url} is no URL`)
  const url = new URL(path, options.url)
  let response: Response
  try {
    response = await fetch(url, {
      method,
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(body !== undefined && {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }),
    })
  } catch (error) {
    throw new SimulatorError('not_found', `no simulator answers at ${url.origin}: start one, or give --url`, {
      cause: error,
    })
  }
  const text = await response.text()
  if (response.ok) return text === '' ? undefined : parse(text, url)
  const problem = parse(text, url) as { detail?: string }
  throw new SimulatorError('invalid', problem.detail ?? `the simulator answered ${response.status}`)
}

function parse(text: string, url: URL): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new SimulatorError('invalid', `what answers at ${url.origin} is no simulator`, { cause: error })
  }
}
