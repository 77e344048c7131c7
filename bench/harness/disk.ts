import { mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Linux's number for a file system in memory: a flush costs nothing there, and the figures would be made up. */
const TMPFS = 0x01021994

/** A new directory on a disk. @throws {Error} where `TMPDIR` is in memory */
export function makeDirectory(): string {
  if (statfsSync(tmpdir()).type === TMPFS) {
    throw new Error(`${tmpdir()} is in memory: set TMPDIR to a directory on a disk`)
  }
  return mkdtempSync(join(tmpdir(), 'tollkeeper-bench-'))
}

export function removeDirectory(directory: string): void {
  rmSync(directory, { recursive: true, force: true })
}
