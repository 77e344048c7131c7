import { randomUUID } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { DomainError } from '../error.ts'
import type { LedgerGuard, LedgerWait } from '../usage/ledger-guard.ts'
import type { UsageStore } from '../usage/usage-store.ts'
import { compareDigests, digestLedger, type LedgerDigest, PAGE_ROWS } from './compare-ledgers.ts'
import type { Filling, LedgerCopy } from './ledger-copy.ts'
import { LEDGER_KINDS, type LedgerKindName } from './ledger-kinds.ts'

/** One side of a copying. */
export interface CopySide {
  readonly copy: LedgerCopy
  readonly usage: UsageStore
  /** For people. */
  readonly name: string
}

export interface CopyProgress {
  readonly step: 'copy' | 'verify'
  readonly kind: LedgerKindName
  /** Of this kind, in this run. */
  readonly rows: number
}

export interface CopyReport {
  /** It went on where an earlier run had stopped. */
  readonly isResumed: boolean
  /** Written in this run. */
  readonly rows: number
  readonly from: LedgerDigest
  readonly to: LedgerDigest
  /** Empty where both are the same to the last row, and balanced. */
  readonly differences: readonly string[]
}

/**
 * Moves a ledger from one store into another, which must be empty, and proves that both are the same. It may be stopped
 * anywhere, and run again with the same stores.
 *
 * At no time can both take usage or send. Before the first row is read the source waits for a person: it takes no usage
 * and sends nothing, in any process. The target opens for nothing but this until the source is marked as moved. So a crash
 * leaves: a source that waits and a target that does not open (run it again; or let the source go on by
 * `usage resolve ledger`, and give up the target). The target needs no doubt about its hours: its source has stopped.
 * Of two runs at once the later one goes on, and the earlier one is refused.
 *
 * @param isBusyAfterMs - how long a process that has the source open may be silent
 * @throws {DomainError} `ledger.copy_refused` with nothing changed that the message does not say
 */
export async function copyLedger(given: {
  readonly from: CopySide & { readonly openGuard: () => Promise<LedgerGuard> }
  readonly to: CopySide
  readonly actor: string
  readonly clock: Clock
  readonly isBusyAfterMs: number
  readonly onProgress?: (progress: CopyProgress) => void
}): Promise<CopyReport> {
  const { from, to, clock, onProgress } = given
  await refuseUnfit(from)
  const guard = await from.openGuard()
  const wait = guard.waiting()
  const known = await to.copy.filling()
  refuseForeign(wait, known, from.name, to.name)
  if (known === undefined && !(await to.copy.isEmpty()))
    throw new DomainError('ledger.copy_refused', `${to.name} holds a ledger: name an empty store`)
  if (wait === undefined) await refuseBusy(given)
  // A copying that had not begun to fill anything gets another name: what an earlier one began to fill stays unfinished.
  const copy = known?.copy ?? `copy_${randomUUID()}`
  if (known === undefined) await hold(given, guard, waitFor(copy, to.name, false))
  const filling = await to.copy.begin(
    known ? { ...known, run: randomUUID() } : firstOf(copy, from.name, clock.now()),
  )
  const rows = await copyRows(from.copy, to.copy, filling, onProgress)
  const verified = (kind: LedgerKindName, count: number) =>
    onProgress?.({ step: 'verify', kind, rows: count })
  const digests = {
    from: await digestLedger(from.copy, from.usage, verified),
    to: await digestLedger(to.copy, to.usage, verified),
  }
  const differences = [
    ...digests.from.discrepancies.map((what) => `the source's audit: ${what}`),
    ...digests.to.discrepancies.map((what) => `the copy's audit: ${what}`),
    ...compareDigests(digests.from, digests.to),
  ]
  if (differences.length === 0) {
    await hold(given, guard, waitFor(copy, to.name, true))
    await to.copy.finish(filling, given.actor, clock.now())
  }
  return { isResumed: known !== undefined, rows, ...digests, differences }
}

async function refuseUnfit({ copy, name }: CopySide): Promise<void> {
  const filling = await copy.filling()
  if (filling !== undefined)
    throw new DomainError('ledger.copy_refused', `${name} is itself only half filled from ${filling.from}`)
  if (await copy.isEmpty()) throw new DomainError('ledger.copy_refused', `there is no ledger at ${name}`)
}

function refuseForeign(
  wait: LedgerWait | undefined,
  filling: Filling | undefined,
  from: string,
  to: string,
): void {
  const refuse = (message: string) => {
    throw new DomainError('ledger.copy_refused', message)
  }
  if (wait !== undefined && wait.copy === undefined)
    refuse(
      `${from} waits for a person (${wait.reason}): let it go on with \`tollkeeper usage resolve ledger\` first`,
    )
  if (filling !== undefined && filling.copy !== wait?.copy?.id)
    refuse(
      `${to} is half filled from ${filling.from}, which has gone on since or is another: name an empty store`,
    )
  if (wait?.copy?.isFinished && filling === undefined)
    refuse(`${from} was moved to ${wait.copy.to} already: the ledger goes on there`)
}

async function refuseBusy({ from, clock, isBusyAfterMs }: Parameters<typeof copyLedger>[0]): Promise<void> {
  const before = await from.copy.signOfLife()
  await clock.sleep(isBusyAfterMs)
  if ((await from.copy.signOfLife()) === before) return
  throw new DomainError(
    'ledger.copy_refused',
    `${from.name} is in use: stop every \`tollkeeper serve\` and \`worker\` that has it open, and run this again`,
  )
}

/** Only if it waits for this copying from here on may the copying go on. */
async function hold(
  { from, actor, clock }: Parameters<typeof copyLedger>[0],
  guard: LedgerGuard,
  wait: ReturnType<typeof waitFor>,
): Promise<void> {
  const held = await guard.hold(wait, actor, clock.now())
  if (held.copy?.id !== wait.copy.id)
    throw new DomainError('ledger.copy_refused', `${from.name} waits for something else now: ${held.reason}`)
}

function waitFor(id: string, to: string, isFinished: boolean) {
  return {
    reason: isFinished
      ? `the ledger was moved to ${to} and goes on there: never let both go on`
      : `the ledger is being copied to ${to}`,
    copy: { id, to, isFinished },
  }
}

function firstOf(copy: string, from: string, since: number): Filling {
  return { copy, run: randomUUID(), from, since, next: { kind: LEDGER_KINDS[0]!.name, cursor: undefined } }
}

/** @returns how many were written */
async function copyRows(
  from: LedgerCopy,
  to: LedgerCopy,
  begun: Filling,
  onProgress: ((progress: CopyProgress) => void) | undefined,
): Promise<number> {
  let next = begun.next
  let written = 0
  while (next !== undefined) {
    const { kind: name, cursor } = next
    const at = LEDGER_KINDS.findIndex((one) => one.name === name)
    const kind = LEDGER_KINDS[at]!
    const page = await from.read(kind, cursor, kind.pageMax ?? PAGE_ROWS)
    const following = LEDGER_KINDS[at + 1]
    if (page.next !== undefined) next = { kind: kind.name, cursor: page.next }
    else next = following && { kind: following.name, cursor: undefined }
    await to.write(kind, page.rows, { ...begun, next })
    written += page.rows.length
    onProgress?.({ step: 'copy', kind: kind.name, rows: page.rows.length })
  }
  return written
}
