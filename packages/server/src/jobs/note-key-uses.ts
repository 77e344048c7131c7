import type { ApiKeyStore } from '../domain/keys/api-key.ts'
import type { ApiKeyVerifier } from '../domain/keys/verify-api-key.ts'
import { createRounds } from './rounds.ts'

/** A use is written down within this time, and of one key once in it at most. */
const NOTE_EVERY_MS = 60_000

/** Writes down when API keys were used last: in each process that checks them, whether or not it runs the jobs. */
export interface KeyUseNotes {
  start(): void
  /** Writes all that is noted now. What fails is kept for the next time. */
  flush(): Promise<void>
  /** Flushes a last time. */
  stop(): Promise<void>
}

export function createKeyUseNotes(deps: {
  readonly verifier: Pick<ApiKeyVerifier, 'takeUses' | 'returnUses'>
  readonly apiKeys: Pick<ApiKeyStore, 'noteUses'>
  /** `false` while the ledger waits for a person: it may be being copied. */
  readonly mayRun: () => Promise<boolean>
  readonly onError: (error: unknown) => void
  readonly everyMs?: number
}): KeyUseNotes {
  const { verifier, apiKeys } = deps
  let flushing: Promise<void> | undefined

  async function write(): Promise<void> {
    const uses = verifier.takeUses()
    if (uses.length === 0) return
    try {
      if (await deps.mayRun()) await apiKeys.noteUses(uses)
      else verifier.returnUses(uses)
    } catch (error) {
      verifier.returnUses(uses)
      deps.onError(error)
    }
  }

  function flush(): Promise<void> {
    flushing ??= write().finally(() => {
      flushing = undefined
    })
    return flushing
  }

  const rounds = createRounds({
    everyMs: deps.everyMs ?? NOTE_EVERY_MS,
    round: flush,
    last: async () => {
      // What is under way may have begun before the last use.
      await flushing
      await flush()
    },
    onError: deps.onError,
  })
  return { start: rounds.start, flush, stop: rounds.stop }
}
