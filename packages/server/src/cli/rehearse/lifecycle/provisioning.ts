import { createHmac, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'

/** What the seller's provisioning webhook was told. */
export interface Told {
  readonly type: string
  readonly data: { readonly subscription?: { readonly id?: string }; readonly [more: string]: unknown }
  /** Is it signed as Standard Webhooks says, with the secret of this webhook? */
  readonly isSigned: boolean
}

/** The end of the wire where a seller's own systems would be. */
export interface ProvisioningSystem {
  readonly url: string
  /** `whsec_` and base64. */
  readonly secret: string
  /** In the order in which it came. */
  readonly told: readonly Told[]
  close(): Promise<void>
}

export async function startProvisioningSystem(): Promise<ProvisioningSystem> {
  const key = randomBytes(32)
  const told: Told[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const body = Buffer.concat(chunks).toString()
    const {
      'webhook-id': id,
      'webhook-timestamp': timestamp,
      'webhook-signature': signature,
    } = request.headers
    const expected = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
    told.push({ ...JSON.parse(body), isSigned: signature === `v1,${expected}` })
    response.writeHead(204).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}/provision`,
    secret: `whsec_${key.toString('base64')}`,
    told,
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
