import type { UsageRecord } from './usage-record.ts'
import type { RecordAnswer } from './usage-store.ts'

/** What one `BatchMeterUsage` call came to. */
export interface MeteringAnswer {
  readonly outcome: 'answered' | 'unanswered'
  /** For the attempt's row: AWS's answer or error as JSON. */
  readonly response: string
  /** By our record id. A record that AWS did not mention is missing here. */
  readonly answers: ReadonlyMap<string, RecordAnswer>
  /** Set where AWS refused the request as a whole. */
  readonly error?: { readonly code: string; readonly message: string }
}

/** AWS Marketplace's metering service. Never retries: every attempt is the ledger's. */
export interface MeteringService {
  batchMeterUsage(
    region: string,
    records: readonly UsageRecord[],
    signal?: AbortSignal,
  ): Promise<MeteringAnswer>
  /** Bytes that a record takes in a call. */
  sizeOf(record: UsageRecord): number
  /** The request as it is sent, for a person to read. */
  requestOf(records: readonly UsageRecord[]): string
  /** @throws {DomainError} `registration.token_invalid`, `registration.token_expired`, `marketplace.unavailable` */
  resolveCustomer(region: string, token: string): Promise<ResolvedCustomer>
}

export interface ResolvedCustomer {
  readonly productCode: string
  readonly customerAwsAccountId: string | undefined
  readonly customerIdentifier: string | undefined
  readonly licenseArn: string | undefined
}
