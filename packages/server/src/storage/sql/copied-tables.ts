import type { LedgerKindName } from '../../domain/moving/ledger-kinds.ts'

/** A field that is a row of another table, and stands in this one by its number. */
export interface Reference {
  readonly field: string
  readonly column: string
  readonly table: string
  /** What names the row: unique in its table. */
  readonly by: string
}

export interface CopiedTable {
  readonly table: string
  /** Columns that order its rows, unique together, and that an index is in the order of. */
  readonly order: readonly string[]
  readonly orderOnPostgres?: readonly string[]
  /** Its rows belong to a meter: the fields `subscription` and `dimension` stand in it as the column `meter`. */
  readonly ofMeter?: boolean
  readonly references?: readonly Reference[]
  /** Columns of a row that may be there already, because the tables themselves make it: it is overwritten. */
  readonly replaces?: readonly string[]
}

const TAGS: Reference = { field: 'tags', column: 'tags', table: 'tag_set', by: 'key' }
const RECORD: Reference = { field: 'record', column: 'record', table: 'usage_record', by: 'id' }
const ATTEMPT: Reference = { field: 'attempt', column: 'attempt', table: 'attempt', by: 'id' }

/** Where each kind is kept. A field's column is its name in snake case. */
export const COPIED_TABLES: Readonly<Record<LedgerKindName, CopiedTable>> = {
  ledger: { table: 'ledger', order: ['name'], replaces: ['name'] },
  buyer: { table: 'buyer', order: ['seq'] },
  contact: { table: 'buyer_contact', order: ['buyer', 'email'] },
  subscription: { table: 'subscription', order: ['seq'] },
  agreement: { table: 'agreement', order: ['seq'] },
  marketplaceEvent: {
    table: 'marketplace_event',
    order: ['seq'],
    references: [{ field: 'agreement', column: 'agreement', table: 'agreement', by: 'key' }],
  },
  rejectedMessage: { table: 'rejected_message', order: ['seq'] },
  entitlementReading: {
    table: 'entitlement_reading',
    order: ['subscription'],
    replaces: ['subscription'],
  },
  entitlementPeriod: { table: 'entitlement_period', order: ['subscription', 'dimension', 'from_ms'] },
  planPeriod: { table: 'plan_period', order: ['subscription', 'from_ms'] },
  contractTerm: { table: 'contract_term', order: ['subscription', 'from_ms'] },
  meter: {
    table: 'meter',
    order: ['seq'],
    references: [{ field: 'subscription', column: 'subscription', table: 'subscription', by: 'id' }],
  },
  bucket: { table: 'bucket', order: ['meter', 'hour'], ofMeter: true },
  bucketTag: { table: 'bucket_tag', order: ['meter', 'hour', 'tags'], ofMeter: true, references: [TAGS] },
  carryTag: { table: 'carry_tag', order: ['meter', 'tags'], ofMeter: true, references: [TAGS] },
  peak: { table: 'peak', order: ['meter', 'period'], ofMeter: true },
  seenValue: { table: 'seen_value', order: ['meter', 'period', 'value'], ofMeter: true },
  runningTotal: { table: 'running_total', order: ['meter', 'source'], ofMeter: true },
  includedUsed: { table: 'included_used', order: ['meter', 'period'], ofMeter: true },
  usageEvent: {
    table: 'usage_event',
    order: ['hour', 'key'],
    orderOnPostgres: ['key'],
    ofMeter: true,
    references: [TAGS],
  },
  attempt: {
    table: 'attempt',
    order: ['seq'],
    references: [{ field: 'request', column: 'request', table: 'request', by: 'body' }],
  },
  usageRecord: { table: 'usage_record', order: ['seq'], ofMeter: true, references: [ATTEMPT] },
  attemptRecord: { table: 'attempt_record', order: ['record', 'attempt'], references: [ATTEMPT, RECORD] },
  transfer: { table: 'transfer', order: ['meter', 'hour', 'seq'], ofMeter: true, references: [RECORD] },
  isolation: { table: 'isolation', order: ['product', 'kind', 'value'] },
  halt: { table: 'halt', order: ['product'] },
  alarm: { table: 'alarm', order: ['kind', 'subject'] },
  lateAcross: { table: 'late_across', order: ['subject'] },
  auditEntry: { table: 'audit_entry', order: ['seq'] },
  domainEvent: { table: 'domain_event', order: ['seq'] },
  sink: { table: 'sink', order: ['name'] },
  delivery: {
    table: 'delivery',
    order: ['event', 'sink'],
    references: [{ field: 'event', column: 'event', table: 'domain_event', by: 'id' }],
  },
  mail: { table: 'mail', order: ['seq'] },
  serviceKey: { table: 'service_key', order: ['id'] },
  apiKey: { table: 'api_key', order: ['id'] },
  quotaCounter: { table: 'quota_counter', order: ['holder', 'dimension', 'per', 'start'] },
  quotaAdmission: { table: 'quota_admission', order: ['key'] },
  quotaReservation: { table: 'quota_reservation', order: ['id'] },
  endpointHealth: { table: 'endpoint_health', order: ['product', 'endpoint'] },
  endpointHour: { table: 'endpoint_hour', order: ['product', 'hour', 'endpoint'] },
  endpointChange: { table: 'endpoint_change', order: ['product', 'endpoint', 'at'] },
  catalogVersion: { table: 'catalog_version', order: ['product', 'plan', 'version'] },
  visitorSalt: { table: 'visitor_salt', order: ['number'] },
  visitor: { table: 'visitor', order: ['id'] },
  visitorHash: { table: 'visitor_hash', order: ['hash'] },
  visitorSolution: { table: 'visitor_solution', order: ['id'] },
}

/**
 * Tables whose rows are not copied: numbers of things that other rows are named by, what the tables themselves count, and
 * what is about running processes.
 */
export const UNCOPIED_TABLES: readonly string[] = [
  'tag_set',
  'request',
  'event_hour',
  'ingest_gate',
  'record_count',
  'rate',
  'work_lease',
  'kysely_migration',
  'kysely_migration_lock',
]
