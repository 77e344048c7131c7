import { verify, X509Certificate } from 'node:crypto'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Arrived {
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** An HTTP endpoint of a seller's, on loopback. */
export interface Endpoint {
  readonly url: string
  readonly arrived: Arrived[]
  /** The SNS messages that arrived, by type. */
  messages(type?: string): Record<string, string>[]
  /** What to answer, by the number of the request from 1; default 200. */
  answer: (request: number) => number
  /** Whether it confirms subscriptions. */
  confirms: boolean
  close(): Promise<void>
}

export async function anEndpoint(): Promise<Endpoint> {
  const arrived: Arrived[] = []
  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', async () => {
      const text = Buffer.concat(chunks).toString()
      arrived.push({ headers: incoming.headers, text })
      const isConfirmation = incoming.headers['x-amz-sns-message-type'] === 'SubscriptionConfirmation'
      if (isConfirmation && endpoint.confirms) await fetch(JSON.parse(text).SubscribeURL)
      outgoing.writeHead(endpoint.answer(arrived.length)).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const endpoint: Endpoint = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/sns`,
    arrived,
    messages: (type = 'Notification') =>
      arrived.map(({ text }) => JSON.parse(text)).filter((message) => message.Type === type),
    answer: () => 200,
    confirms: true,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return endpoint
}

/**
 * Checks a message as AWS tells subscribers to, from its own words: each signed field's name and value on lines of
 * their own, in order of the bytes of their names.
 *
 * @see {@link https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message-verify-message-signature.html | SNS developer guide}
 */
export async function isGenuine(message: Record<string, string>, caCertificate: string): Promise<boolean> {
  const names = ['Message', 'MessageId', 'Subject', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type']
  let signed = ''
  for (const name of names) if (message[name] !== undefined) signed += `${name}\n${message[name]}\n`
  const certificate = new X509Certificate(await (await fetch(message.SigningCertURL ?? '')).text())
  const algorithm = { 1: 'RSA-SHA1', 2: 'RSA-SHA256' }[message.SignatureVersion ?? '']
  if (algorithm === undefined) throw new Error(`signature version ${message.SignatureVersion}`)
  return (
    certificate.verify(new X509Certificate(caCertificate).publicKey) &&
    verify(
      algorithm,
      Buffer.from(signed, 'utf8'),
      certificate.publicKey,
      Buffer.from(message.Signature ?? '', 'base64'),
    )
  )
}
