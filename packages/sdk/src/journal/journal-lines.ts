import { TextDecoder } from 'node:util'
import type { JournaledEvent } from '../buffer/usage-journal.ts'
import type { UsageEvent } from '../generated/api.gen.ts'

/** A line of the file: an event that was added, or keys of events that are answered for good. */
type Line = { readonly add: number; readonly event: object } | { readonly done: readonly number[] }

export function addedLine({ key, event }: JournaledEvent<object>): string {
  return `${JSON.stringify({ add: key, event } satisfies Line)}\n`
}

export function settledLine(keys: readonly number[]): string {
  return `${JSON.stringify({ done: keys } satisfies Line)}\n`
}

export interface JournalContent<T> {
  /** What was added and is not settled, in order. */
  readonly entries: ReadonlyMap<number, JournaledEvent<T>>
  /** Up to here all is readable; behind it is the end of a write that a crash cut off. */
  readonly goodBytes: number
}

/**
 * Replays a journal's file. What is unreadable at its end was being written when the process or the machine went down, and its
 * `append` was never answered.
 *
 * @throws where a line is unreadable and one after it is not: that was no crash
 */
export function readJournal<T extends object = UsageEvent>(
  file: Uint8Array,
  path: string,
): JournalContent<T> {
  const entries = new Map<number, JournaledEvent<T>>()
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let goodBytes = 0
  let broken: number | undefined
  let number = 0
  for (let start = 0; start < file.length; ) {
    const end = file.indexOf(10, start)
    if (end === -1) break
    number += 1
    const line = parseLine(file.subarray(start, end), decoder)
    start = end + 1
    if (line === undefined) {
      broken ??= number
      continue
    }
    if (broken !== undefined) {
      throw new Error(
        `${path}: line ${broken} is damaged, and what follows is not: repair or move the file; it holds usage that may not have been reported`,
      )
    }
    goodBytes = start
    if ('add' in line) entries.set(line.add, { key: line.add, event: line.event as T })
    else for (const key of line.done) entries.delete(key)
  }
  return { entries, goodBytes }
}

function parseLine(bytes: Uint8Array, decoder: TextDecoder): Line | undefined {
  let json: unknown
  try {
    json = JSON.parse(decoder.decode(bytes))
  } catch {
    return undefined
  }
  return isLine(json) ? json : undefined
}

function isLine(json: unknown): json is Line {
  if (typeof json !== 'object' || json === null) return false
  if ('done' in json) return Array.isArray(json.done) && json.done.every(Number.isSafeInteger)
  return (
    'add' in json &&
    Number.isSafeInteger(json.add) &&
    'event' in json &&
    typeof json.event === 'object' &&
    json.event !== null
  )
}
