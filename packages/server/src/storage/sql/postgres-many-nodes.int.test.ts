import { onTestFinished } from 'vitest'
import { manyNodesContract } from '../contract/many-nodes.contract.ts'
import { workLeasesContract } from '../contract/work-leases.contract.ts'
import { usePostgres } from './postgres.fixture.ts'
import { openPostgresStores } from './postgres-stores.ts'

const postgres = usePostgres()
const urls = new Map<symbol, Promise<string>>()

async function open(ledger: symbol) {
  const url = urls.get(ledger) ?? postgres.createLedger()
  urls.set(ledger, url)
  const stores = await openPostgresStores(await url)
  onTestFinished(() => stores.close())
  return stores
}

manyNodesContract('PostgreSQL', open)
workLeasesContract('PostgreSQL', async () => (await open(Symbol('ledger'))).leases)
