/**
 * A product that answers a request when it is told to on its standard input, and has used something by then. It reports that to
 * the address that is given. As `first`, it is the first process of a container: there, the kernel drops signals of one's own.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createUsageBuffer } from './buffer/usage-buffer.ts'
import { createClient } from './client/create-client.ts'
import { closeOnSignal } from './node.ts'
import { createSettlements } from './settlements/settlements.ts'

const [url, role] = process.argv.slice(2)
if (role === 'first') {
  Object.defineProperty(process, 'pid', { value: 1 })
  process.kill = () => true
}
const client = createClient({ url: url!, key: 'tk_x' })
const usage = await createUsageBuffer({ client, onRefused: () => {}, intervalMs: 3_600_000 })
const settlements = await createSettlements({ client, onUnsettled: () => {} })
const server = createServer(async (request, response) => {
  console.log(`asked ${request.url}`)
  response.once('close', () => void settlements.add({ reservation: 'rsv_1', quantity: 1 }))
  if (request.url === '/slow') await once(process.stdin, 'data')
  await usage.add({ dimension: 'calls', correlationId: request.url! })
  response.end('done')
})
closeOnSignal([usage, settlements], { server, before: () => console.log('closing') })
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port))
process.stdin.unref?.()
