export interface HealthOptions {
  /** By name. One that throws, or answers `false`, fails. */
  readonly checks: Readonly<Record<string, (signal: AbortSignal) => unknown>>
  /** Of each check, ms. Default: 2,000. */
  readonly timeoutMs?: number | undefined
  /** Told why one failed: the answer says only that it did. */
  readonly onError?: ((name: string, error: unknown) => void) | undefined
}

export interface Health {
  readonly status: 'ok' | 'failing'
  readonly checks: Readonly<Record<string, 'ok' | 'failing'>>
}

export interface HealthEndpoint {
  check(): Promise<Health>
  /** For fetch-style servers: 200, or 503 where a check fails. */
  fetch(request?: Request): Promise<Response>
  /** For `node:http`, Express and the like. */
  node(request: unknown, response: NodeResponse): Promise<void>
}

/** The part of `node:http`'s response that is used. */
export interface NodeResponse {
  writeHead(status: number, headers: Readonly<Record<string, string>>): unknown
  end(body: string): unknown
}

const HEADERS = { 'content-type': 'application/json', 'cache-control': 'no-store' }

/** Checks run side by side; who asks meanwhile gets the same answer, so that probes cannot pile up. */
export function createHealthEndpoint({ checks, timeoutMs = 2_000, onError }: HealthOptions): HealthEndpoint {
  let running: Promise<Health> | undefined

  /** Whatever the listener does, who asks is answered. */
  function tell(name: string, error: unknown): void {
    try {
      onError?.(name, error)
    } catch {}
  }

  async function run(name: string): Promise<'ok' | 'failing'> {
    const ending = new AbortController()
    const timeout = new Error(`no answer within ${timeoutMs} ms`)
    let timer: ReturnType<typeof setTimeout> | undefined
    try {
      const tooLate = new Promise<never>((_, reject) => {
        timer = setTimeout(() => {
          ending.abort(timeout)
          reject(timeout)
        }, timeoutMs)
      })
      const result = await Promise.race([(async () => checks[name]!(ending.signal))(), tooLate])
      if (result === false) throw new Error('answered false')
      return 'ok'
    } catch (error) {
      tell(name, error)
      return 'failing'
    } finally {
      clearTimeout(timer)
    }
  }

  async function all(): Promise<Health> {
    const names = Object.keys(checks)
    const results = await Promise.all(names.map(run))
    return {
      status: results.every((result) => result === 'ok') ? 'ok' : 'failing',
      checks: Object.fromEntries(names.map((name, index) => [name, results[index]!])),
    }
  }

  function check(): Promise<Health> {
    running ??= all().finally(() => {
      running = undefined
    })
    return running
  }

  return {
    check,
    async fetch() {
      const health = await check()
      return new Response(JSON.stringify(health), { status: statusOf(health), headers: HEADERS })
    },
    async node(_request, response) {
      const health = await check()
      response.writeHead(statusOf(health), HEADERS)
      response.end(JSON.stringify(health))
    },
  }
}

function statusOf({ status }: Health): number {
  return status === 'ok' ? 200 : 503
}
