import type { PhysicalLine } from './physical-lines.ts'

/** Values by name, all as text: a number keeps every digit it was written with. No prototype. */
export type Fields = Readonly<Record<string, string>>

/** A line that can be used. */
export interface ReadableLine {
  /** Where it begins, from 1. */
  readonly line: number
  readonly fields: Fields
  /** Damaged, but what is needed could be read: it counts. */
  readonly truncated: boolean
  /** What is damaged. */
  readonly reason?: string
  /** Its beginning, where it is damaged. */
  readonly excerpt?: string
}

export interface MalformedLine {
  readonly line: number
  /** Why it could not be read. */
  readonly malformed: string
  /** Its beginning. */
  readonly excerpt: string
}

export type LogLine = ReadableLine | MalformedLine

/** Turns physical lines into log lines: one for one, but for blank lines (none) and quoted newlines in CSV. */
export interface LineParser {
  push(line: PhysicalLine): readonly LogLine[]
  /** After the last line. */
  end(): readonly LogLine[]
}

const EXCERPT_LENGTH_MAX = 120

export function excerptOf(text: string): string {
  return text.length <= EXCERPT_LENGTH_MAX ? text : `${text.slice(0, EXCERPT_LENGTH_MAX)}…`
}

export function malformedLine(line: PhysicalLine, reason: string): MalformedLine {
  return { line: line.number, malformed: reason, excerpt: excerptOf(line.text) }
}

export function emptyFields(): Record<string, string> {
  return Object.create(null) as Record<string, string>
}

export function isBlank(text: string): boolean {
  return text.trim() === ''
}
