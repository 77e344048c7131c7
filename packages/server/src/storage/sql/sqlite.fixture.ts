import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { OpenStores } from '../contract/open-stores.ts'
import { openSqliteStores } from './sqlite-stores.ts'

const folders = new Map<symbol, string>()

/** In memory; a ledger that others open, too, is in a file. */
export const openSqliteForTest: OpenStores = async (ledger) => {
  const stores = await openSqliteStores(
    ledger === undefined ? ':memory:' : join(folderOf(ledger), 'ledger.db'),
  )
  onTestFinished(() => stores.close())
  return stores
}

function folderOf(ledger: symbol): string {
  let folder = folders.get(ledger)
  if (folder === undefined) {
    const made = mkdtempSync(join(tmpdir(), 'tollkeeper-ledger-'))
    folders.set(ledger, made)
    onTestFinished(() => {
      folders.delete(ledger)
      rmSync(made, { recursive: true, force: true })
    })
    folder = made
  }
  return folder
}
