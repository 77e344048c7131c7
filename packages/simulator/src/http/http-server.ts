import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { storefrontResponse } from '../storefront/storefront.ts'
import type { AwsReply, AwsRequest } from '../wire/handle-aws.ts'
import type { ServiceRequest } from '../wire/json-service.ts'
import { awsResponse, isForAws, isSnsLink, snsLinkResponse } from './aws-routes.ts'
import { type Backstage, controlResponse } from './control-routes.ts'
import { CUT, type HttpRequest, type HttpResponse, jsonResponse } from './message.ts'
import { HttpError, problemResponse } from './problem.ts'
import { checkHost, checkOrigin } from './same-site.ts'

export interface ListenOptions {
  /** Default `127.0.0.1`. */
  readonly host?: string
  /** Default 0: any free one. */
  readonly port?: number
  /** Host names to answer to besides loopback ones, e.g. the name of a container. */
  readonly allowedHosts?: readonly string[]
}

export interface HttpServer {
  /** @throws the system's error, e.g. `EADDRINUSE` */
  listen(options: ListenOptions): Promise<{ url: string; port: number }>
  close(): Promise<void>
}

/** What is served: the doors' material, and AWS's operations. */
export interface Served extends Backstage {
  handleAws(request: AwsRequest): Promise<AwsReply>
  handleService(request: ServiceRequest): Promise<AwsReply>
}

/** Most bytes of a body that are read at all; AWS calls have a lower limit of their own. */
const BODY_BYTES_MAX = 4_000_000
const KEEP_ALIVE_MS = 120_000

export function createHttpServer(served: Served): HttpServer {
  let allowedHosts: readonly string[] = []
  let isListening = false
  const delays = new Set<NodeJS.Timeout>()
  const aws = {
    handleAws: served.handleAws,
    handleService: served.handleService,
    sellerAccountId: () => served.marketplace.settings.sellerAccountId,
    delivery: served.delivery,
  }

  const server = createServer((incoming, outgoing) => {
    void serve(incoming, outgoing)
  })

  // Longer than clients keep idle connections: one closed by us under a request looks like a fault nobody ordered.
  server.keepAliveTimeout = KEEP_ALIVE_MS
  server.headersTimeout = KEEP_ALIVE_MS + 5_000

  async function serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    try {
      const response = await respond(incoming, outgoing)
      if (response === CUT) incoming.socket.destroy()
      else if (response.delayMs === undefined) send(outgoing, response)
      else sendLater(outgoing, response, response.delayMs)
    } catch (error) {
      if (!outgoing.headersSent) send(outgoing, problemResponse(error))
      else incoming.socket.destroy()
    }
  }

  async function respond(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
  ): Promise<HttpResponse | typeof CUT> {
    checkHost(incoming.headers.host, allowedHosts)
    const request = await readRequest(incoming, outgoing)
    if (isForAws(request)) return awsResponse(request, aws)
    if ((request.method !== 'GET' && request.method !== 'HEAD') || isSnsLink(request)) {
      checkOrigin(request.headers)
    }
    if (isSnsLink(request)) return snsLinkResponse(request, served.delivery)
    if (request.path.startsWith('/SimpleNotificationService-')) return certificateResponse(request)
    if (request.path.startsWith('/_control/')) return controlResponse(request, served)
    if (request.path === '/health') return jsonResponse({ status: 'ok' })
    return storefrontResponse(request, served)
  }

  function certificateResponse({ path }: HttpRequest): HttpResponse {
    const certificate = served.delivery.certificateAt(path)
    if (certificate === undefined) throw new HttpError(404, `There is no ${path}.`)
    return { status: 200, headers: { 'content-type': 'application/x-pem-file' }, body: certificate }
  }

  function sendLater(outgoing: ServerResponse, response: HttpResponse, delayMs: number): void {
    const timer = setTimeout(() => {
      delays.delete(timer)
      send(outgoing, response)
    }, delayMs)
    delays.add(timer)
    outgoing.once('close', () => {
      clearTimeout(timer)
      delays.delete(timer)
    })
  }

  return {
    listen({ host = '127.0.0.1', port = 0, allowedHosts: names = [] }) {
      allowedHosts = names.map((name) => name.toLowerCase())
      return new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen({ host, port }, () => {
          server.off('error', reject)
          isListening = true
          const address = server.address() as AddressInfo
          const shown = address.family === 'IPv6' ? `[${address.address}]` : address.address
          resolve({ url: `http://${shown}:${address.port}`, port: address.port })
        })
      })
    },
    close() {
      if (!isListening) return Promise.resolve()
      isListening = false
      for (const timer of delays) clearTimeout(timer)
      return new Promise((resolve, reject) => {
        server.close((error) => (error ? reject(error) : resolve()))
        server.closeAllConnections()
      })
    },
  }
}

function send(outgoing: ServerResponse, { status, headers, body }: HttpResponse): void {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  outgoing.writeHead(status, { ...headers, 'content-length': bytes.length })
  outgoing.end(bytes)
}

async function readRequest(incoming: IncomingMessage, outgoing: ServerResponse): Promise<HttpRequest> {
  const gone = new AbortController()
  outgoing.once('close', () => gone.abort())
  const target = incoming.url ?? '/'
  const mark = target.indexOf('?')
  return {
    method: incoming.method ?? 'GET',
    path: mark < 0 ? target : target.slice(0, mark),
    query: new URLSearchParams(mark < 0 ? '' : target.slice(mark + 1)),
    headers: incoming.headers,
    body: await readBody(incoming),
    signal: gone.signal,
  }
}

function readBody(incoming: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    incoming.on('data', (chunk: Buffer) => {
      length += chunk.length
      if (length > BODY_BYTES_MAX) {
        incoming.resume()
        reject(new HttpError(413, `A body may have at most ${BODY_BYTES_MAX} bytes.`))
      } else chunks.push(chunk)
    })
    incoming.once('end', () => resolve(Buffer.concat(chunks)))
    incoming.once('error', reject)
  })
}
