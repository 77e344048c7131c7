import { createServer, connect as dial, type Socket } from 'node:net'

/** What becomes of the next commit: it is lost on its way to the server, or its answer is. */
export type Cut = 'request' | 'answer'

/** The way to a PostgreSQL server, which can be cut at a commit. */
export interface CuttingProxy {
  /** The address, as it is through the proxy. */
  readonly url: string
  cutNext(cut: Cut): void
  /** How many were. */
  cuts(): number
  stop(): void
}

/** As it stands in a simple query. */
const COMMIT = Buffer.from('COMMIT\0')

export async function startCuttingProxy(url: string): Promise<CuttingProxy> {
  const target = new URL(url)
  const sockets = new Set<Socket>()
  let wanted: Cut | undefined
  let cuts = 0
  const server = createServer((client) => {
    const upstream = dial({ host: target.hostname, port: Number(target.port) })
    let isCut = false
    const cut = () => {
      isCut = true
      cuts++
      wanted = undefined
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        upstream.destroy()
      })
    }
    client.on('data', (chunk) => {
      const commits = wanted !== undefined && chunk.includes(COMMIT)
      if (commits && wanted === 'request') {
        cut()
        client.destroy()
        return
      }
      if (commits) cut()
      upstream.write(chunk)
    })
    // The answer says that it is done, and is not passed on.
    upstream.on('data', (chunk) => (isCut ? client.destroy() : client.write(chunk)))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const proxied = new URL(url)
  proxied.port = String(typeof address === 'object' ? address!.port : 0)
  return {
    url: proxied.href,
    cutNext: (cut) => {
      wanted = cut
    },
    cuts: () => cuts,
    stop() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
