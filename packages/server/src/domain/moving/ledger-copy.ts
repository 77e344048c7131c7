import { DomainError } from '../error.ts'
import type { CopyRow, LedgerKind, LedgerKindName } from './ledger-kinds.ts'

/** How far a ledger has been filled from another one. */
export interface Filling {
  /** Names this copying from its beginning to its end, on both sides. */
  readonly copy: string
  /** Names the run of it that fills it now. A later one takes over from an earlier one, which writes nothing from then on. */
  readonly run: string
  /** Where it comes from, for people. */
  readonly from: string
  readonly since: number
  /** What is written next; undefined: all is. */
  readonly next: { readonly kind: LedgerKindName; readonly cursor: string | undefined } | undefined
}

export interface CopyPage {
  readonly rows: readonly CopyRow[]
  /** Opaque; undefined at the end of the kind. */
  readonly next: string | undefined
}

/** What moving a ledger asks of a store, on either side. */
export interface LedgerCopy {
  /** Changes whenever a process says that it is alive: it stands still where none has this ledger open. */
  signOfLife(): Promise<string>
  /** Rows of a kind, each once, in an order that stays as it is while nobody writes. */
  read(kind: LedgerKind, cursor: string | undefined, limit: number): Promise<CopyPage>

  /** Nobody has made a ledger of it. */
  isEmpty(): Promise<boolean>
  /** Undefined where it is not being filled. */
  filling(): Promise<Filling | undefined>
  /**
   * From here on it opens for nothing but copying, until `finish`, and takes nothing from any other run.
   *
   * @returns from where to go on
   * @throws {DomainError} `ledger.copy_refused` where it holds anything, or is being filled by another copying
   */
  begin(filling: Filling): Promise<Filling>
  /**
   * Writes rows and how far it got. The same rows written again change nothing.
   *
   * @throws {DomainError} `ledger.copy_refused` with nothing written where this run does not fill it any more: what has been
   * opened meanwhile has changed since
   */
  write(kind: LedgerKind, rows: readonly CopyRow[], filling: Filling): Promise<void>
  /**
   * It is whole, and opens like any other. Nothing happens where it is already.
   *
   * @throws {DomainError} `ledger.copy_refused` where another run fills it
   */
  finish(filling: Filling, actor: string, now: number): Promise<void>
}

/** A run that stalled must not write into what another run has gone on with, or has ended. */
export function requireRun(known: Filling | undefined, { copy, run }: Filling): void {
  if (known?.copy === copy && known.run === run) return
  throw new DomainError(
    'ledger.copy_refused',
    known === undefined
      ? 'the target was filled to its end by another run of `db copy`: nothing more is written to it'
      : 'another run of `db copy` fills the target now: let that one end',
  )
}
