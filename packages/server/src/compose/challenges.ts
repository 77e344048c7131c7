import type { Challenges } from '../domain/visitors/challenge.ts'
import type { Ledger } from './ledger.ts'

const CHALLENGE_KEY_BYTES = 32

/** Loaded, and its key made, when somebody is first asked to solve one. */
export function composeChallenges(ledger: Ledger): Challenges {
  let made: Promise<Challenges> | undefined
  const load = async () => {
    const { createAltchaChallenges } = await import('../challenges/altcha-challenges.ts')
    const key = await ledger.secret('challenge', CHALLENGE_KEY_BYTES)
    return createAltchaChallenges(key, ledger.config.visitors.difficulty)
  }
  const get = () => {
    made ??= load().catch((error: unknown) => {
      made = undefined
      throw error
    })
    return made
  }
  return {
    create: async (...args) => (await get()).create(...args),
    verify: async (...args) => (await get()).verify(...args),
  }
}
