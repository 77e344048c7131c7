/** Keeps a settlement in a file where it is told one, says so, and goes on with what is there until nothing is left. */
import { createClient } from '../client/create-client.ts'
import { fileJournal } from '../journal/file-journal.ts'
import { createSettlements } from './settlements.ts'

const [url, key, path, reservation] = process.argv.slice(2)
const settlements = await createSettlements({
  client: createClient({ url: url!, key: key! }),
  journal: fileJournal({ path: path! }),
  onUnsettled: (all) => console.log(JSON.stringify(all)),
})
if (reservation !== undefined) await settlements.add({ reservation, quantity: '1.25' })
console.log(`${settlements.pending} kept`)
await settlements.close({ timeoutMs: 30_000 })
console.log(`${settlements.pending} left`)
