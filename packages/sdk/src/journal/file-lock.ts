import { randomUUID } from 'node:crypto'
import { readdir, readFile, readlink, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { threadId } from 'node:worker_threads'

/** A file that only one process may have, told by another file beside it. */
export interface FileLock {
  /** @throws where another process took the file, since this one gave no sign of life for a minute */
  check(): Promise<void>
  release(): Promise<void>
}

interface Owner {
  /** Host, boot and process namespace: process ids mean something among equals only. */
  readonly machine: string
  readonly pid: number
  /** In the kernel's ticks since boot; null where it does not say. */
  readonly started: string | null
  readonly thread: number
}

const SIGN_OF_LIFE_MS = 5_000
/** A process on another machine that gave no sign for so long is gone. */
const DEAD_AFTER_MS = 60_000
/** Names of the locks that this thread has. */
const held = new Set<string>()

/**
 * Every taker writes a lock of its own first and looks for others afterwards: of two who come at once, at least one sees the
 * other and steps back. So no lock that lives is ever taken away.
 *
 * @throws where a living process has the file
 */
export async function lockFile(path: string): Promise<FileLock> {
  const folder = dirname(path)
  const prefix = `${basename(path)}.lock-`
  const name = `${prefix}${randomUUID()}`
  const own = join(folder, name)
  const me = await describeSelf()
  // Written under another name, so that nobody reads half of it; and to disk, so that a power failure leaves none empty.
  const draft = join(folder, `.${name}.draft`)
  try {
    await writeFile(draft, JSON.stringify(me), { mode: 0o600, flush: true })
    held.add(name)
    await rename(draft, own)
  } catch (error) {
    held.delete(name)
    await rm(draft, { force: true }).catch(() => {})
    throw error
  }
  try {
    for (const other of await readdir(folder)) {
      if (!other.startsWith(prefix) || other === name) continue
      const owner = await livingOwner(join(folder, other), other, me)
      if (owner !== undefined) {
        throw new Error(
          `${path}: process ${owner.pid} on ${owner.machine.split(' ')[0]} has this journal; give each process a file of its own`,
        )
      }
      await rm(join(folder, other), { force: true })
    }
  } catch (error) {
    await release(own, name)
    throw error
  }
  const timer = setInterval(() => {
    const now = new Date()
    utimes(own, now, now).catch(() => {}) // `check` says so where it is gone
  }, SIGN_OF_LIFE_MS)
  timer.unref()
  return {
    async check() {
      const exists = await stat(own).then(
        () => true,
        () => false,
      )
      if (!exists) throw new Error(`${path}: another process took this journal over`)
    },
    async release() {
      clearInterval(timer)
      await release(own, name)
    },
  }
}

async function release(path: string, name: string): Promise<void> {
  await rm(path, { force: true })
  held.delete(name)
}

/**
 * @returns who has the lock; undefined where it is gone, or its owner is
 * @throws where nobody can tell: it is unreadable, and somebody gave a sign of life within a minute
 */
async function livingOwner(path: string, name: string, me: Owner): Promise<Owner | undefined> {
  let isSilent: boolean
  let text: string | Error
  try {
    isSilent = Date.now() - (await stat(path)).mtimeMs > DEAD_AFTER_MS
    text = await readFile(path, 'utf8').catch((error: Error) => error)
  } catch (error) {
    if (isGone(error)) return undefined
    throw new Error(`${path}: this lock cannot be looked at`, { cause: error })
  }
  if (isGone(text)) return undefined
  const owner = typeof text === 'string' ? readOwner(text) : undefined
  if (owner === undefined) {
    if (isSilent) return undefined
    throw new Error(
      `${path}: this lock is unreadable, and was touched within a minute: start again a minute later, or remove it if no process has the journal`,
      typeof text === 'string' ? {} : { cause: text },
    )
  }
  if (owner.machine !== me.machine) return isSilent ? undefined : owner
  if (!isAlive(owner.pid)) return undefined
  const started = await startOf(owner.pid)
  // Process ids come again: in a container, the next process has the last one's.
  if (started !== null && owner.started !== null) {
    if (started !== owner.started) return undefined
  } else if (isSilent) return undefined
  if (owner.pid === me.pid && owner.thread === me.thread && !held.has(name)) return undefined
  return owner
}

function readOwner(text: string): Owner | undefined {
  try {
    const owner: Partial<Owner> | null = JSON.parse(text)
    return typeof owner?.machine === 'string' && Number.isInteger(owner.pid) ? (owner as Owner) : undefined
  } catch {
    return undefined
  }
}

function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

async function describeSelf(): Promise<Owner> {
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')
  const namespace = await readlink('/proc/self/ns/pid').catch(() => '')
  return {
    machine: `${hostname()} ${boot.trim()} ${namespace}`.trim(),
    pid: process.pid,
    started: await startOf(process.pid),
    thread: threadId,
  }
}

async function startOf(pid: number): Promise<string | null> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // The name, in brackets, may hold anything; the 20th field after it is the start.
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? null
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
