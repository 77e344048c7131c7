import { DomainError } from '../domain/error.ts'

/** What a person did wrong, or can mend: one line, no stack. */
export class CliError extends Error {
  readonly exitCode: number
  constructor(message: string, exitCode = 1) {
    super(message)
    this.name = 'CliError'
    this.exitCode = exitCode
  }
}

/** Prints a value as JSON with `--json`, and else as text for people. */
export function print(json: boolean | undefined, value: unknown, toText: () => string): void {
  process.stdout.write(`${json ? toJson(value) : toText()}\n`)
}

/** Amounts of any size keep all their digits: integers past 2^53 become strings. */
export function toJson(value: unknown): string {
  return JSON.stringify(
    value,
    (_, part) =>
      typeof part === 'bigint' ? bigToJson(part) : part instanceof Map ? Object.fromEntries(part) : part,
    2,
  )
}

function bigToJson(value: bigint): number | string {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= BigInt(Number.MIN_SAFE_INTEGER)
    ? Number(value)
    : value.toString()
}

/** Columns aligned; numbers to the right. */
export function table(
  head: readonly string[],
  rows: readonly (readonly (string | number | bigint)[])[],
): string {
  const cells = rows.map((row) => row.map(String))
  const widths = head.map((title, column) =>
    Math.max(title.length, ...cells.map((row) => row[column]!.length)),
  )
  const right = head.map(
    (_, column) => rows.length > 0 && rows.every((row) => typeof row[column] !== 'string'),
  )
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => (right[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join('  ')
      .trimEnd()
  return [line(head), ...cells.map(line)].join('\n')
}

/** An action of a command: what goes wrong ends in one line on standard error and an exit code. */
export function guarded<Given extends unknown[]>(action: (...given: Given) => Promise<void>) {
  return async (...given: Given): Promise<void> => {
    try {
      await action(...given)
    } catch (error) {
      fail(error)
    }
  }
}

export function fail(error: unknown): void {
  process.stderr.write(`tollkeeper: ${explain(error)}\n`)
  process.exitCode = error instanceof CliError ? error.exitCode : 1
}

function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error ? String(error.code) : ''
  const address = 'address' in error && 'port' in error ? `${error.address}:${error.port}` : ''
  if (code === 'EADDRINUSE')
    return `${address} is in use: stop what listens there, or choose another with --port`
  if (code === 'EACCES' && 'syscall' in error && error.syscall === 'listen')
    return `${address} may not be used by this user: choose a port above 1023 with --port`
  if (code === 'EADDRNOTAVAIL') {
    const host = 'address' in error ? String(error.address) : 'the host'
    return `${host} is not an address of this machine: check --host or server.host`
  }
  if (code.startsWith('SQLITE_NOTADB'))
    return 'the file that store.url names is not a ledger: give it another path'
  if (code === 'SQLITE_CANTOPEN' || code === 'SQLITE_READONLY')
    return `the ledger that store.url names cannot be ${code === 'SQLITE_READONLY' ? 'written' : 'opened'}: it must be a file, in a folder, that this user may write`
  if (code.startsWith('SQLITE_')) return `the ledger cannot be used (${code}): ${error.message}`
  if (error instanceof CliError || error instanceof DomainError || error.name === 'ConfigError')
    return firstLine(error.message)
  if (code !== '') return firstLine(error.message)
  // Not foreseen: the stack is what a bug report needs.
  return process.env.TOLLKEEPER_DEBUG
    ? (error.stack ?? error.message)
    : `${firstLine(error.message)} (set TOLLKEEPER_DEBUG=1 for where)`
}

function firstLine(message: string): string {
  return message.split('\n', 1)[0]!
}

/** A whole number from an option's text. */
export function integerOption(name: string, text: string, min: number, max: number): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < min || value > max)
    throw new CliError(`${name} must be a whole number from ${min} to ${max}, not ${JSON.stringify(text)}`)
  return value
}
