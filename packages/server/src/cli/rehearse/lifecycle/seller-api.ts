import { CliError } from '../../output.ts'

/** An answer of the server, whatever its status. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  /** JSON; `undefined` where there was none. */
  readonly body: unknown
}

export interface Call {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly body?: unknown
  /** Instead of `body`: sent as it is. */
  readonly text?: string
  /** Show no key. */
  readonly isOpen?: boolean
  /** Show this key instead of the product's own. */
  readonly key?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** The server's HTTP API, as the seller's product calls it. */
export interface SellerApi {
  call(path: string, call?: Call): Promise<Answer>
  /** @throws {CliError} for anything but 2xx: what the rehearsal itself stands on */
  ask<T>(path: string, call?: Call): Promise<T>
}

export function createSellerApi(url: string, key: string): SellerApi {
  async function call(path: string, options: Call = {}): Promise<Answer> {
    const { method, body, isOpen, headers = {} } = options
    const sent = options.text ?? (body === undefined ? undefined : JSON.stringify(body))
    const response = await fetch(`${url}${path}`, {
      method: method ?? (sent === undefined ? 'GET' : 'POST'),
      headers: {
        ...(isOpen !== true && { authorization: `Bearer ${options.key ?? key}` }),
        ...(sent !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(sent !== undefined && { body: sent }),
    })
    return { status: response.status, headers: response.headers, body: parse(await response.text()) }
  }

  return {
    call,
    async ask<T>(path: string, options?: Call) {
      const answer = await call(path, options)
      if (answer.status < 200 || answer.status > 299)
        throw new CliError(
          `${options?.method ?? ''} ${path} answered ${answer.status}: ${JSON.stringify(answer.body)}`.trim(),
        )
      return answer.body as T
    },
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // a page, or nothing
  }
}
