/** A puzzle that costs a machine some work, in the words of whatever solves it. */
export type Challenge = Readonly<Record<string, unknown>>

/**
 * - `wrong`: it solves no challenge of ours, or another visitor's
 * - `expired`: it came too late
 */
export type SolutionVerdict =
  | { readonly problem: undefined; readonly id: string; readonly expiresAt: number }
  | { readonly problem: 'wrong' | 'expired' }

/** Makes puzzles against bots, and tells whether they are solved. Keeps nothing: a puzzle says by a signature that it is ours. */
export interface Challenges {
  /** @param subject - whom it is for: nobody else may hand it in */
  create(subject: string, now: number): Promise<Challenge>
  /** @param subjects - whoever hands it in is one of them */
  verify(solution: string, subjects: readonly string[], now: number): Promise<SolutionVerdict>
}

/** How long a challenge may be solved, ms. */
export const CHALLENGE_MS = 10 * 60_000
