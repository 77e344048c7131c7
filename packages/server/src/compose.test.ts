import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { composeEngine, createLogger, createScratchStore, openLedger } from './compose.ts'
import { type DynamoStoreConfig, readStoreUrl, sqliteStore } from './config/store.ts'
import { demoConfig } from './config.ts'
import { aClock, utc } from './storage/contract/fixtures.ts'
import { openSqlite } from './storage/sql/sqlite.ts'

it('names a scratch table in all that a configuration is written from, never the table beside it', async () => {
  const store = readStoreUrl(
    'dynamodb://us-east-1/ledger?endpoint=http://127.0.0.1:8000',
    '/',
  ) as DynamoStoreConfig
  const scratch = await createScratchStore(store)
  expect(scratch.store).toMatchObject({ table: expect.stringMatching(/^ledger-rehearsal-/) })
  // `rehearse --keep` writes nothing but the URL down.
  expect(readStoreUrl(scratch.store.url, '/')).toEqual(scratch.store)
})

it('takes nothing more into a ledger that a later version has taken something away from', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tollkeeper-compose-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'ledger.db')
  const clock = aClock(utc('2026-11-21T10:30'))
  const ledger = await openLedger({ ...demoConfig(), store: sqliteStore(file) }, clock)
  onTestFinished(() => ledger.close())
  const engine = await composeEngine(ledger, { clock, logger: createLogger({ log: { level: 'silent' } }) })
  const message = { id: 'sqs-1', sentAt: clock.now(), receives: 1, receipt: '1' }
  const body = JSON.stringify({
    action: 'subscribe-success',
    'product-code': 'x',
    'customer-identifier': 'y',
  })
  expect(await engine.ingest([])).toEqual([])

  const later = openSqlite(file)
  await later.transaction((sql) => sql.run(`UPDATE ledger SET value = '99' WHERE name = 'schema_floor'`))
  await later.close()
  clock.set(clock.now() + 5_000)
  await expect(engine.ingest([])).rejects.toMatchObject({ code: 'ledger.too_new' })
  await expect(engine.notifications.queued({ ...message, body })).rejects.toMatchObject({
    code: 'ledger.too_new',
  })
})
