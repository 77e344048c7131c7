import { accessSync, constants, mkdirSync, realpathSync, symlinkSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** What a machine has that can run npm, and no more: no Python, make or compiler. */
const PROGRAMS = [
  ...[
    'node',
    'npm',
    'npx',
    'git',
    'sh',
    'bash',
    'env',
    'cat',
    'ls',
    'rm',
    'mkdir',
    'cp',
    'mv',
    'ln',
    'chmod',
  ],
  ...[
    'uname',
    'dirname',
    'basename',
    'readlink',
    'sed',
    'grep',
    'tar',
    'gzip',
    'sleep',
    'head',
    'tail',
    'tr',
    'id',
  ],
]

/**
 * Makes a folder of links to those programs.
 *
 * @returns what to set as `PATH`
 */
export function barePath(folder: string): string {
  const bare = join(folder, 'bare-path')
  mkdirSync(bare)
  for (const program of PROGRAMS) {
    const found = findProgram(program)
    if (found !== undefined) symlinkSync(found, join(bare, program))
  }
  return bare
}

/** The system's program, not the one that npm put into this repository. */
function findProgram(name: string): string | undefined {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    if (folder.includes('node_modules') || folder.includes('node-gyp-bin')) continue
    try {
      const path = join(folder, name)
      accessSync(path, constants.X_OK)
      return realpathSync(path)
    } catch {
      // Not in this one.
    }
  }
  return undefined
}
