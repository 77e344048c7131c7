import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import type { UsageEvent } from '../generated/api.gen.ts'
import { fileJournal } from './file-journal.ts'

const folder = mkdtempSync(join(tmpdir(), 'tollkeeper-journal-'))
afterAll(() => rmSync(folder, { recursive: true }))
let files = 0
const aPath = () => join(folder, `usage-${++files}.ndjson`)

function anEvent(key: number): UsageEvent {
  return { dimension: 'calls', usageTime: '2026-11-21T10:00:00Z', correlationId: `event ${key} ✓` }
}

const entry = (key: number) => ({ key, event: anEvent(key) })

async function left(path: string): Promise<readonly number[]> {
  const journal = fileJournal({ path })
  const entries = await journal.open()
  await journal.close()
  for (const { key, event } of entries) expect(event).toEqual(anEvent(key))
  return entries.map(({ key }) => key)
}

describe('a file journal', () => {
  it('brings back what was appended and not settled', async () => {
    const path = aPath()
    const journal = fileJournal({ path })
    expect(await journal.open()).toEqual([])
    await Promise.all([1, 2, 3].map((key) => journal.append(entry(key))))
    await journal.settle([2])
    await journal.close()
    expect(await left(path)).toEqual([1, 3])
    expect(statSync(path).mode & 0o777).toBe(0o600)
    await expect(journal.append(entry(4))).rejects.toThrow('not open')
  })

  it('leaves out what a crash cut off, wherever that was, and goes on behind what is whole', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.constant('add' as const), fc.nat(8)), { minLength: 1, maxLength: 12 }),
        fc.nat(),
        fc.constantFrom('cut', 'zeros'),
        async (steps, at, damage) => {
          const path = aPath()
          const journal = fileJournal({ path, fsync: 'never' })
          await journal.open()
          const states: { readonly bytes: number; readonly live: readonly number[] }[] = [
            { bytes: 0, live: [] },
          ]
          let live: number[] = []
          for (const [index, step] of steps.entries()) {
            if (step === 'add') {
              await journal.append(entry(index))
              live.push(index)
            } else {
              await journal.settle([step])
              live = live.filter((key) => key !== step)
            }
            states.push({ bytes: statSync(path).size, live: [...live] })
          }
          await journal.close()
          const whole = readFileSync(path)
          const end = at % (whole.length + 1)
          const rest = damage === 'cut' ? Buffer.alloc(0) : Buffer.alloc(whole.length - end)
          writeFileSync(path, Buffer.concat([whole.subarray(0, end), rest]))
          const expected = states.findLast(({ bytes }) => bytes <= end)!.live
          expect(await left(path)).toEqual(expected)
          const again = fileJournal({ path, fsync: 'never' })
          await again.open()
          await again.append(entry(99))
          await again.close()
          expect(await left(path)).toEqual([...expected, 99])
        },
      ),
      { numRuns: 60 },
    )
  })

  it('refuses a file that is damaged in the middle, and leaves it as it is', async () => {
    const path = aPath()
    const text = `${JSON.stringify({ add: 1, event: anEvent(1) })}\n?\n${JSON.stringify({ done: [1] })}\n`
    writeFileSync(path, text)
    await expect(fileJournal({ path }).open()).rejects.toThrow('line 2 is damaged')
    expect(readFileSync(path, 'utf8')).toBe(text)
    expect(readdirSync(folder).filter((name) => name.includes('lock'))).toEqual([])
  })

  it('is written anew without what is settled when it grows, also while more comes in', async () => {
    const path = aPath()
    const journal = fileJournal({ path, compactFromBytes: 2_000 })
    await journal.open()
    for (let round = 0; round < 40; round++) {
      const keys = Array.from({ length: 10 }, (_, index) => round * 10 + index)
      await Promise.all(keys.map((key) => journal.append(entry(key))))
      await Promise.all([journal.settle(keys.slice(0, 9)), journal.append(entry(10_000 + round))])
    }
    await journal.close()
    const keys = await left(path)
    expect([...keys].sort((one, other) => one - other)).toEqual([
      ...Array.from({ length: 40 }, (_, round) => round * 10 + 9),
      ...Array.from({ length: 40 }, (_, round) => 10_000 + round),
    ])
    expect(statSync(path).size).toBeLessThan(25_000)
  })

  it('has one process at a time', async () => {
    const path = aPath()
    const journal = fileJournal({ path })
    await journal.open()
    await expect(fileJournal({ path }).open()).rejects.toThrow(`process ${process.pid} on`)
    await journal.append(entry(1))
    await journal.close()
    expect(await left(path)).toEqual([1])
  })

  it('lets at most one of several that open it at once have it', async () => {
    const path = aPath()
    const journals = Array.from({ length: 5 }, () => fileJournal({ path }))
    const opened = await Promise.allSettled(journals.map((journal) => journal.open()))
    expect(opened.filter(({ status }) => status === 'fulfilled').length).toBeLessThanOrEqual(1)
    for (const journal of journals) await journal.close()
    expect(await left(path)).toEqual([])
  })

  it('is taken over from a machine that gave no sign for a minute, which then writes no more', async () => {
    const path = aPath()
    const journal = fileJournal({ path })
    await journal.open()
    await journal.append(entry(1))
    const lock = join(folder, readdirSync(folder).find((name) => name.includes('lock-'))!)
    writeFileSync(lock, readFileSync(lock, 'utf8').replace('"machine":"', '"machine":"elsewhere-'))
    await expect(fileJournal({ path }).open()).rejects.toThrow('on elsewhere-')
    const longAgo = new Date(Date.now() - 61_000)
    utimesSync(lock, longAgo, longAgo)
    const next = fileJournal({ path })
    expect(await next.open()).toEqual([entry(1)])
    await expect(journal.append(entry(2))).rejects.toThrow('took this journal over')
    await next.append(entry(3))
    await next.close()
    await journal.close()
    expect(await left(path)).toEqual([1, 3])
  })

  it.each(['', '{"machine":"x', '[]', '{}'])(
    'is not held for ever by a lock that nobody can read: %j',
    async (text) => {
      const path = aPath()
      const lock = `${path}.lock-left-by-a-power-failure`
      writeFileSync(lock, text)
      const opening = fileJournal({ path }).open()
      await expect(opening).rejects.toThrow(lock)
      const longAgo = new Date(Date.now() - 61_000)
      utimesSync(lock, longAgo, longAgo)
      expect(await left(path)).toEqual([])
      expect(readdirSync(folder).filter((name) => name.includes('left-by'))).toEqual([])
    },
  )

  it('keeps what a process that is killed was told to be kept', async () => {
    const path = aPath()
    const child = spawn(process.execPath, [join(import.meta.dirname, 'kill-me.fixture.ts'), path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const told: string[] = []
    for await (const id of createInterface({ input: child.stdout })) {
      told.push(id)
      if (told.length === 200) break
    }
    await expect(fileJournal({ path }).open()).rejects.toThrow(`process ${child.pid} on`)
    child.kill('SIGKILL')
    await once(child, 'exit')
    const journal = fileJournal({ path })
    const ids = (await journal.open()).map(({ event }) => event.correlationId)
    await journal.close()
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids).toEqual(expect.arrayContaining(told))
  })
})
