import { connect, type Socket } from 'node:net'

/** One HTTP/1.1 connection with one request on its way at a time: no more than a load needs, so that it is cheap. */
export interface Connection {
  readonly busy: boolean
  /** @param what - the body, or of a GET the path */
  send(what: string, onAnswer: (status: number) => void): void
  close(): void
}

const HEAD_END = Buffer.from('\r\n\r\n')

export function openConnection(
  url: URL,
  /** Undefined: GET. */
  path: string | undefined,
  headers: Readonly<Record<string, string>>,
  onBroken: (error: Error) => void,
): Promise<Connection> {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const named = `HTTP/1.1\r\nhost: ${url.host}\r\n${lines.join('')}`
  const head = `POST ${path} ${named}content-length: `
  const requestOf = (what: string) =>
    path === undefined ? `GET ${what} ${named}\r\n` : `${head}${Buffer.byteLength(what)}\r\n\r\n${what}`
  let onAnswer: ((status: number) => void) | undefined
  let received: Buffer | undefined
  let status = 0
  let left = 0

  function read(chunk: Buffer): void {
    if (left > 0) {
      left -= chunk.length
      if (left === 0) answered()
      else if (left < 0) onBroken(new Error('the server sent more than it announced'))
      return
    }
    received = received === undefined ? chunk : Buffer.concat([received, chunk])
    const end = received.indexOf(HEAD_END)
    if (end < 0) return
    const text = received.toString('latin1', 0, end)
    status = Number(text.slice(9, 12))
    const length = /content-length: *(\d+)/i.exec(text)?.[1]
    if (length === undefined) {
      onBroken(new Error(`an answer without a length: ${text}`))
      return
    }
    left = Number(length) - (received.length - end - 4)
    received = undefined
    if (left === 0) answered()
  }

  function answered(): void {
    const done = onAnswer
    onAnswer = undefined
    done?.(status)
  }

  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ host: url.hostname, port: Number(url.port), noDelay: true })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      socket.on('error', onBroken)
      socket.on('data', read)
      resolve({
        get busy() {
          return onAnswer !== undefined
        },
        send(what, then) {
          onAnswer = then
          socket.write(requestOf(what), 'latin1')
        },
        close: () => socket.destroy(),
      })
    })
  })
}
