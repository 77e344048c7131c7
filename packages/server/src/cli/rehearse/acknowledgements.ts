import type { EventOutcome } from '../../domain/usage/usage-event.ts'

/**
 * What the sender of events knows to be in. Of a batch that was refused for overload a part may be in: sent again, an
 * event of it is a duplicate of itself, and counts as accepted the first time that it is told so.
 */
export class Acknowledgements {
  readonly #ids = new Set<string>()

  /**
   * @param outcomes - as the server answered
   * @param wasRepeated - whether the same batch was sent before without an answer for each event
   * @returns the same outcomes, in order, from the sender's point of view
   */
  read(outcomes: readonly EventOutcome[], wasRepeated: boolean): readonly EventOutcome[] {
    return outcomes.map((outcome) => {
      const isOwn = wasRepeated && outcome.status === 'duplicate' && !this.#ids.has(outcome.id)
      if (isOwn || outcome.status === 'accepted') this.#ids.add(outcome.id)
      return isOwn ? { ...outcome, status: 'accepted' } : outcome
    })
  }
}
