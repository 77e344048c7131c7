import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { utc } from '../contract/fixtures.ts'
import { claimLedger } from './ledger-identity.ts'
import { migrate } from './migrations.ts'
import { openSqlite } from './sqlite.ts'
import { createLedgerGuard, isElsewhere, placeOf } from './sqlite-place.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tollkeeper-guard-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

async function open(name: string, now: number) {
  const database = openSqlite(join(directory, name))
  await migrate(database)
  await claimLedger(database, { mode: 'simulated', accountId: undefined })
  return { database, guard: await createLedgerGuard(database, now) }
}

async function liveUntil(now: number): Promise<void> {
  const { database, guard } = await open('ledger.db', now)
  await guard.beat(now)
  database.close()
}

it('does not hold up a ledger that is opened again in its place', async () => {
  await liveUntil(utc('2026-11-21T10:00'))
  const { database, guard } = await open('ledger.db', utc('2026-11-21T12:00'))
  expect(guard.waiting()).toBeUndefined()
  database.close()
})

it('makes a copied ledger wait, and doubts every hour since it was alive', async () => {
  await liveUntil(utc('2026-11-21T10:00'))
  copyFileSync(join(directory, 'ledger.db'), join(directory, 'copy.db'))
  const { database, guard } = await open('copy.db', utc('2026-11-21T12:30'))
  expect(guard.waiting()).toMatchObject({
    from: utc('2026-11-21T10:00') / 3_600_000,
    to: utc('2026-11-21T12:00') / 3_600_000,
  })
  await guard.beat(utc('2026-11-21T12:31'))
  expect(guard.waiting()).toBeDefined()
  await guard.release('cli:somebody', utc('2026-11-21T12:32'))
  expect(guard.waiting()).toBeUndefined()
  database.close()
  const again = await open('copy.db', utc('2026-11-21T12:33'))
  expect(again.guard.waiting()).toBeUndefined()
  again.database.close()
})

it('makes a backup that was put back in place wait', async () => {
  await liveUntil(utc('2026-11-21T10:00'))
  copyFileSync(join(directory, 'ledger.db'), join(directory, 'backup'))
  await liveUntil(utc('2026-11-21T11:00'))
  copyFileSync(join(directory, 'backup'), join(directory, 'ledger.db'))
  const { database, guard } = await open('ledger.db', utc('2026-11-21T11:30'))
  expect(guard.waiting()).toMatchObject({ reason: expect.stringContaining('backup') })
  database.close()
})

it('makes a ledger wait that came without the small file beside it, once', async () => {
  await liveUntil(utc('2026-11-21T10:00'))
  await liveUntil(utc('2026-11-21T11:00'))
  rmSync(join(directory, 'ledger.db.beat'))
  const { database, guard } = await open('ledger.db', utc('2026-11-21T11:30'))
  expect(guard.waiting()).toMatchObject({ reason: expect.stringContaining('ledger.db.beat') })
  await guard.release('cli:somebody', utc('2026-11-21T11:31'))
  database.close()
  const again = await open('ledger.db', utc('2026-11-21T11:32'))
  expect(again.guard.waiting()).toBeUndefined()
  again.database.close()
})

it('goes on where the small file is deleted beside a process that runs, and writes it again', async () => {
  const now = utc('2026-11-21T10:00')
  const { database, guard } = await open('ledger.db', now)
  await guard.beat(now)
  await guard.beat(now)
  rmSync(join(directory, 'ledger.db.beat'))
  await guard.beat(now)
  expect(guard.waiting()).toBeUndefined()
  expect(readdirSync(directory)).toContain('ledger.db.beat')
  database.close()
})

it('goes on after a process died before it wrote its first small file', async () => {
  await liveUntil(utc('2026-11-21T10:00'))
  rmSync(join(directory, 'ledger.db.beat'))
  const { database, guard } = await open('ledger.db', utc('2026-11-21T10:01'))
  expect(guard.waiting()).toBeUndefined()
  database.close()
})

it('tells a copy that has the same number on another disk by the time of its making', () => {
  const file = { ino: 12n, birthtimeNs: 1_000n, ctimeNs: 5_000n }
  const place = placeOf(file)
  expect(isElsewhere(place, { ...file, ctimeNs: 9_000n })).toBe(false)
  expect(isElsewhere(place, { ...file, birthtimeNs: 2_000n })).toBe(true)
  // As soon as it was made, too.
  expect(isElsewhere(place, { ...file, birthtimeNs: 9_000n, ctimeNs: 9_000n })).toBe(true)
  expect(isElsewhere(place, { ...file, ino: 13n })).toBe(true)
})

it('takes no file for a copy whose making its system cannot tell, or an earlier version did not note', () => {
  const changed = [1_000n, 2_000n].map((at) => ({ ino: 12n, birthtimeNs: at, ctimeNs: at }))
  expect(isElsewhere(placeOf(changed[0]!), changed[1]!)).toBe(false)
  const unknown = { ino: 12n, birthtimeNs: 0n, ctimeNs: 5_000n }
  expect(isElsewhere(placeOf({ ...unknown, birthtimeNs: 1_000n }), unknown)).toBe(false)
  expect(isElsewhere('12', { ...unknown, birthtimeNs: 1_000n })).toBe(false)
})

it('meters on when the file beside the ledger cannot be written, and says so', async () => {
  const now = utc('2026-11-21T10:00')
  const { database } = await open('ledger.db', now)
  mkdirSync(join(directory, 'ledger.db.beat'))
  const errors: unknown[] = []
  const guard = await createLedgerGuard(database, now, (error) => errors.push(error))
  await guard.beat(now)
  expect(guard.waiting()).toBeUndefined()
  expect(errors).toHaveLength(1)
  expect(readdirSync(directory).filter((name) => name.includes('.beat.'))).toEqual([])
  database.close()
})
