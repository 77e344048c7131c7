/** Has an event in its buffer, and waits for a signal. Reports it to the address that is given. */
import { createUsageBuffer } from './buffer/usage-buffer.ts'
import { createClient } from './client/create-client.ts'
import { closeOnSignal } from './node.ts'

const client = createClient({ url: process.argv[2]!, key: 'tk_x' })
const buffer = await createUsageBuffer({ client, onRefused: () => {}, intervalMs: 3_600_000 })
closeOnSignal(buffer, { before: () => process.stdout.write('closing\n') })
const id = await buffer.add({ dimension: 'calls' })
process.stdout.write(`${id}\n`)
