import { enableCompileCache } from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'

// Reading and compiling all modules takes longer than the rest of a start, so what they compile to is kept. In the
// user's own cache: in the shared temporary directory, which is Node's default, others could lay code under our names.
// Where it cannot be written, it is not kept.
enableCompileCache(cacheDirectory())
await import('./program.ts')

function cacheDirectory(): string {
  const { XDG_CACHE_HOME } = process.env
  return join(XDG_CACHE_HOME ? XDG_CACHE_HOME : join(homedir(), '.cache'), 'tollkeeper')
}
