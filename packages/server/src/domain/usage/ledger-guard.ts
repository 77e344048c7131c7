import { DomainError } from '../error.ts'
import { AWS_RULES } from './aws-rules.ts'
import { type Hour, hourOf } from './hour.ts'

/** Why a ledger waits for a person, and which hours nobody can be sure of. */
export interface LedgerWait {
  readonly reason: string
  /** Hours in which another copy of this ledger may have sent records. */
  readonly from: Hour
  readonly to: Hour
  /** It is being moved to another store, or was. */
  readonly copy?: { readonly id: string; readonly to: string; readonly isFinished: boolean } | undefined
}

/**
 * Knows a ledger that was restored from a backup or copied from elsewhere. The copy it came from may have sent
 * what this one believes unsent: until a person lets it go on, it takes no usage and sends nothing; then every hour
 * between the backup and now starts in doubt, so that AWS's `DuplicateRecord` is taken for our own.
 */
export interface LedgerGuard {
  /** Undefined while all is well. */
  waiting(): LedgerWait | undefined
  /** Sees whether a person has let it go on, in whatever process. */
  refresh(): Promise<void>
  /** Says that this copy is alive, and sees whether a person has let it go on. */
  beat(now: number): Promise<void>
  /**
   * Makes it wait: a person says that it was restored, or it is moved elsewhere. Every process sees it with its next beat, and
   * none takes usage or sends from here on. What waits already stays as it is, but for
   * copyings: one may begin anew until it has ended.
   *
   * @returns what it waits for now
   * @throws {DomainError} `ledger.copy_refused` where a copying is to end that a person gave up meanwhile
   */
  hold(wait: Pick<LedgerWait, 'reason' | 'copy'>, actor: string, now: number): Promise<LedgerWait>
  /** @returns what it waited for; undefined where it did not wait */
  release(actor: string, now: number): Promise<LedgerWait | undefined>
}

/** Why nothing is taken in now: to be tried again later. */
export function waitsForRelease({ reason }: LedgerWait): DomainError {
  return new DomainError(
    'ledger.waiting_for_release',
    `${reason}; a person must let it go on with \`tollkeeper usage resolve ledger\``,
  )
}

/**
 * What changes subscriptions, keys or people would be lost in a ledger that is being moved: it is not in the copy. Asked
 * before each such change, of the ledger itself: another process may have begun to move it.
 *
 * @throws {DomainError} `ledger.waiting_for_release`, in words that strangers may read
 */
export async function refuseWhileMoved(guard: Pick<LedgerGuard, 'refresh' | 'waiting'>): Promise<void> {
  await guard.refresh()
  if (guard.waiting()?.copy === undefined) return
  throw new DomainError(
    'ledger.waiting_for_release',
    'this ledger is being moved to another store, or was: nothing is changed here; try again later',
  )
}

/**
 * A copying ends only while the ledger still waits for it: one that was let go on has taken usage since, which the copy
 * does not have.
 *
 * @throws {DomainError} `ledger.copy_refused`
 */
export function requireHeld(known: LedgerWait | undefined, copy: LedgerWait['copy']): void {
  if (known !== undefined || copy?.isFinished !== true) return
  throw new DomainError(
    'ledger.copy_refused',
    `the source was let go on while it was copied to ${copy.to}, and may have changed since: stop whatever uses it, and copy to an empty store`,
  )
}

/** A copying may begin anew until it has ended; only the last one that began may end. */
export function mayReplace(known: LedgerWait, copy: LedgerWait['copy']): boolean {
  if (known.copy === undefined || copy === undefined) return false
  return known.copy.id === copy.id || !(known.copy.isFinished || copy.isFinished)
}

/** Hours, the last included, whose records another copy of the ledger may have sent. */
export interface DoubtfulHours {
  readonly from: Hour
  readonly to: Hour
}

/**
 * A later doubt adds to an earlier one for as long as AWS may take a record of its hours. It is one range: what lies between
 * them is doubted, too.
 *
 * @param known - what was in doubt before; undefined: nothing
 * @param now - ms
 */
export function mergeDoubt(
  known: DoubtfulHours | undefined,
  fresh: DoubtfulHours,
  now: number,
): DoubtfulHours {
  if (known === undefined || known.to < hourOf(now - AWS_RULES.lateWindowMs)) return fresh
  return { from: Math.min(known.from, fresh.from), to: Math.max(known.to, fresh.to) }
}
