import { DomainError } from '../error.ts'
import type { SnsMessage } from './sns-message.ts'

/** What the domain asks of the outside about SNS's messages. */
export interface SnsGate {
  /**
   * Resolves where SNS itself signed the message. Whether its topic is ours is not asked here: anybody can have a topic.
   *
   * @throws {DomainError} `notification.refused`; `marketplace.unavailable` where it cannot be told now
   */
  verify(message: SnsMessage): Promise<void>
  /**
   * Follows the link of a confirmation, which must be SNS's own. Repeating it is harmless.
   *
   * @throws {DomainError} `notification.refused` for a link elsewhere; `marketplace.unavailable`
   */
  confirm(message: SnsMessage): Promise<void>
}

/**
 * - `unsigned`: nobody vouches for it
 * - `certificate`: its certificate is not where SNS keeps them, does not exist, has expired, or is another's
 * - `forged`: it is not what was signed
 * - `wrong_topic`: signed well, of a topic that is not ours
 * - `wrong_link`: a confirmation that leads elsewhere
 * - `expired`: too old
 * - `replayed`: kept long ago, and no retry of AWS's
 */
export type RefusalWhy =
  | 'unsigned'
  | 'certificate'
  | 'forged'
  | 'wrong_topic'
  | 'wrong_link'
  | 'expired'
  | 'replayed'

/** @param topicArn - shown to the caller and in the audit trail */
export function refused(why: RefusalWhy, message: string, topicArn?: string): DomainError {
  return new DomainError('notification.refused', message, {
    details: { why, ...(topicArn !== undefined && { topic: topicArn }) },
  })
}
