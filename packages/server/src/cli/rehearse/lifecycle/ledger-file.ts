import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Is a text anywhere in the files of a folder? @returns the names of those that have it */
export async function findInFiles(directory: string, text: string): Promise<readonly string[]> {
  const needle = Buffer.from(text)
  const found: string[] = []
  for (const name of await readdir(directory)) {
    if ((await readFile(join(directory, name))).includes(needle)) found.push(name)
  }
  return found
}
