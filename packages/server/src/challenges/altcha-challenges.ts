import { createHmac } from 'node:crypto'
import { createChallenge, randomInt, verifySolution } from 'altcha-lib'
import { deriveKey } from 'altcha-lib/algorithms/pbkdf2'
import type { Challenge as AltchaChallenge, Payload } from 'altcha-lib/types'
import { CHALLENGE_MS, type Challenges, type SolutionVerdict } from '../domain/visitors/challenge.ts'

const ALGORITHM = 'PBKDF2/SHA-256'
/** Rounds of one try: about a quarter of a millisecond, which is what a challenge costs this server. */
const COST = 1_000
const WRONG: SolutionVerdict = { problem: 'wrong' }

/**
 * ALTCHA's proof of work, version 2: the browser tries one number after the other. Ours to make is one try, ours to check a
 * signature.
 *
 * @param difficulty - tries that it takes at most; at least half as many
 */
export function createAltchaChallenges(secret: Uint8Array, difficulty: number): Challenges {
  const keyFor = (purpose: string) => createHmac('sha256', secret).update(purpose).digest('hex')
  const secrets = { hmacSignatureSecret: keyFor('challenge'), hmacKeySignatureSecret: keyFor('solution') }
  return {
    async create(subject, now) {
      const { parameters, signature } = await createChallenge({
        ...secrets,
        algorithm: ALGORITHM,
        cost: COST,
        counter: randomInt(difficulty, Math.ceil(difficulty / 2)),
        deriveKey,
        // Not as its own `expiresAt`, which the library compares with the machine's clock: ours may be a rehearsal's.
        data: { subject, until: now + CHALLENGE_MS },
      })
      return { parameters, signature }
    },
    async verify(solution, subjects, now) {
      const payload = readPayload(solution)
      if (payload === undefined) return WRONG
      const { verified } = await verifySolution({ ...secrets, ...payload, deriveKey }).catch(() => ({
        verified: false,
      }))
      if (!verified) return WRONG
      // From here on it is as we wrote it.
      const { nonce, data } = payload.challenge.parameters
      const { subject, until } = data as { subject: string; until: number }
      if (!subjects.includes(subject)) return WRONG
      return now < until ? { problem: undefined, id: nonce, expiresAt: until } : { problem: 'expired' }
    },
  }
}

/** What the widget hands in: JSON in base64. */
function readPayload(
  solution: string,
): { challenge: AltchaChallenge; solution: Payload['solution'] } | undefined {
  try {
    const payload: unknown = JSON.parse(Buffer.from(solution, 'base64').toString())
    if (!isRecord(payload) || !isRecord(payload.solution)) return undefined
    const { challenge } = payload
    // Without the signature of the key it would be worked out anew.
    if (!isRecord(challenge) || !isRecord(challenge.parameters)) return undefined
    if (typeof challenge.signature !== 'string' || typeof challenge.parameters.keySignature !== 'string')
      return undefined
    const { parameters, signature } = challenge
    return {
      challenge: { parameters, signature } as unknown as AltchaChallenge,
      solution: payload.solution as unknown as Payload['solution'],
    }
  } catch {
    return undefined
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
