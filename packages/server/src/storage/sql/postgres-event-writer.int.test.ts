import { onTestFinished } from 'vitest'
import { usageStoreContract } from '../contract/usage-store.contract.ts'
import { usePostgres } from './postgres.fixture.ts'
import { openPostgresStores } from './postgres-stores.ts'

const postgres = usePostgres()

async function open() {
  const stores = await openPostgresStores(await postgres.createLedger())
  onTestFinished(() => stores.close())
  return stores
}

usageStoreContract('postgres', open)
