import { solveChallenge } from 'altcha-lib'
import { deriveKey } from 'altcha-lib/algorithms/pbkdf2'
import type { Challenge as AltchaChallenge } from 'altcha-lib/types'
import { expect, it } from 'vitest'
import { CHALLENGE_MS, type Challenge } from '../domain/visitors/challenge.ts'
import { createAltchaChallenges } from './altcha-challenges.ts'

/** Long ago: the machine's clock has no say. */
const NOW = Date.parse('2020-02-29T12:00:00Z')
const challenges = createAltchaChallenges(new Uint8Array(32).fill(1), 20)

const pack = (payload: unknown) => Buffer.from(JSON.stringify(payload)).toString('base64')

/** As the widget does it. */
async function solve(challenge: Challenge) {
  const puzzle = challenge as unknown as AltchaChallenge
  const solution = await solveChallenge({ challenge: puzzle, deriveKey })
  return { challenge, solution: solution! }
}

it('lets in whoever solved it, for ten minutes', async () => {
  const solved = await solve(await challenges.create('ada', NOW))
  const verify = (now: number) => challenges.verify(pack(solved), ['ada-now', 'ada'], now)
  expect(await verify(NOW + CHALLENGE_MS - 1)).toEqual({
    problem: undefined,
    id: expect.stringMatching(/^[0-9a-f]{32}$/),
    expiresAt: NOW + CHALLENGE_MS,
  })
  expect(await verify(NOW + CHALLENGE_MS)).toEqual({ problem: 'expired' })
})

it('takes the tries that it is meant to', async () => {
  const counts = []
  for (let n = 0; n < 8; n++) counts.push((await solve(await challenges.create('ada', NOW))).solution.counter)
  for (const count of counts) {
    expect(count).toBeGreaterThanOrEqual(10)
    expect(count).toBeLessThanOrEqual(20)
  }
})

it('is no good for another, with another key, or changed in any part', async () => {
  const solved = await solve(await challenges.create('ada', NOW))
  const wrong = { problem: 'wrong' }
  expect(await challenges.verify(pack(solved), ['bob'], NOW)).toEqual(wrong)
  const others = createAltchaChallenges(new Uint8Array(32).fill(2), 20)
  expect(await others.verify(pack(solved), ['ada'], NOW)).toEqual(wrong)
  const { challenge, solution } = solved
  const parameters = challenge.parameters as AltchaChallenge['parameters']
  const forged: readonly unknown[] = [
    {
      challenge: { ...challenge, parameters: { ...parameters, data: { subject: 'ada', until: NOW * 2 } } },
      solution,
    },
    { challenge: { ...challenge, parameters: { ...parameters, cost: 1 } }, solution },
    { challenge: { ...challenge, parameters: { ...parameters, keySignature: undefined } }, solution },
    { challenge: { parameters }, solution },
    { challenge, solution: { ...solution, derivedKey: '00'.repeat(32) } },
    { challenge, solution: { ...solution, derivedKey: parameters.keyPrefix } },
    { challenge, solution: { counter: 'x', derivedKey: 1 } },
    { challenge, solution: null },
    { challenge: null, solution },
    null,
    [],
    'solved',
  ]
  for (const payload of forged) expect(await challenges.verify(pack(payload), ['ada'], NOW)).toEqual(wrong)
  for (const text of ['', '{}', '%%%', pack('x'.repeat(5000))])
    expect(await challenges.verify(text, ['ada'], NOW)).toEqual(wrong)
})
