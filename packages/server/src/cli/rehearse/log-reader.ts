import type { Readable } from 'node:stream'
import { createCombinedParser } from './combined-parser.ts'
import { createCsvParser } from './csv-parser.ts'
import type { LineParser, LogLine } from './log-line.ts'
import { openLogSource } from './log-source.ts'
import { createNdjsonParser } from './ndjson-parser.ts'
import { splitLines } from './physical-lines.ts'

export const LOG_FORMATS = ['combined', 'ndjson', 'csv'] as const
export type LogFormat = (typeof LOG_FORMATS)[number]

const PARSERS: Readonly<Record<LogFormat, () => LineParser>> = {
  combined: createCombinedParser,
  ndjson: createNdjsonParser,
  csv: createCsvParser,
}

export interface LogOptions {
  /** A path, or `-` for standard input. Gzip is recognised by content. */
  readonly file: string
  readonly format: LogFormat
  /** For tests: what `-` reads. */
  readonly stdin?: Readable & { readonly isTTY?: boolean }
}

/** A log that was read through once: its digest is known and it can be read again. */
export interface Log {
  /** For messages: the path, or `standard input`. */
  readonly name: string
  readonly format: LogFormat
  /** SHA-256 of the decompressed content, hexadecimal. */
  readonly digest: string
  /** After decompression. */
  readonly bytes: number
  /** Every line but blank ones, in the file's order; may be called again. */
  lines(): AsyncIterable<LogLine>
  close(): Promise<void>
}

/**
 * Opens a log: hashes a file in a first pass, and keeps what comes through a pipe in a temporary file.
 * Close it: that removes the temporary file.
 *
 * @throws {DomainError} `request.invalid`, one line that says what is wrong with the file
 */
export async function openLog(options: LogOptions): Promise<Log> {
  const { format } = options
  const source = await openLogSource(options.file, options.stdin)
  return {
    name: source.name,
    format,
    digest: source.digest,
    bytes: source.bytes,
    lines: () => parseLines(source.chunks(), format),
    close: source.close,
  }
}

/** Reads a log once, from beginning to end. Lines that cannot be read are told, never thrown. */
export async function* readLog(options: LogOptions): AsyncIterable<LogLine> {
  const log = await openLog(options)
  try {
    yield* log.lines()
  } finally {
    await log.close()
  }
}

/** The lines of a log's bytes. */
export async function* parseLines(
  chunks: AsyncIterable<Uint8Array>,
  format: LogFormat,
): AsyncIterable<LogLine> {
  const parser = PARSERS[format]()
  for await (const lines of splitLines(chunks)) {
    for (const line of lines) yield* parser.push(line)
  }
  yield* parser.end()
}
