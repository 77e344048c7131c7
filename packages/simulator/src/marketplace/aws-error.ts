/**
 * An error as an AWS service answers it. In the metering and entitlement services every client error, throttling
 * included, has HTTP status 400, and internal errors 500.
 */
export class AwsError extends Error {
  /** The modelled or framework-level code, such as `TimestampOutOfBoundsException`: what clients match on. */
  readonly code: string
  readonly status: number
  /** Members of the answer besides the message, such as `reason`. */
  readonly details: Readonly<Record<string, unknown>>

  constructor(
    code: string,
    message: string,
    status = code === 'InternalServiceErrorException' ? 500 : 400,
    details: Readonly<Record<string, unknown>> = {},
  ) {
    super(message)
    this.name = 'AwsError'
    this.code = code
    this.status = status
    this.details = details
  }
}
