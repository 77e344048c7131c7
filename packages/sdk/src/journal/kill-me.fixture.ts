/** Adds events to a journal until it is killed, and says which are in it. */
import { createUsageBuffer } from '../buffer/usage-buffer.ts'
import { fileJournal } from './file-journal.ts'

const path = process.argv[2]!
const buffer = await createUsageBuffer({
  client: { reportUsage: () => new Promise(() => {}) },
  onRefused: () => {},
  journal: fileJournal({ path }),
})
for (let n = 0; ; n++) {
  const id = await buffer.add({ dimension: 'calls', value: 'x'.repeat(n % 50) })
  process.stdout.write(`${id}\n`)
}
