import { type FileHandle, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { JournaledEvent, UsageJournal } from '../buffer/usage-journal.ts'
import type { UsageEvent } from '../generated/api.gen.ts'
import { type FileLock, lockFile } from './file-lock.ts'
import { addedLine, readJournal, settledLine } from './journal-lines.ts'

export interface FileJournalOptions {
  /** In a folder that exists, on a disk that outlives the process. One process at a time, and one buffer or queue. */
  readonly path: string
  /**
   * - `always` (default): on disk before `add` resolves: it survives a power failure
   * - `never`: with the operating system: it survives the process, not the machine
   */
  readonly fsync?: 'always' | 'never' | undefined
  /** From this size on it is written anew without what is settled, where that is more than half. Default: 1 MB. */
  readonly compactFromBytes?: number | undefined
}

interface Writing {
  readonly line: string
  /** What it means for what is live. In the same turn as it is written: a compaction may follow at once. */
  readonly apply: () => void
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * A file of JSON lines that is only added to, so that a usage buffer, or a queue of settlements, survives a restart. For
 * Node.js, and what has its modules.
 */
export function fileJournal<T extends object = UsageEvent>(options: FileJournalOptions): UsageJournal<T> {
  const { path, fsync = 'always', compactFromBytes = 1_000_000 } = options
  const draft = `${path}.compacting`
  /** Lines of what is not settled. */
  let live = new Map<number, string>()
  let file: FileHandle | undefined
  let lock: FileLock | undefined
  /** Of the file, all of it readable. */
  let size = 0
  let compactFrom = compactFromBytes
  /** Why nothing can be written any more. */
  let broken: Error | undefined
  const waiting: Writing[] = []
  let writing: Promise<void> | undefined

  function write(line: string, apply: () => void): Promise<void> {
    const written = new Promise<void>((resolve, reject) => waiting.push({ line, apply, resolve, reject }))
    writing ??= writeAll().finally(() => {
      writing = undefined
    })
    return written
  }

  /** Everybody who waits goes with one write, and one flush to disk. */
  async function writeAll(): Promise<void> {
    while (waiting.length > 0) {
      const group = waiting.splice(0)
      try {
        await appendText(group.map(({ line }) => line).join(''))
        for (const { apply, resolve } of group) {
          apply()
          resolve()
        }
      } catch (error) {
        for (const { reject } of group) reject(error)
      }
      if (size > compactFrom) await compactIfWorth()
    }
  }

  async function appendText(text: string): Promise<void> {
    if (broken !== undefined) throw broken
    if (file === undefined || lock === undefined) throw new Error(`${path}: the journal is not open`)
    const bytes = Buffer.from(text)
    try {
      await lock.check()
    } catch (error) {
      broken = asError(error)
      throw error
    }
    let done = 0
    try {
      while (done < bytes.length) {
        done += (await file.write(bytes, done, bytes.length - done, size + done)).bytesWritten
      }
    } catch (error) {
      // What was refused must not come back after a restart.
      await file.truncate(size).catch(() => {
        broken = new Error(`${path}: a write failed, and could not be undone`, { cause: error })
      })
      throw error
    }
    try {
      if (fsync === 'always') await file.datasync()
    } catch (error) {
      // Nobody knows what is on disk now, and asking again would say that all is well.
      await file.truncate(size).catch(() => {})
      broken = new Error(`${path}: not written to disk; start again with a sound disk`, { cause: error })
      throw broken
    }
    size += bytes.length
  }

  async function compactIfWorth(): Promise<void> {
    let liveBytes = 0
    for (const line of live.values()) liveBytes += Buffer.byteLength(line)
    if (liveBytes * 2 <= size && broken === undefined) await compact()
    // Else, and where it failed, not before the file is twice as large.
    compactFrom = Math.max(compactFromBytes, size * 2)
  }

  async function compact(): Promise<void> {
    let next: FileHandle | undefined
    try {
      await lock?.check()
      const text = [...live.values()].join('')
      next = await open(draft, 'w', 0o600)
      await next.writeFile(text)
      if (fsync === 'always') await next.datasync()
      await rename(draft, path)
      await file?.close().catch(() => {})
      file = next
      size = Buffer.byteLength(text)
      if (fsync === 'always') await syncFolder(path)
    } catch {
      // The file as it is serves as well.
      if (next !== undefined && next !== file) await next.close().catch(() => {})
      if (next !== file) await rm(draft, { force: true }).catch(() => {})
    }
  }

  return {
    async open() {
      lock = await lockFile(path)
      try {
        await rm(draft, { force: true })
        // Not 'a': what a failed write left is written over.
        file = await open(path, 'r+', 0o600).catch(async (error: unknown) => {
          if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
          return await open(path, 'wx+', 0o600)
        })
        if (fsync === 'always') await syncFolder(path)
        const { entries, goodBytes } = readJournal<T>(await readFile(path), path)
        await file.truncate(goodBytes)
        size = goodBytes
        live = new Map([...entries.values()].map((entry) => [entry.key, addedLine(entry)]))
        if (size > compactFrom) await compactIfWorth()
        return [...entries.values()]
      } catch (error) {
        await file?.close().catch(() => {})
        file = undefined
        await lock.release()
        throw error
      }
    },

    async append(entry: JournaledEvent<T>) {
      const line = addedLine(entry)
      await write(line, () => live.set(entry.key, line))
    },

    async settle(keys) {
      await write(settledLine(keys), () => {
        for (const key of keys) live.delete(key)
      })
    },

    async close() {
      await writing
      await file?.close()
      file = undefined
      await lock?.release()
      lock = undefined
    },
  }
}

async function syncFolder(path: string): Promise<void> {
  // Not every system lets a folder be opened; where it does not, a rename is safe without.
  const folder = await open(dirname(path), 'r').catch(() => undefined)
  try {
    await folder?.datasync()
  } catch {
  } finally {
    await folder?.close()
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
