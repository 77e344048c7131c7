/** Of a table, and of its columns. */
type Comments = Readonly<Record<string, readonly [string, Readonly<Record<string, string>>]>>

const MS = 'milliseconds since 1970-01-01 UTC'
const HOURS = 'whole hours since 1970-01-01 UTC: to_timestamp(hour * 3600)'
const BASE = 'in the smallest unit of its dimension (10 ^ scale of them are one)'

/** What a person sees who reads the ledger with a tool of their own. */
const COMMENTS: Comments = {
  meter_usage: [
    'What is billed through AWS Marketplace: one row for each usage record, which is the usage of one dimension by one subscription in one UTC hour. To be read; the ledger writes it.',
    {
      metering_record: 'Our id of the record; `tollkeeper usage explain` shows it down to its events.',
      subscription: 'Our id of the subscription that is billed.',
      product: 'The product, as in the configuration.',
      dimension: 'The dimension, as AWS Marketplace knows it.',
      usage_hour: 'Start of the UTC hour that AWS is told.',
      quantity: 'Whole billed units of that hour.',
      status:
        'ready, sent: on their way. accepted: AWS took it. assumed: AWS has it, as far as its answers say. in_doubt, conflict: a person decides. refused: AWS refused it. carried: billed in a later hour instead, do not add it up.',
      aws_metering_record_id: "AWS's id of it.",
      attempts: 'How often it was sent.',
      buyer: 'Our id of the buyer.',
      customer_aws_account_id: "The buyer's AWS account, where it is known.",
      region: 'AWS region that it is metered in.',
      sealed_at: 'When its quantity was fixed for good.',
      deadline: 'Until when AWS takes it.',
    },
  ],
  usage_record: [
    'Sealed usage of one hour, as it is sent to AWS: frozen before the first attempt. For reports, read meter_usage.',
    {
      id: 'Our id of the record.',
      meter: 'meter.seq',
      dimension: 'As AWS knows it.',
      hour: HOURS,
      identity_key: 'AWS bills one record for each region, identity, dimension and hour.',
      identity: 'Whom AWS bills, as sent.',
      timestamp: `The time that AWS is told, ${MS}.`,
      quantity: 'Whole billed units.',
      unit_base: 'Smallest units in a billed one.',
      allocations: "Shares by tag, in AWS's format.",
      state: 'See meter_usage.status.',
      deadline: `Until when AWS takes it, ${MS}.`,
      sealed_at: `${MS}.`,
      attempts: 'How often it was sent.',
      unanswered: 'How many of these AWS may have taken without our hearing of it.',
      next_attempt_at: `Not before, ${MS}.`,
      metering_record_id: "AWS's id.",
      note: 'Why it is in its state, where that needs words.',
      attempt: 'attempt.seq of the call that is under way.',
      lease_until: `When another process takes it over, ${MS}.`,
    },
  ],
  bucket: [
    'Usage of one meter in one UTC hour.',
    {
      meter: 'meter.seq',
      hour: HOURS,
      quantity: `What is billed, ${BASE}.`,
      unbillable: `What nobody is billed for, ${BASE}.`,
      events: 'How many events it counts.',
      purged: 'The part of quantity whose events are forgotten.',
      purged_unbillable: 'The part of unbillable whose events are forgotten.',
      status: '0 open: grows. 1 held for a person. 2 closed. 3 so far only with what nobody is billed for.',
      hold_reason: 'Why it is held.',
      held_at: `Since when, ${MS}.`,
    },
  ],
  usage_event: [
    'What the product reported. Kept as long as a repeat of it may come, and a day longer.',
    {
      key: 'Hash of product, dimension, source and id: the same event is never counted twice.',
      hour: `Of its own time; ${HOURS}.`,
      meter: 'meter.seq',
      time: `Its own time, ${MS}.`,
      quantity: `As reported, ${BASE}.`,
      delta: `What it adds to its hour, ${BASE}.`,
      counted: 'The hour whose bucket counts it: a later one than its own where that was sealed.',
      received_at: `${MS}.`,
      tags: 'tag_set.seq',
      state: '0 accepted, 1 late, 2 unbillable.',
      id: 'As reported.',
      source: 'As reported.',
      value: 'Hash of the value, where different ones are counted.',
    },
  ],
  meter: [
    'One dimension of one subscription.',
    {
      subscription: 'subscription.seq',
      scale: 'Decimals of a unit: 2 for cents of a dollar.',
      aggregation: 'sum, count, max, unique or total.',
      per: 'Period that max and unique are taken over.',
      carry: `Not billed yet since it is no whole unit, ${BASE}.`,
    },
  ],
  subscription: [
    'One buyer uses one product on one plan.',
    {
      id: 'Our id.',
      buyer: 'buyer.id',
      channel: 'How it was sold: aws, direct or free.',
      plan: 'As in the configuration.',
      tenant_id: "The seller's own id of the buyer.",
      status: 'pending, active, suspended, cancelling, ended, superseded or failed.',
      license_arn: "AWS's license, as AWS wrote it.",
      license_tail: "The license's own part of it: AWS writes the rest in several ways.",
      agreement_id: "AWS's agreement.",
      granted_at: `When AWS let the buyer in, ${MS}.`,
      term_end: `Until when the agreement runs, ${MS}.`,
      free_trial: '1: a trial that costs nothing.',
      access_start: `${MS}.`,
      access_end: `${MS}; null while it has access.`,
      final_window_end: `Until when AWS takes its last usage, ${MS}.`,
      successor: 'subscription.id of the one that renews or replaces it.',
      created_at: `${MS}.`,
    },
  ],
  buyer: ['An organisation that buys one product.', { created_at: `${MS}.` }],
  buyer_contact: ['People of a buyer. Personal data: `tollkeeper buyer erase` forgets them.', {}],
  transfer: [
    'The journal of double entry: an amount moves from one account to another, and no row is ever changed.',
    {
      meter: 'meter.seq',
      hour: HOURS,
      source: 'Account that it leaves.',
      target: 'Account that it goes to.',
      amount: `More than nothing, ${BASE}.`,
      at: `${MS}.`,
      record: 'usage_record.seq',
    },
  ],
  attempt: [
    "Calls of AWS's metering service, each on disk before its first byte left.",
    {
      started_at: `${MS}.`,
      finished_at: `${MS}.`,
      outcome: 'in_flight, answered, unanswered or refused.',
      request: 'request.seq: the bytes that were sent.',
      response: "AWS's answer.",
    },
  ],
  alarm: [
    'What a person should look at.',
    {
      kind: 'See the runbook.',
      subject: 'What it is about.',
      raised: 'How often it was raised.',
      first_at: `${MS}.`,
      last_at: `${MS}.`,
    },
  ],
  audit_entry: [
    'Who changed what and when: money, access, plans. No row is ever changed.',
    {
      at: `${MS}.`,
      actor: 'Who: a person, a job, AWS or the configuration.',
      action: 'What.',
      subject: 'Id of what was changed.',
      before: 'JSON.',
      after: 'JSON.',
    },
  ],
  record_count: ['How many records there are, in 64 shards that are to be added up.', {}],
  ingest_gate: ['Has no rows: it is locked while subscriptions change.', {}],
  ledger: ['What is true of the whole ledger, by name.', {}],
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

export const POSTGRES_COMMENTS = Object.entries(COMMENTS)
  .flatMap(([table, [about, columns]]) => [
    `COMMENT ON ${table === 'meter_usage' ? 'VIEW' : 'TABLE'} ${table} IS ${literal(about)};`,
    ...Object.entries(columns).map(
      ([column, text]) => `COMMENT ON COLUMN ${table}.${column} IS ${literal(text)};`,
    ),
  ])
  .join('\n')
