/** What a field holds, in every store: `integer` is a `bigint`; with `?` it may be `null`. */
export type FieldType = 'text' | 'integer' | 'bytes' | 'text?' | 'integer?' | 'bytes?'
export type CopyValue = string | bigint | Uint8Array | null
/** One row of a kind: every field of it, and no other. */
export type CopyRow = Readonly<Record<string, CopyValue>>

export interface LedgerKind {
  readonly name: LedgerKindName
  /** Fields that identify a row. */
  readonly key: readonly string[]
  readonly fields: Readonly<Record<string, FieldType>>
  /** The order in which rows are read is told to people, or decides what is next: the copy keeps it. */
  readonly isOrdered?: boolean
  /** What only tells rows of one key apart, and may be another in each store. */
  readonly uncompared?: readonly string[]
  /** Rows in one page at most: of those that may be large. */
  readonly pageMax?: number
}

const METER = { subscription: 'text', dimension: 'text' } as const

/**
 * All that a ledger holds, in rows that no store's own numbers are part of: a meter is its subscription and dimension, a tag
 * set its key, anything else its id. In an order in which each row finds what it refers to.
 *
 * What a store derives from these (counts, indexes, who holds a lease) is not among them: it makes that anew.
 */
const KINDS = {
  ledger: { key: ['name'], fields: { name: 'text', value: 'text' } },
  buyer: {
    key: ['id'],
    isOrdered: true,
    fields: {
      id: 'text',
      product: 'text',
      customerAwsAccountId: 'text?',
      customerIdentifier: 'text?',
      createdAt: 'integer',
    },
  },
  contact: {
    key: ['buyer', 'email'],
    fields: {
      buyer: 'text',
      email: 'text',
      name: 'text?',
      company: 'text?',
      phone: 'text?',
      registeredAt: 'integer',
    },
  },
  subscription: {
    key: ['id'],
    isOrdered: true,
    fields: {
      id: 'text',
      product: 'text',
      buyer: 'text',
      channel: 'text',
      plan: 'text?',
      tenantId: 'text?',
      status: 'text',
      licenseArn: 'text?',
      licenseTail: 'text?',
      customerAwsAccountId: 'text?',
      customerIdentifier: 'text?',
      agreementId: 'text?',
      grantedAt: 'integer?',
      termEnd: 'integer?',
      /** 1 or 0. */
      freeTrial: 'integer?',
      accessStart: 'integer',
      accessEnd: 'integer?',
      finalWindowEnd: 'integer?',
      successor: 'text?',
      createdAt: 'integer',
    },
  },
  agreement: {
    key: ['key'],
    isOrdered: true,
    fields: {
      key: 'text',
      product: 'text?',
      customerAwsAccountId: 'text?',
      customerIdentifier: 'text?',
      licenseTail: 'text?',
      subscription: 'text?',
      /** JSON. */
      facts: 'text',
      updatedAt: 'integer',
    },
  },
  marketplaceEvent: {
    key: ['id'],
    isOrdered: true,
    fields: {
      id: 'text',
      /** Its key. */
      agreement: 'text?',
      product: 'text?',
      kind: 'text',
      occurredAt: 'integer',
      receivedAt: 'integer',
      /** JSON. */
      event: 'text',
    },
  },
  rejectedMessage: {
    key: ['id'],
    isOrdered: true,
    pageMax: 50,
    fields: { id: 'text', channel: 'text', reason: 'text', receivedAt: 'integer', payload: 'text' },
  },
  entitlementReading: {
    key: ['subscription'],
    fields: {
      subscription: 'text',
      product: 'text',
      /** JSON. */
      entitlements: 'text',
      readAt: 'integer?',
      emptySince: 'integer?',
      failedAt: 'integer?',
      failure: 'text?',
      nextAt: 'integer?',
      revokedAt: 'integer?',
    },
  },
  entitlementPeriod: {
    key: ['subscription', 'dimension', 'fromMs'],
    fields: { ...METER, fromMs: 'integer', units: 'integer' },
  },
  planPeriod: {
    key: ['subscription', 'fromMs'],
    fields: { subscription: 'text', fromMs: 'integer', plan: 'text?' },
  },
  contractTerm: { key: ['subscription', 'fromMs'], fields: { subscription: 'text', fromMs: 'integer' } },
  meter: {
    key: ['subscription', 'dimension'],
    isOrdered: true,
    fields: {
      ...METER,
      product: 'text',
      scale: 'integer',
      aggregation: 'text',
      per: 'text?',
      carry: 'integer',
    },
  },
  bucket: {
    key: ['subscription', 'dimension', 'hour'],
    fields: {
      ...METER,
      hour: 'integer',
      quantity: 'integer',
      unbillable: 'integer',
      events: 'integer',
      purged: 'integer',
      purgedUnbillable: 'integer',
      /** 0 open, 1 held, 2 closed, 3 so far only with what nobody is billed for. */
      status: 'integer',
      holdReason: 'text?',
      heldAt: 'integer?',
    },
  },
  bucketTag: {
    key: ['subscription', 'dimension', 'hour', 'tags'],
    fields: { ...METER, hour: 'integer', tags: 'text', quantity: 'integer' },
  },
  carryTag: {
    key: ['subscription', 'dimension', 'tags'],
    fields: { ...METER, tags: 'text', quantity: 'integer' },
  },
  peak: {
    key: ['subscription', 'dimension', 'period'],
    fields: { ...METER, period: 'text', value: 'integer' },
  },
  seenValue: {
    key: ['subscription', 'dimension', 'period', 'value'],
    fields: { ...METER, period: 'text', value: 'bytes' },
  },
  runningTotal: {
    key: ['subscription', 'dimension', 'source'],
    fields: { ...METER, source: 'text', total: 'integer', time: 'integer' },
  },
  includedUsed: {
    key: ['subscription', 'dimension', 'period'],
    fields: { ...METER, period: 'text', used: 'integer' },
  },
  usageEvent: {
    key: ['key'],
    fields: {
      /** Of its own time; `counted` is the hour that it is billed in. */
      hour: 'integer',
      key: 'bytes',
      ...METER,
      time: 'integer',
      quantity: 'integer',
      delta: 'integer',
      counted: 'integer',
      /** 0 accepted, 1 late, 2 unbillable. */
      state: 'integer',
      id: 'text',
      source: 'text',
      value: 'bytes?',
      tags: 'text?',
      receivedAt: 'integer',
    },
  },
  attempt: {
    key: ['id'],
    isOrdered: true,
    pageMax: 20,
    fields: {
      id: 'text',
      product: 'text',
      region: 'text',
      startedAt: 'integer',
      finishedAt: 'integer?',
      outcome: 'text',
      /** What was sent. */
      request: 'text',
      response: 'text?',
    },
  },
  usageRecord: {
    key: ['id'],
    isOrdered: true,
    fields: {
      id: 'text',
      product: 'text',
      ...METER,
      hour: 'integer',
      region: 'text',
      identityKey: 'text',
      /** JSON. */
      identity: 'text',
      timestamp: 'integer',
      quantity: 'integer',
      unitBase: 'integer',
      /** JSON. */
      allocations: 'text',
      state: 'text',
      deadline: 'integer',
      sealedAt: 'integer',
      attempts: 'integer',
      unanswered: 'integer',
      nextAttemptAt: 'integer',
      meteringRecordId: 'text?',
      note: 'text?',
      /** The one that is in flight. */
      attempt: 'text?',
      leaseUntil: 'integer?',
    },
  },
  attemptRecord: { key: ['attempt', 'record'], fields: { attempt: 'text', record: 'text' } },
  transfer: {
    key: ['subscription', 'dimension', 'hour', 'number'],
    uncompared: ['number'],
    fields: {
      ...METER,
      hour: 'integer',
      /** 0 for the first that was booked of this meter's hour. */
      number: 'integer',
      source: 'text',
      target: 'text',
      amount: 'integer',
      at: 'integer',
      record: 'text?',
    },
  },
  isolation: {
    key: ['product', 'kind', 'value'],
    fields: { product: 'text', kind: 'text', value: 'text' },
  },
  halt: {
    key: ['product'],
    fields: { product: 'text', reason: 'text', since: 'integer', probeAt: 'integer?' },
  },
  alarm: {
    key: ['kind', 'subject'],
    fields: {
      kind: 'text',
      subject: 'text',
      message: 'text',
      raised: 'integer',
      firstAt: 'integer',
      lastAt: 'integer',
    },
  },
  lateAcross: {
    key: ['subject'],
    fields: { subject: 'text', product: 'text', months: 'integer', agreements: 'integer', amount: 'integer' },
  },
  auditEntry: {
    key: ['id'],
    isOrdered: true,
    fields: {
      id: 'text',
      at: 'integer',
      actor: 'text',
      action: 'text',
      subject: 'text',
      before: 'text?',
      after: 'text?',
    },
  },
  domainEvent: {
    key: ['id'],
    isOrdered: true,
    fields: {
      id: 'text',
      type: 'text',
      at: 'integer',
      product: 'text',
      buyer: 'text',
      subscription: 'text',
      /** JSON. */
      data: 'text',
    },
  },
  sink: {
    key: ['name'],
    fields: {
      name: 'text',
      /** Events at the end that have not been handed out to it. */
      behind: 'integer',
      seenAt: 'integer',
      failures: 'integer',
      failingSince: 'integer?',
      pausedUntil: 'integer?',
    },
  },
  delivery: {
    key: ['event', 'sink'],
    fields: {
      event: 'text',
      sink: 'text',
      subscription: 'text',
      state: 'text',
      attempts: 'integer',
      failures: 'integer',
      queuedAt: 'integer',
      nextAt: 'integer',
      lastError: 'text?',
      finishedAt: 'integer?',
    },
  },
  mail: {
    key: ['id'],
    isOrdered: true,
    pageMax: 50,
    fields: {
      id: 'text',
      at: 'integer',
      sender: 'text',
      recipient: 'text',
      subject: 'text',
      text: 'text',
      html: 'text',
    },
  },
  serviceKey: {
    key: ['id'],
    fields: {
      id: 'text',
      name: 'text',
      /** With a space between them. */
      scopes: 'text',
      product: 'text?',
      hash: 'text',
      ratePerSecond: 'integer?',
      createdAt: 'integer',
      revokedAt: 'integer?',
    },
  },
  apiKey: {
    key: ['id'],
    fields: {
      id: 'text',
      product: 'text',
      buyer: 'text',
      subscription: 'text?',
      userId: 'text?',
      name: 'text?',
      /** With a space between them. */
      scopes: 'text',
      hash: 'text',
      hint: 'text',
      createdAt: 'integer',
      expiresAt: 'integer?',
      revokedAt: 'integer?',
      replacedBy: 'text?',
      usableUntil: 'integer?',
      lastUsedAt: 'integer?',
    },
  },
  quotaCounter: {
    key: ['holder', 'dimension', 'per', 'start'],
    fields: {
      holder: 'text',
      dimension: 'text',
      per: 'text',
      start: 'integer',
      endsAt: 'integer?',
      used: 'integer',
      held: 'integer',
    },
  },
  quotaAdmission: { key: ['key'], fields: { key: 'bytes', quantity: 'integer', at: 'integer' } },
  quotaReservation: {
    key: ['id'],
    fields: {
      id: 'text',
      product: 'text',
      holder: 'text',
      dimension: 'text',
      quantity: 'integer',
      /** JSON. */
      windows: 'text',
      createdAt: 'integer',
      expiresAt: 'integer',
      state: 'text',
      used: 'integer?',
    },
  },
  endpointHealth: {
    key: ['product', 'endpoint'],
    fields: {
      product: 'text',
      endpoint: 'text',
      state: 'text',
      since: 'integer',
      checkedAt: 'integer',
      failures: 'integer',
      reason: 'text?',
      latency: 'integer?',
      hour: 'integer',
      up: 'integer',
      down: 'integer',
      /** JSON. */
      latencies: 'text',
    },
  },
  endpointHour: {
    key: ['product', 'hour', 'endpoint'],
    fields: {
      product: 'text',
      endpoint: 'text',
      hour: 'integer',
      up: 'integer',
      down: 'integer',
      p50: 'integer?',
      p95: 'integer?',
      longest: 'integer?',
    },
  },
  endpointChange: {
    key: ['product', 'endpoint', 'at'],
    fields: { product: 'text', endpoint: 'text', at: 'integer', state: 'text', reason: 'text?' },
  },
  catalogVersion: {
    key: ['product', 'plan', 'version'],
    pageMax: 50,
    fields: {
      product: 'text',
      /** Empty: of the product itself. */
      plan: 'text',
      version: 'integer',
      fromMs: 'integer',
      position: 'integer',
      origin: 'text',
      /** 1 or 0. */
      retired: 'integer',
      /** JSON. */
      body: 'text',
      actor: 'text',
      at: 'integer',
    },
  },
  visitorSalt: { key: ['number'], fields: { number: 'integer', secret: 'bytes', since: 'integer' } },
  visitor: {
    key: ['id'],
    fields: {
      id: 'text',
      product: 'text',
      firstSeenAt: 'integer',
      seenAt: 'integer',
      buyer: 'text?',
      subscription: 'text?',
      convertedAt: 'integer?',
    },
  },
  visitorHash: { key: ['hash'], fields: { hash: 'text', salt: 'integer', visitor: 'text' } },
  visitorSolution: { key: ['id'], fields: { id: 'text', expiresAt: 'integer' } },
} as const satisfies Record<string, Omit<LedgerKind, 'name'>>

export type LedgerKindName = keyof typeof KINDS

/** In the order in which they are copied. */
export const LEDGER_KINDS: readonly LedgerKind[] = (Object.keys(KINDS) as LedgerKindName[]).map((name) => ({
  name,
  ...KINDS[name],
}))

/** What a ledger says of itself and takes along; all else there is about the place it is in. Nothing yet is zero. */
export function isCopied(name: string, value: string): boolean {
  return value !== '0' && (COPIED_NAMES.has(name) || name.startsWith('secret:'))
}

const COPIED_NAMES = new Set(['id', 'mode', 'account', 'epoch', 'readings', 'horizon', 'clock', 'doubt'])
