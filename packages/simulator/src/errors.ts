/** Machine-readable reasons of {@link SimulatorError}; the HTTP doors map each to a status. */
export type SimulatorErrorCode = 'invalid' | 'not_found' | 'conflict' | 'state_file'

/**
 * A request to the simulator itself (not to the AWS APIs it imitates) that cannot be done: a bad setting, an
 * unknown subscription, an unusable state file. The message is one line and says what to do.
 */
export class SimulatorError extends Error {
  readonly code: SimulatorErrorCode

  constructor(code: SimulatorErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'SimulatorError'
    this.code = code
  }
}
