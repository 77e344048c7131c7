import { type LedgerWait, waitsForRelease } from '../../../domain/usage/ledger-guard.ts'
import { int, text } from '../fields.ts'
import { ledgerKey } from '../keys.ts'
import type { Reader } from '../table.ts'

export interface LedgerState {
  readonly epoch: number
  /** Events timed before it are forgotten, ms. */
  readonly horizon: number
  /** May DynamoDB delete what is too old? Not where time is pretended: it goes by the real one. */
  readonly expires: boolean
}

/** What all usage is taken in by: in one request. */
export async function readLedgerState(reader: Pick<Reader, 'getMany'>): Promise<LedgerState> {
  const [epoch, horizon, mode] = await reader.getMany(['epoch', 'horizon', 'mode'].map(ledgerKey))
  return {
    epoch: int(epoch?.value ?? 0),
    horizon: int(horizon?.value ?? 0),
    expires: mode?.value === 'live' || mode?.value === 'shadow',
  }
}

/** @throws {DomainError} `ledger.waiting_for_release`, whichever process made it wait */
export async function readRunningEpoch(reader: Pick<Reader, 'getMany'>): Promise<number> {
  const [epoch, waiting] = await reader.getMany(['epoch', 'waiting'].map(ledgerKey))
  if (waiting !== undefined) throw waitsForRelease(JSON.parse(text(waiting.value)) as LedgerWait)
  return int(epoch?.value ?? 0)
}
