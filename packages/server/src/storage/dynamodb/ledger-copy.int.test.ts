import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { digestLedger } from '../../domain/moving/compare-ledgers.ts'
import { utc } from '../contract/fixtures.ts'
import {
  copyBetween,
  guarded,
  ledgerCopyContract,
  ledgerCopyRefusals,
} from '../contract/ledger-copy.contract.ts'
import { startLedger } from '../contract/ledger-harness.ts'
import { aWholeProduct, fillLedger } from '../contract/whole-ledger.ts'
import { openSqliteStores } from '../sql/sqlite-stores.ts'
import { openDynamoStores } from './dynamo-stores.ts'
import { aDynamoPlace, aDynamoTable, describeOnDynamo, openDynamoForTest } from './dynamodb.fixture.ts'
import { createDynamoLedgerCopy } from './ledger-copy.ts'
import type { Requests } from './requests.ts'
import { openUsage } from './usage/usage.fixture.ts'

async function aFile() {
  const directory = mkdtempSync(join(tmpdir(), 'tollkeeper-copy-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return async () => {
    const stores = await openSqliteStores(join(directory, 'ledger.db'))
    onTestFinished(() => stores.close())
    return stores
  }
}

async function aTable() {
  const ledger = Symbol('a table')
  return () => openDynamoForTest(ledger)
}

describeOnDynamo('moving a ledger', () => {
  ledgerCopyContract('SQLite to DynamoDB', { from: aFile, to: aTable })
  ledgerCopyRefusals('SQLite to DynamoDB', { from: aFile, to: aTable })
  ledgerCopyContract('DynamoDB to SQLite', { from: aTable, to: aFile })

  it('takes nothing of a page that was on its way when another run ended the copying', async () => {
    const from = await (await aFile())()
    await fillLedger(from)
    const place = await aDynamoPlace()
    const to = await openDynamoStores(place, { transactionItems: 10, shards: 2, isAtAws: false })
    onTestFinished(() => to.close())
    let digest: Awaited<ReturnType<typeof digestLedger>> | undefined
    let stalling: Requests | undefined
    const through = (requests: Requests): Requests => {
      stalling = {
        async send(name, input) {
          const isPageOfHours = name === 'TransactWriteItems' && /"B#\d+#\d+"/.test(JSON.stringify(input))
          if (digest === undefined && isPageOfHours) {
            expect(await copyBetween(from, to)).toMatchObject({ isResumed: true, differences: [] })
            await guarded(to)
            // Closes hours that this page says are open.
            const target = await startLedger(async () => to, aWholeProduct(), utc('2026-12-01T07:00'))
            expect(await target.close()).toMatchObject({ failed: 0 })
            digest = await digestLedger(to.copy, to.usage)
          }
          return requests.send(name, input)
        },
      }
      return stalling
    }
    const table = await aDynamoTable({ place, through })
    const copy = createDynamoLedgerCopy(table, stalling!)
    await expect(copyBetween(from, to, { copy })).rejects.toMatchObject({ code: 'ledger.copy_refused' })
    expect(digest).toBeDefined()
    expect(await digestLedger(to.copy, to.usage)).toEqual(digest)
    expect((await guarded(to)).waiting()).toBeUndefined()
  })

  it('takes along what an heir is owed, though the process that was to settle it died', async () => {
    const place = await aDynamoPlace()
    const from = await openDynamoStores(place, { transactionItems: 10, shards: 2, isAtAws: false })
    onTestFinished(() => from.close())
    await guarded(from, utc('2026-11-21T10:30'))
    // Settling asks for events by their index.
    const through = (requests: Requests): Requests => ({
      send: (name, input) =>
        'IndexName' in input ? Promise.reject(new TypeError('died')) : requests.send(name, input),
    })
    const dying = await aDynamoTable({ place, through })
    const { subscribe, report, end } = await startLedger(async () => openUsage(dying))
    const old = await subscribe()
    const heir = await subscribe({ accessStart: utc('2026-11-21T10:20') })
    await report(old, 'before', 3, { time: utc('2026-11-21T10:10') })
    await report(old, 'after', 5, { time: utc('2026-11-21T10:25') })
    await end(old, utc('2026-11-21T10:20'), heir)

    const to = await (await aFile())()
    expect(await copyBetween(from, to)).toMatchObject({ differences: [] })
    await guarded(to)
    const target = await startLedger(async () => to, undefined, utc('2026-11-21T10:40'))
    await target.close()
    target.clock.set(utc('2026-11-21T11:20'))
    await target.close()
    const billed = (await target.records()).map(({ subscription, quantity }) => [subscription, quantity])
    expect(billed.sort()).toEqual([
      [old.id, 3],
      [heir.id, 5],
    ])
  })
})
