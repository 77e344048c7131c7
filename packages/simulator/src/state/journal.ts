import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { DELIVERY_FACT_KINDS, type DeliveryFact } from '../delivery/delivery-state.ts'
import { SimulatorError } from '../errors.ts'
import type { Fact } from '../marketplace/state.ts'

/**
 * The state file: JSON lines, one fact each, only ever appended to. A line is written in one piece before the
 * answer that depends on it leaves, so a process killed at any moment loses nothing that was answered. A last
 * line that was cut off (its call was never answered) is dropped at the next start.
 *
 * It outlives the process, not a power failure: nothing is forced to the disk.
 */
export interface Journal {
  readonly seed: number
  append(entry: JournalEntry): void
  close(): void
}

export type JournalEntry = Fact | DeliveryFact | ClockEntry

/** Where the clock was put. A running clock is kept as its distance from real time, and so runs on while we don't. */
export interface ClockEntry {
  readonly kind: 'clock'
  readonly running: boolean
  readonly now: number
  /** `now` less real time, in ms. */
  readonly offsetMs: number
}

/** For its owner only: it holds registration tokens, and the key that messages are signed with. */
const FILE_MODE = 0o600
const FORMAT = 'tollkeeper-simulator'
const VERSION = 1
const ENTRY_KINDS: readonly string[] = [
  'settings',
  'product',
  'subscription',
  'subscriptions',
  'cancellationRequest',
  'announcement',
  'token',
  'usage',
  'clock',
  ...DELIVERY_FACT_KINDS,
] satisfies JournalEntry['kind'][]
/** Files that this process holds open: its own lock must not look like a dead process's. */
const openHere = new Set<string>()

/**
 * Opens a state file, or begins one with `seed`.
 *
 * @returns the journal, and what it held, oldest first: apart, since there may be millions, to be read once
 * @throws {SimulatorError} `state_file` if it cannot be read or written, is damaged, or is in use
 */
export function openJournal(
  path: string,
  seed: number,
): { journal: Journal; entries: readonly JournalEntry[] } {
  const lockPath = lock(path)
  let file: number | undefined
  try {
    file = openSync(path, 'a+', FILE_MODE)
    const { header, entries, length } = readEntries(path, readFileSync(file))
    if (length < fstatSync(file).size) ftruncateSync(file, length)
    return { journal: startJournal({ path, lockPath, file, length, header, seed }), entries }
  } catch (error) {
    if (file !== undefined) closeSync(file)
    unlock(lockPath)
    throw error instanceof SimulatorError ? error : unusable(path, error)
  }
}

interface OpenFile {
  readonly path: string
  readonly lockPath: string
  readonly file: number
  readonly length: number
  readonly header: { readonly seed: number } | undefined
  readonly seed: number
}

function startJournal({ path, lockPath, file, length: lengthAtStart, header, seed }: OpenFile): Journal {
  let length = lengthAtStart
  let isOpen = true

  function writeLine(value: object): void {
    if (!isOpen) throw new SimulatorError('state_file', `${path} is closed`)
    const line = Buffer.from(`${JSON.stringify(value)}\n`)
    try {
      for (let written = 0; written < line.length; ) written += writeSync(file, line, written)
      length += line.length
    } catch (error) {
      ftruncateSync(file, length) // half a line must not stay in front of the next
      throw unusable(path, error)
    }
  }

  if (header === undefined) writeLine({ format: FORMAT, version: VERSION, seed })
  return {
    seed: header?.seed ?? seed,
    append: writeLine,
    close() {
      if (!isOpen) return
      isOpen = false
      closeSync(file)
      unlock(lockPath)
    },
  }
}

function readEntries(path: string, content: Buffer) {
  const length = content.lastIndexOf(0x0a) + 1
  const lines = content.subarray(0, length).toString().split('\n').slice(0, -1)
  const [first, ...rest] = lines
  if (first === undefined) {
    if (content.length > 0 && !`{"format":"${FORMAT}"`.startsWith(content.toString('utf8', 0, 10))) {
      throw damaged(path, 1, 'it is not a state file of the simulator')
    }
    return { header: undefined, entries: [], length }
  }
  const header = parseLine(path, first, 1)
  if (header.format !== FORMAT) throw damaged(path, 1, 'it is not a state file of the simulator')
  if (header.version !== VERSION) throw damaged(path, 1, `it has version ${header.version}, not ${VERSION}`)
  if (!Number.isInteger(header.seed)) throw damaged(path, 1, 'its seed is missing')
  const entries = rest.map((line, index) => {
    const entry = parseLine(path, line, index + 2)
    if (!ENTRY_KINDS.includes(entry.kind as string)) throw damaged(path, index + 2, 'its kind is unknown')
    return entry as unknown as JournalEntry
  })
  return { header: { seed: header.seed as number }, entries, length }
}

function parseLine(path: string, line: string, number: number): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (error) {
    throw damaged(path, number, 'it is no JSON', error)
  }
  if (typeof value !== 'object' || value === null) throw damaged(path, number, 'it is no object')
  return value as Record<string, unknown>
}

/** Two processes on one file would each miss what the other accepts. A lock of a process that died is taken over. */
function lock(path: string): string {
  const lockPath = `${path}.lock`
  if (openHere.has(lockPath)) throw inUse(path, process.pid)
  try {
    writeFileSync(lockPath, String(process.pid), { flag: 'wx' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw unusable(path, error)
    const holder = Number.parseInt(readFileSync(lockPath, 'utf8'), 10)
    if (holder !== process.pid && isAlive(holder)) throw inUse(path, holder)
    writeFileSync(lockPath, String(process.pid))
  }
  openHere.add(lockPath)
  return lockPath
}

function unlock(lockPath: string): void {
  openHere.delete(lockPath)
  unlinkSync(lockPath)
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function inUse(path: string, pid: number): SimulatorError {
  return new SimulatorError(
    'state_file',
    `state file ${path} is in use by process ${pid} (else delete ${path}.lock)`,
  )
}

/** @returns the error for a line that is whole but wrong; also for one that does not fit those before it */
export function damaged(path: string, line: number, reason: string, cause?: unknown): SimulatorError {
  const message = `state file ${path} is damaged: line ${line}: ${reason}; restore it, or start with another file`
  return new SimulatorError('state_file', message, { cause })
}

function unusable(path: string, cause: unknown): SimulatorError {
  return new SimulatorError('state_file', `state file ${path} cannot be used: ${(cause as Error).message}`, {
    cause,
  })
}
