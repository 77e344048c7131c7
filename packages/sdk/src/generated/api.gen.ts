// Generated from the OpenAPI document by `npm run generate`. Change the routes, not this file.
import type { CallOptions } from '../client/call.ts'

/** The subscription as it was then. What is not known is absent. */
export interface EventSubscription {
  readonly id: string
  readonly product: string
  readonly buyer: string
  readonly channel: 'aws' | 'direct' | 'free'
  readonly plan?: string | undefined
  /** Your own name for the buyer’s workspace. */
  readonly tenantId?: string | undefined
  readonly status: string
  readonly licenseArn?: string | undefined
  readonly customerAWSAccountId?: string | undefined
  readonly customerIdentifier?: string | undefined
  readonly agreementId?: string | undefined
  readonly freeTrial?: boolean | undefined
  readonly grantedAt?: string | undefined
  readonly termEnd?: string | undefined
  readonly accessStart: string
  readonly accessEnd?: string | undefined
  /** Until when AWS takes its final usage. */
  readonly finalWindowEnd?: string | undefined
  readonly successor?: string | undefined
  readonly createdAt: string
}

export interface EventBuyer {
  readonly id: string
  readonly customerAWSAccountId?: string | undefined
  readonly customerIdentifier?: string | undefined
  /** Who registered, newest first, as it is known when this is sent. */
  readonly contacts: ReadonlyArray<{
    readonly email: string
    readonly name?: string | undefined
    readonly company?: string | undefined
    readonly phone?: string | undefined
    readonly registeredAt: string
  }>
}

/** An API key as it was then: without its secret, and without its user and name, which may be a person’s. */
export interface EventKey {
  readonly id: string
  readonly product: string
  readonly buyer: string
  readonly subscription?: string | undefined
  readonly scopes: readonly string[]
  /** The last characters of the secret’s random part. */
  readonly hint: string
  readonly createdAt: string
  readonly expiresAt?: string | undefined
  readonly revokedAt?: string | undefined
  readonly replacedBy?: string | undefined
  /** Until when a replaced key works. */
  readonly usableUntil?: string | undefined
}

/** RFC 9457. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  /** Stable: branch on this. */
  readonly code: string
  readonly errors?: ReadonlyArray<{
    readonly field: string
    readonly reason: string
  }> | undefined
  readonly candidates?: ReadonlyArray<{
    readonly subscriptionId: string
    readonly license?: string | undefined
  }> | undefined
  readonly requestId?: string | undefined
  readonly [name: string]: unknown
}

/** One use of a product. Name the buyer by one of `subscriptionId`, `tenantId`, `licenseArn`, `customerAWSAccountId`, `customerIdentifier`; it may be left out while only one subscription lives. */
export interface UsageEvent {
  /** The dimension’s key, or the name under which your platform reports it. */
  readonly dimension: string
  /** A number of at most 15 digits, or a decimal string. Not for dimensions that count events or different values. */
  readonly quantity?: number | string | undefined
  /** When it was used: RFC 3339 with a zone, the same on every retry. */
  readonly usageTime: string
  /** The event’s id, the same on every retry; unique within product, dimension and source. */
  readonly correlationId: string
  readonly product?: string | undefined
  readonly source?: string | undefined
  /** What is counted once, for `unique` dimensions: a user’s id. Only its hash is stored. */
  readonly value?: string | undefined
  /** AWS Marketplace cost allocation tags, for dimensions that sum or count. */
  readonly tags?: Readonly<Record<string, string>> | undefined
  readonly subscriptionId?: string | undefined
  readonly tenantId?: string | undefined
  readonly licenseArn?: string | undefined
  readonly customerAWSAccountId?: string | undefined
  readonly customerIdentifier?: string | undefined
}

/** A CloudEvents 1.0 event in the JSON format. */
export interface CloudEvent {
  readonly specversion: '1.0'
  readonly id: string
  readonly source: string
  /** The dimension, where `data.dimension` does not say. */
  readonly type: string
  /** Required here: the same on every retry. */
  readonly time: string
  /** The buyer’s tenant id, where `data` does not name the buyer. */
  readonly subject?: string | undefined
  /** What else it holds is yours and ignored. */
  readonly data?: {
    readonly dimension?: string | undefined
    /** A number of at most 15 digits, or a decimal string. Not for dimensions that count events or different values. */
    readonly quantity?: number | string | undefined
    readonly value?: string | undefined
    readonly product?: string | undefined
    /** AWS Marketplace cost allocation tags, for dimensions that sum or count. */
    readonly tags?: Readonly<Record<string, string>> | undefined
    readonly subscriptionId?: string | undefined
    readonly tenantId?: string | undefined
    readonly licenseArn?: string | undefined
    readonly customerAWSAccountId?: string | undefined
    readonly customerIdentifier?: string | undefined
  } | undefined
}

export interface UsageOutcome {
  readonly id: string
  /** accepted: on disk, counted in its hour · late: on disk, counted in a later hour · duplicate: seen before, counted once · conflict: its id was seen with other content · refused: not counted */
  readonly status: 'accepted' | 'late' | 'duplicate' | 'conflict' | 'refused'
  readonly reason?: string | undefined
  readonly code?: string | undefined
  readonly meteringRecordId?: string | undefined
}

export interface Subscription {
  readonly id: string
  readonly product: string
  readonly buyer: string
  /** How it was bought. Only what came through AWS Marketplace is metered to AWS. */
  readonly channel: 'aws' | 'direct' | 'free'
  readonly plan?: string | undefined
  readonly tenantId?: string | undefined
  readonly status: 'pending' | 'active' | 'suspended' | 'cancelling' | 'cancelled' | 'failed' | 'expired' | 'superseded'
  readonly licenseArn?: string | undefined
  readonly customerAWSAccountId?: string | undefined
  readonly customerIdentifier?: string | undefined
  readonly agreementId?: string | undefined
  /** When AWS, or off AWS the seller, let access start. */
  readonly grantedAt?: string | undefined
  /** Absent: no end, or unknown. */
  readonly termEnd?: string | undefined
  /** Absent: AWS has not said. */
  readonly freeTrial?: boolean | undefined
  /** From when usage is counted. */
  readonly accessStart: string
  readonly accessEnd?: string | undefined
  /** Until when AWS takes final usage. */
  readonly finalWindowEnd?: string | undefined
  /** The subscription that took its place, and takes what comes late. */
  readonly successor?: string | undefined
  readonly createdAt: string
}

export interface SubscriptionDetail {
  readonly id: string
  readonly product: string
  readonly buyer: string
  /** How it was bought. Only what came through AWS Marketplace is metered to AWS. */
  readonly channel: 'aws' | 'direct' | 'free'
  readonly plan?: string | undefined
  readonly tenantId?: string | undefined
  readonly status: 'pending' | 'active' | 'suspended' | 'cancelling' | 'cancelled' | 'failed' | 'expired' | 'superseded'
  readonly licenseArn?: string | undefined
  readonly customerAWSAccountId?: string | undefined
  readonly customerIdentifier?: string | undefined
  readonly agreementId?: string | undefined
  /** When AWS, or off AWS the seller, let access start. */
  readonly grantedAt?: string | undefined
  /** Absent: no end, or unknown. */
  readonly termEnd?: string | undefined
  /** Absent: AWS has not said. */
  readonly freeTrial?: boolean | undefined
  /** From when usage is counted. */
  readonly accessStart: string
  readonly accessEnd?: string | undefined
  /** Until when AWS takes final usage. */
  readonly finalWindowEnd?: string | undefined
  /** The subscription that took its place, and takes what comes late. */
  readonly successor?: string | undefined
  readonly createdAt: string
  readonly access: {
    /** May the buyer use the product? What of it, `/entitlements/check` says. */
    readonly allowed: boolean
    readonly reason?: 'pending' | 'suspended' | 'cancelling' | 'ended' | 'not_entitled' | undefined
  }
  /** In words: how it is, and what happens next. */
  readonly explanation: {
    readonly state: string
    readonly next: string
  }
  /** What AWS lets a seller see of them; never guessed. */
  readonly terms: {
    readonly soldBy: 'seller' | 'partner' | 'unknown'
    /** Whose price holds: none, the seller’s own, or what the buyer accepted on AWS Marketplace. `unknown` where a channel partner sold it: AWS does not show its price to the manufacturer. */
    readonly price: 'free' | 'seller' | 'aws' | 'unknown'
    readonly freeTrial: 'yes' | 'no' | 'unknown'
    /** A time, `none` or `unknown`. */
    readonly termEnd: string
  }
  /** What AWS said of the agreement that it follows. */
  readonly agreement?: {
    readonly agreementId?: string | undefined
    readonly previousAgreementId?: string | undefined
    readonly offerId?: string | undefined
    readonly intent?: string | undefined
    /** AWS’s status of an ended agreement. */
    readonly endStatus?: string | undefined
    readonly acceptedAt?: string | undefined
    readonly startsAt?: string | undefined
    /** AWS’s words on access, oldest first, by AWS’s own times. */
    readonly said: ReadonlyArray<{
      readonly at: string
      readonly what: 'granted' | 'refused' | 'withdrawn' | 'closed' | 'ended'
    }>
  } | undefined
  /** AWS’s word for why it ended, or ours. */
  readonly endReason?: string | undefined
  /** Of an ended one: what is left to bill. */
  readonly finalUsage?: {
    readonly settled: boolean
    readonly openHours: number
    readonly heldHours: number
    readonly unsentRecords: number
    readonly inDoubtRecords: number
  } | undefined
  /** What a person should look at. */
  readonly alarms: ReadonlyArray<{
    readonly kind: string
    readonly message: string
    readonly since: string
    readonly last: string
    readonly count: number
  }>
}

export interface ApiKey {
  readonly id: string
  readonly product: string
  readonly buyer: string
  /** The only one that it is good for. */
  readonly subscription?: string | undefined
  readonly user?: string | undefined
  readonly name?: string | undefined
  readonly scopes: readonly string[]
  /** The last characters of the secret’s random part. */
  readonly hint: string
  /** replaced: rotated; works until `usableUntil`. */
  readonly state: 'active' | 'replaced' | 'expired' | 'revoked'
  readonly createdAt: string
  readonly expiresAt?: string | undefined
  readonly revokedAt?: string | undefined
  /** The key that was made in its place. */
  readonly replacedBy?: string | undefined
  readonly usableUntil?: string | undefined
  /** To the minute; written down a minute later. */
  readonly lastUsedAt?: string | undefined
}

export interface UsageBucket {
  readonly product: string
  readonly subscription: string
  readonly dimension: string
  readonly hourStart: string
  readonly status: 'open' | 'held' | 'closed'
  /** In the dimension’s own unit; absent once the dimension is no longer configured. */
  readonly quantity?: string | undefined
  /** An integer of the dimension’s smallest unit, as a decimal string. */
  readonly baseUnits: string
  /** An integer of the dimension’s smallest unit, as a decimal string. */
  readonly unbillableBaseUnits: string
  readonly events: number
  readonly hold?: {
    readonly reason: string
    readonly heldAt: string
  } | undefined
}

export interface UsageRecordSummary {
  readonly id: string
  readonly product: string
  readonly subscription: string
  readonly dimension: string
  readonly hourStart: string
  readonly timestamp: string
  readonly region: string
  readonly identity: {
    readonly kind: 'license' | 'legacy'
    readonly licenseArn?: string | undefined
    readonly customerAWSAccountId?: string | undefined
    readonly productCode?: string | undefined
    readonly customerIdentifier?: string | undefined
  }
  /** Whole units, as AWS is sent them. */
  readonly quantity: number
  readonly baseUnitsPerUnit: string
  readonly state: 'ready' | 'sent' | 'accepted' | 'assumed' | 'in_doubt' | 'conflict' | 'refused' | 'carried'
  readonly deadline: string
  readonly sealedAt: string
  readonly attempts: number
  readonly unanswered: number
  readonly nextAttemptAt?: string | undefined
  readonly meteringRecordId?: string | undefined
  readonly note?: string | undefined
  readonly allocationCount: number
}

export interface UsageRecord {
  readonly id: string
  readonly product: string
  readonly subscription: string
  readonly dimension: string
  readonly hourStart: string
  readonly timestamp: string
  readonly region: string
  readonly identity: {
    readonly kind: 'license' | 'legacy'
    readonly licenseArn?: string | undefined
    readonly customerAWSAccountId?: string | undefined
    readonly productCode?: string | undefined
    readonly customerIdentifier?: string | undefined
  }
  /** Whole units, as AWS is sent them. */
  readonly quantity: number
  readonly baseUnitsPerUnit: string
  readonly state: 'ready' | 'sent' | 'accepted' | 'assumed' | 'in_doubt' | 'conflict' | 'refused' | 'carried'
  readonly deadline: string
  readonly sealedAt: string
  readonly attempts: number
  readonly unanswered: number
  readonly nextAttemptAt?: string | undefined
  readonly meteringRecordId?: string | undefined
  readonly note?: string | undefined
  readonly allocations: ReadonlyArray<{
    readonly quantity: number
    readonly tags: Readonly<Record<string, string>>
  }>
}

export interface UsageAttempt {
  readonly id: string
  readonly startedAt: string
  readonly finishedAt?: string | undefined
  readonly outcome: 'answered' | 'unanswered' | 'in_flight'
  readonly records: readonly string[]
  /** What was sent to AWS, as JSON. */
  readonly request: string
  /** What AWS answered. */
  readonly response?: string | undefined
}

export interface UsageStatus {
  readonly mode: 'simulated' | 'shadow' | 'live'
  readonly records: {
    readonly ready: number
    readonly sent: number
    readonly accepted: number
    readonly assumed: number
    readonly in_doubt: number
    readonly conflict: number
    readonly refused: number
    readonly carried: number
  }
  readonly oldest?: {
    readonly hourStart: string
    readonly deadline: string
    readonly product: string
    /** How long AWS still takes it; below zero: it does not. */
    readonly timeLeftMs: number
  } | undefined
  readonly openBuckets: number
  readonly heldBuckets: number
  readonly pending: ReadonlyArray<{
    readonly product: string
    readonly dimension: string
    readonly units: string
    /** US dollars by the configured prices, exact. */
    readonly amount?: string | undefined
  }>
  /** US dollars by the configured prices, exact. */
  readonly atRisk: string
  /** Hours that should be sealed by now. */
  readonly overdue: ReadonlyArray<{
    readonly product: string
    readonly buckets: number
    readonly oldestHourStart: string
    readonly deadline: string
  }>
  /** Hours that wait for a person. */
  readonly held: ReadonlyArray<{
    readonly product: string
    readonly buckets: number
    readonly oldestHourStart: string
    readonly deadline: string
  }>
  /** Whole units that wait for a next hour. */
  readonly carried: ReadonlyArray<{
    readonly product: string
    readonly dimension: string
    /** An integer of the dimension’s smallest unit, as a decimal string. */
    readonly baseUnits: string
  }>
  /** More than AWS takes at an end. */
  readonly refusedUnrecorded: ReadonlyArray<{
    readonly product: string
    readonly dimension: string
    /** An integer of the dimension’s smallest unit, as a decimal string. */
    readonly baseUnits: string
  }>
  /** Remainders at an end. */
  readonly forgiven: ReadonlyArray<{
    readonly product: string
    readonly dimension: string
    /** An integer of the dimension’s smallest unit, as a decimal string. */
    readonly baseUnits: string
  }>
  readonly lateAcrossMonths: number
  readonly lateAcrossAgreements: number
  readonly unbillable: ReadonlyArray<{
    readonly product: string
    readonly dimension: string
    /** An integer of the dimension’s smallest unit, as a decimal string. */
    readonly baseUnits: string
  }>
}

export interface HistoryEntry {
  /** When it was done, or came here. */
  readonly at: string
  /** change: of ours, audited · event: a notification of AWS Marketplace */
  readonly kind: 'change' | 'event'
  readonly actor?: string | undefined
  readonly action?: string | undefined
  /** Of a change: the fields that it changed. */
  readonly before?: unknown | undefined
  readonly after?: unknown | undefined
  readonly event?: {
    readonly id: string
    /** AWS’s word for it. */
    readonly name: string
    /** What it means. */
    readonly kind: string
    readonly channel: string
    /** AWS’s own time. */
    readonly occurredAt: string
    readonly state: 'followed' | 'waiting' | 'kept'
    readonly agreementId?: string | undefined
    readonly agreementStatus?: string | undefined
    readonly intent?: string | undefined
    readonly startsAt?: string | undefined
    readonly endsAt?: string | undefined
  } | undefined
}

/** What names a buyer of AWS Marketplace is answered 409: those subscribe there. */
export interface SubscriptionOpening {
  /** `free` or `direct`. On AWS Marketplace only the buyer accepts an agreement: `aws` is answered 409. */
  readonly channel: 'aws' | 'direct' | 'free'
  /** May be left out with a key that is bound to one, or where there is only one. */
  readonly product?: string | undefined
  readonly plan?: string | undefined
  /** Your own name for the buyer’s workspace. It has one such subscription at a time. */
  readonly tenantId?: string | undefined
  /** Of a buyer who is known already; by default whose tenant it is or was, else a new one. */
  readonly buyer?: string | undefined
  readonly contact?: {
    readonly email: string
    readonly name?: string | undefined
    readonly company?: string | undefined
    readonly phone?: string | undefined
  } | undefined
  readonly licenseArn?: string | undefined
  readonly customerAWSAccountId?: string | undefined
  readonly customerIdentifier?: string | undefined
  readonly agreementId?: string | undefined
}

/** What is left out stays. A subscription may be sent back as it was read, with changes: another value of a field that is not listed here is answered 422. */
export interface SubscriptionChanges {
  readonly plan?: string | undefined
  readonly tenantId?: string | undefined
  /** `active` lets a pending one begin that AWS has not confirmed, or resumes a suspended one. */
  readonly status?: 'pending' | 'active' | 'suspended' | 'cancelling' | 'cancelled' | 'failed' | 'expired' | 'superseded' | undefined
  /** Only off AWS Marketplace. */
  readonly suspended?: boolean | undefined
  /** Where AWS renewed or replaced an agreement and several could have taken its place: the agreement (`agmt-…`) or the subscription that did. */
  readonly successor?: string | undefined
  readonly [name: string]: unknown
}

export interface CancellationRequested {
  readonly subscription: Subscription
  readonly cancellationRequest: {
    readonly id: string
    readonly agreementId: string
    /** AWS’s: `PENDING_APPROVAL` until the buyer or time has decided. */
    readonly status: string
    readonly reasonCode?: string | undefined
    readonly createdAt?: string | undefined
    /** When AWS approves it by itself, if the buyer has not answered. */
    readonly autoApprovalAt: string
  }
  readonly detail: string
}

export interface UsageAmount {
  /** In the dimension’s own unit, exact. */
  readonly quantity: string
  /** Whole billed units; absent once the dimension is no longer configured. */
  readonly units?: string | undefined
  /** What is beside them, in the dimension’s smallest unit. */
  readonly remainder: string
}

export interface SubscriptionUsage {
  readonly subscription: string
  readonly product: string
  readonly from: string
  readonly to: string
  readonly granularity: 'total' | 'day' | 'hour'
  readonly dimensions: ReadonlyArray<{
    readonly dimension: string
    readonly name?: string | undefined
    readonly baseUnitsPerUnit?: string | undefined
    readonly events: number
    /** All that was reported. It is the sum of the others below, to the smallest unit. */
    readonly measured?: UsageAmount | undefined
    /** Paid for by a contract, or not bought through AWS Marketplace: counted, never sent. */
    readonly included?: UsageAmount | undefined
    /** AWS has it: accepted, or assumed after an attempt that was not answered. */
    readonly billed?: UsageAmount | undefined
    /** On its way: open, held, ready, sent and carry together. */
    readonly waiting?: UsageAmount | undefined
    /** AWS said no for good. */
    readonly refused?: UsageAmount | undefined
    /** AWS takes it no more, and nobody knows whether it has it. */
    readonly inDoubt?: UsageAmount | undefined
    /** Somebody else metered that hour. */
    readonly conflict?: UsageAmount | undefined
    /** Used when no subscription lived. */
    readonly unbillable?: UsageAmount | undefined
    /** Given away by a person. */
    readonly waived?: UsageAmount | undefined
    /** Less than a unit at the end; negative where it was rounded up. */
    readonly forgiven?: UsageAmount | undefined
    /** What `waiting` is made of. */
    readonly onTheWay: {
      /** In hours that still grow. */
      readonly open?: UsageAmount | undefined
      /** Waits for a person. */
      readonly held?: UsageAmount | undefined
      /** Sealed, not sent. */
      readonly ready?: UsageAmount | undefined
      /** Sent, not answered. */
      readonly sent?: UsageAmount | undefined
      /** What these hours left for later ones: less than a unit, or not sealed in time. Negative: they used up what earlier hours had left. */
      readonly carry?: UsageAmount | undefined
    }
    /** In order of time; those without usage are left out. */
    readonly periods?: ReadonlyArray<{
      readonly start: string
      readonly events: number
      /** All that was reported. It is the sum of the others below, to the smallest unit. */
      readonly measured?: UsageAmount | undefined
      /** Paid for by a contract, or not bought through AWS Marketplace: counted, never sent. */
      readonly included?: UsageAmount | undefined
      /** AWS has it: accepted, or assumed after an attempt that was not answered. */
      readonly billed?: UsageAmount | undefined
      /** On its way: open, held, ready, sent and carry together. */
      readonly waiting?: UsageAmount | undefined
      /** AWS said no for good. */
      readonly refused?: UsageAmount | undefined
      /** AWS takes it no more, and nobody knows whether it has it. */
      readonly inDoubt?: UsageAmount | undefined
      /** Somebody else metered that hour. */
      readonly conflict?: UsageAmount | undefined
      /** Used when no subscription lived. */
      readonly unbillable?: UsageAmount | undefined
      /** Given away by a person. */
      readonly waived?: UsageAmount | undefined
      /** Less than a unit at the end; negative where it was rounded up. */
      readonly forgiven?: UsageAmount | undefined
    }> | undefined
  }>
}

export interface MetricOutcome {
  readonly metric: string
  readonly dimension?: string | undefined
  /** accepted: on disk, counted in its hour · late: on disk, counted in a later hour · duplicate: seen before, counted once · conflict: its id was seen with other content · refused: not counted */
  readonly status: 'accepted' | 'late' | 'duplicate' | 'conflict' | 'refused'
  readonly reason?: string | undefined
  readonly code?: string | undefined
  readonly meteringRecordId?: string | undefined
}

/** Metric names, or dimension keys, and their values: `{"totalScans": 50, "totalUsers": 10}`. */
export interface Metrics {
  /** When it was read; now, by default. */
  readonly time?: string | undefined
  /** Needed, with `time`, where a metric is no total or gauge: what adds up must not repeat. */
  readonly correlationId?: string | undefined
  readonly [name: string]: unknown
}

export interface Entitlement {
  /** AWS’s dimension key. */
  readonly dimension: string
  /** A number of units, a switch or a text, as AWS wrote it. */
  readonly value: unknown
  /** Valid at least until then; a renewal moves it. Not an end of access by itself. */
  readonly expiresAt?: string | undefined
}

export interface Access {
  readonly allowed: boolean
  /** pending: registered, AWS has not said that access starts · suspended: the seller holds it · cancelling, ended: it is over · not_entitled: plan and contract do not include it */
  readonly reason?: 'pending' | 'suspended' | 'cancelling' | 'ended' | 'not_entitled' | undefined
  readonly buyer: string
  readonly subscription: string
  readonly product: string
  readonly status: string
  readonly plan?: string | undefined
  /** Of the plan: on or off, a number, or a text. */
  readonly features: Readonly<Record<string, unknown>>
  readonly limits: ReadonlyArray<{
    readonly dimension: string
    readonly quantity: number | string
    readonly window: string
    readonly onExceed: 'block' | 'bill'
  }>
  readonly entitlements: readonly Entitlement[]
  /** The earliest date of an entitlement, else the agreement’s end. */
  readonly expiresAt?: string | undefined
  /** When AWS was asked what it answered last. */
  readonly readAt?: string | undefined
  readonly ageSeconds?: number | undefined
  /** AWS could not be asked lately, or never: what it said last still serves. */
  readonly stale: boolean
  /** Where the buyer has several: all of them. The answer above is of the one that allows it. */
  readonly subscriptions?: ReadonlyArray<{
    readonly subscription: string
    readonly status: string
    readonly plan?: string | undefined
    readonly allowed: boolean
    /** pending: registered, AWS has not said that access starts · suspended: the seller holds it · cancelling, ended: it is over · not_entitled: plan and contract do not include it */
    readonly reason?: 'pending' | 'suspended' | 'cancelling' | 'ended' | 'not_entitled' | undefined
  }> | undefined
}

export interface Contract {
  readonly subscription: string
  readonly entitlements: readonly Entitlement[]
  readonly readAt?: string | undefined
  readonly ageSeconds?: number | undefined
  readonly stale: boolean
  /** Since then AWS has answered that nothing is granted. */
  readonly emptySince?: string | undefined
  /** When AWS was asked in vain since. */
  readonly failedAt?: string | undefined
  readonly failure?: string | undefined
  /** What was granted from when on: included units of an hour are counted by it. */
  readonly periods: ReadonlyArray<{
    readonly dimension: string
    readonly units: number
    /** Left out: from the beginning on. */
    readonly from?: string | undefined
  }>
  /** Which plan held from when on; empty where it never changed. */
  readonly plans: ReadonlyArray<{
    readonly plan?: string | undefined
    readonly from?: string | undefined
  }>
}

export interface QuotaLimit {
  readonly window: 'minute' | 'hour' | 'day' | 'month' | 'lifetime'
  readonly limit: number | string
  /** What is reserved is in it. */
  readonly used: number
  readonly remaining: number | string
  readonly resetAt?: string | undefined
  /** bill: more is let through, and charged. */
  readonly onExceed: 'block' | 'bill'
}

/** What to show to whoever needs more. A buyer who came through AWS Marketplace is shown its address alone. */
export interface Upgrade {
  readonly plan?: string | undefined
  readonly title?: string | undefined
  readonly url?: string | undefined
  readonly message: string
}

export interface QuotaAnswer {
  readonly allowed: boolean
  /** key_…: the API key is no good, or lacks the scope · pending: registered, access has not started · suspended: the seller holds it · cancelling, ended: it is over · not_entitled: the plan does not include it · quota_exceeded: a limit that blocks has no room · trial_ended · challenge_required: a visitor has to solve `challenge` first · rate_limited: the API key is not known, and too many such were tried lately; one that is good is never answered so */
  readonly reason?: 'key_unknown' | 'key_revoked' | 'key_expired' | 'key_scope' | 'pending' | 'suspended' | 'cancelling' | 'ended' | 'not_entitled' | 'quota_exceeded' | 'trial_ended' | 'challenge_required' | 'rate_limited' | undefined
  /** The reason in a sentence, for people. */
  readonly message?: string | undefined
  readonly dimension: string
  readonly quantity: number
  readonly limits: readonly QuotaLimit[]
  readonly remaining?: number | string | undefined
  readonly resetAt?: string | undefined
  readonly retryAfterSeconds?: number | undefined
  /** Its id was let through before; nothing was counted now. */
  readonly repeated?: boolean | undefined
  /** Of the usage event that it became: the gate meters this dimension. */
  readonly recordId?: string | undefined
  /** Of `challenge_required`: what the ALTCHA widget solves. Ask again with its payload as `visitor.challenge`, within 10 minutes. */
  readonly challenge?: Readonly<Record<string, unknown>> | undefined
  /** Why the payload that came along was not taken: here is another challenge. */
  readonly challengeProblem?: 'wrong' | 'expired' | 'used' | undefined
  readonly plan?: string | undefined
  readonly product?: string | undefined
  readonly subscription?: string | undefined
  readonly buyer?: string | undefined
  /** The seller’s own id of the buyer. */
  readonly tenant?: string | undefined
  /** Of a visitor without a key: random, and no address. */
  readonly visitor?: string | undefined
  /** The user that the key is bound to. */
  readonly user?: string | undefined
  readonly keyId?: string | undefined
  readonly channel?: 'aws' | 'direct' | 'free' | undefined
  readonly features?: Readonly<Record<string, unknown>> | undefined
  readonly trialEndsAt?: string | undefined
  readonly upgrade?: Upgrade | undefined
}

export interface ReservationAnswer {
  readonly allowed: boolean
  /** key_…: the API key is no good, or lacks the scope · pending: registered, access has not started · suspended: the seller holds it · cancelling, ended: it is over · not_entitled: the plan does not include it · quota_exceeded: a limit that blocks has no room · trial_ended · challenge_required: a visitor has to solve `challenge` first · rate_limited: the API key is not known, and too many such were tried lately; one that is good is never answered so */
  readonly reason?: 'key_unknown' | 'key_revoked' | 'key_expired' | 'key_scope' | 'pending' | 'suspended' | 'cancelling' | 'ended' | 'not_entitled' | 'quota_exceeded' | 'trial_ended' | 'challenge_required' | 'rate_limited' | undefined
  /** The reason in a sentence, for people. */
  readonly message?: string | undefined
  readonly dimension: string
  readonly quantity: number
  readonly limits: readonly QuotaLimit[]
  readonly remaining?: number | string | undefined
  readonly resetAt?: string | undefined
  readonly retryAfterSeconds?: number | undefined
  /** Its id was let through before; nothing was counted now. */
  readonly repeated?: boolean | undefined
  /** Of the usage event that it became: the gate meters this dimension. */
  readonly recordId?: string | undefined
  /** Of `challenge_required`: what the ALTCHA widget solves. Ask again with its payload as `visitor.challenge`, within 10 minutes. */
  readonly challenge?: Readonly<Record<string, unknown>> | undefined
  /** Why the payload that came along was not taken: here is another challenge. */
  readonly challengeProblem?: 'wrong' | 'expired' | 'used' | undefined
  readonly plan?: string | undefined
  readonly product?: string | undefined
  readonly subscription?: string | undefined
  readonly buyer?: string | undefined
  /** The seller’s own id of the buyer. */
  readonly tenant?: string | undefined
  /** Of a visitor without a key: random, and no address. */
  readonly visitor?: string | undefined
  /** The user that the key is bound to. */
  readonly user?: string | undefined
  readonly keyId?: string | undefined
  readonly channel?: 'aws' | 'direct' | 'free' | undefined
  readonly features?: Readonly<Record<string, unknown>> | undefined
  readonly trialEndsAt?: string | undefined
  readonly upgrade?: Upgrade | undefined
  /** Missing where it is refused. `settled`: this id was, before; its work is done. */
  readonly reservation?: {
    readonly id: string
    readonly state: 'held' | 'settled'
    readonly expiresAt: string
  } | undefined
}

export interface Reservation {
  readonly id: string
  readonly state: 'held' | 'settled' | 'released' | 'expired'
  /** False: it had expired, and there is no room for it any more. */
  readonly settled: boolean
  readonly dimension: string
  readonly reserved: number
  readonly used?: number | undefined
  readonly recordId?: string | undefined
  /** Of what the gate meters, once it is settled. False: nobody pays for it by use, or the subscription ended too long ago for AWS to take it, and it is kept and shown as unbillable. */
  readonly billed?: boolean | undefined
  /** Why it is not billed. */
  readonly reason?: string | undefined
}

export interface QuotaOverview {
  readonly allowed: boolean
  /** key_…: the API key is no good, or lacks the scope · pending: registered, access has not started · suspended: the seller holds it · cancelling, ended: it is over · not_entitled: the plan does not include it · quota_exceeded: a limit that blocks has no room · trial_ended · challenge_required: a visitor has to solve `challenge` first · rate_limited: the API key is not known, and too many such were tried lately; one that is good is never answered so */
  readonly reason?: 'key_unknown' | 'key_revoked' | 'key_expired' | 'key_scope' | 'pending' | 'suspended' | 'cancelling' | 'ended' | 'not_entitled' | 'quota_exceeded' | 'trial_ended' | 'challenge_required' | 'rate_limited' | undefined
  readonly plan?: string | undefined
  readonly product?: string | undefined
  readonly subscription?: string | undefined
  readonly buyer?: string | undefined
  /** The seller’s own id of the buyer. */
  readonly tenant?: string | undefined
  /** Of a visitor without a key: random, and no address. */
  readonly visitor?: string | undefined
  /** The user that the key is bound to. */
  readonly user?: string | undefined
  readonly keyId?: string | undefined
  readonly channel?: 'aws' | 'direct' | 'free' | undefined
  readonly features?: Readonly<Record<string, unknown>> | undefined
  readonly trialEndsAt?: string | undefined
  readonly upgrade?: Upgrade | undefined
  readonly limits: ReadonlyArray<{
    readonly dimension: string
    readonly window: string
    readonly limit: number | string
    readonly used: number
    readonly remaining: number | string
    readonly resetAt?: string | undefined
    readonly onExceed: string
  }>
}

export interface Conversion {
  /** converted: noted now · repeated: noted before · taken: this visitor became another buyer before, and stays so · unknown: no visitor from there was seen lately */
  readonly status: 'converted' | 'repeated' | 'taken' | 'unknown'
  readonly visitor?: string | undefined
  readonly product: string
  readonly buyer: string
  readonly subscription: string
  readonly firstSeenAt?: string | undefined
  readonly convertedAt?: string | undefined
}

export interface Buyer {
  readonly id: string
  readonly product: string
  readonly customerAWSAccountId?: string | undefined
  readonly customerIdentifier?: string | undefined
  readonly createdAt: string
}

/** Personal data. */
export interface Contact {
  readonly email: string
  readonly name?: string | undefined
  readonly company?: string | undefined
  readonly phone?: string | undefined
  readonly registeredAt: string
}

export interface BuyerDetail {
  readonly id: string
  readonly product: string
  readonly customerAWSAccountId?: string | undefined
  readonly customerIdentifier?: string | undefined
  readonly createdAt: string
  /** Newest first, the latest 100. */
  readonly subscriptions: readonly Subscription[]
  /** Those who registered, newest first; only with a key that has `subscriptions:write`. */
  readonly contacts?: readonly Contact[] | undefined
}

export interface BuyerExport {
  readonly exportedAt: string
  readonly buyer: Buyer
  readonly contacts: readonly Contact[]
  /** Mail that was kept on this machine. */
  readonly mails: ReadonlyArray<{
    readonly at: string
    readonly to: string
    readonly subject: string
    readonly text: string
  }>
  readonly subscriptions: readonly Subscription[]
  /** API keys of its users, newest first. */
  readonly keys: readonly ApiKey[]
}

export interface BuyerErased {
  readonly contacts: number
  readonly mails: number
}

/** How an endpoint is, and was. */
export interface EndpointHealth {
  readonly endpoint: string
  readonly url: string
  readonly state: 'unknown' | 'up' | 'down'
  /** It has been so since then. */
  readonly since?: string | undefined
  /** When it was last asked. */
  readonly checkedAt?: string | undefined
  /** Of the last good answer. */
  readonly latencyMs?: number | undefined
  /** In a row, up to now. */
  readonly failures: number
  /** Why it failed last, or is not asked. */
  readonly reason?: string | undefined
  readonly uptime: {
    readonly '24h': {
      /** Good answers. */
      readonly up: number
      /** Failures. */
      readonly down: number
      /** Two decimals, rounded down; absent where nobody asked. */
      readonly percent?: number | undefined
    }
    readonly '7d': {
      /** Good answers. */
      readonly up: number
      /** Failures. */
      readonly down: number
      /** Two decimals, rounded down; absent where nobody asked. */
      readonly percent?: number | undefined
    }
    readonly '30d': {
      /** Good answers. */
      readonly up: number
      /** Failures. */
      readonly down: number
      /** Two decimals, rounded down; absent where nobody asked. */
      readonly percent?: number | undefined
    }
  }
  /** The last twenty, newest first. */
  readonly changes: ReadonlyArray<{
    readonly at: string
    readonly state: 'unknown' | 'up' | 'down'
    readonly reason?: string | undefined
  }>
}

export interface EndpointHour {
  readonly endpoint: string
  /** When it began. */
  readonly hour: string
  /** Good answers. */
  readonly up: number
  /** Failures. */
  readonly down: number
  /** Half of the good answers took no longer. */
  readonly p50Ms?: number | undefined
  readonly p95Ms?: number | undefined
  readonly maxMs?: number | undefined
}

/** An address at which a product serves. */
export interface Endpoint {
  /** Unique within the product. */
  readonly id: string
  /** Where it serves. */
  readonly url: string
  /** Where it says how it is: any 2xx is up. `https://` in shadow and live mode. Without it nobody asks. */
  readonly healthUrl?: string | undefined
  /** From one question to the next. */
  readonly everySeconds: number
  /** How long an answer may take. */
  readonly timeoutSeconds: number
  /** So many failures in a row make it down. */
  readonly downAfter: number
  /** May be on a private network. Only configuration says so. */
  readonly allowPrivate: boolean
  /** `config`: declared in the configuration, and changed there alone. */
  readonly origin: 'config' | 'api'
}

/** An endpoint in the words of `tollkeeper.yaml`. */
export interface EndpointInput {
  /** Unique within the product. */
  readonly id?: string | undefined
  /** Where it serves. */
  readonly url?: string | undefined
  /** Where it says how it is: any 2xx is up. `https://` in shadow and live mode. Without it nobody asks. */
  readonly healthUrl?: string | undefined
  /** From one question to the next. */
  readonly everySeconds?: number | undefined
  /** How long an answer may take. */
  readonly timeoutSeconds?: number | undefined
  /** So many failures in a row make it down. */
  readonly downAfter?: number | undefined
  /** May be on a private network. Only configuration says so. */
  readonly allowPrivate?: boolean | undefined
  readonly origin?: unknown | undefined
}

/** A named bundle of features and limits. */
export interface Plan {
  readonly id: string
  readonly title: string
  /** Who gets it: visitors without a key, those who registered and pay nothing, or those who bought it. */
  readonly audience: 'anonymous' | 'registered' | 'paid'
  /** Key of the entitled dimension of AWS that grants it. */
  readonly grantedBy?: string | undefined
  readonly trial?: {
    readonly days: number
  } | undefined
  /** What it costs, for people to read; `custom`: agreed with each buyer. */
  readonly price?: 'custom' | {
    readonly amount: number | string
    readonly currency: string
    readonly per: 'month' | 'year'
  } | undefined
  /** The plan that one moves up to. */
  readonly upgradeTo?: string | undefined
  /** What the product asks for: on or off, a number, or a text. */
  readonly features: Readonly<Record<string, unknown>>
  readonly limits: ReadonlyArray<{
    /** What is limited. */
    readonly dimension: string
    /** How much of it, or `unlimited`. */
    readonly quantity: number | string
    /** When it starts anew, in UTC; `month` from the subscription's anniversary. */
    readonly window: 'minute' | 'hour' | 'day' | 'month' | 'lifetime'
    /** What happens to more: it is refused, or let through and billed. */
    readonly onExceed: 'block' | 'bill'
  }>
  readonly included: ReadonlyArray<{
    readonly dimension: string
    readonly units: number | string
    readonly per?: string | undefined
    readonly reset: 'calendarMonth' | 'anniversary' | 'term'
  }>
  /** Of this plan or product: 1 for the first. */
  readonly version: number
  /** Holds from then on; left out: as far back as it goes. */
  readonly since?: string | undefined
  /** `config`: declared in the configuration, and changed there alone. */
  readonly origin: 'config' | 'api'
  /** Nobody gets it any more; whoever is on it keeps it. */
  readonly retired: boolean
  /** When it becomes another one: see its history. */
  readonly next?: string | undefined
}

export interface PlanVersion {
  readonly id: string
  readonly title: string
  /** Who gets it: visitors without a key, those who registered and pay nothing, or those who bought it. */
  readonly audience: 'anonymous' | 'registered' | 'paid'
  /** Key of the entitled dimension of AWS that grants it. */
  readonly grantedBy?: string | undefined
  readonly trial?: {
    readonly days: number
  } | undefined
  /** What it costs, for people to read; `custom`: agreed with each buyer. */
  readonly price?: 'custom' | {
    readonly amount: number | string
    readonly currency: string
    readonly per: 'month' | 'year'
  } | undefined
  /** The plan that one moves up to. */
  readonly upgradeTo?: string | undefined
  /** What the product asks for: on or off, a number, or a text. */
  readonly features: Readonly<Record<string, unknown>>
  readonly limits: ReadonlyArray<{
    /** What is limited. */
    readonly dimension: string
    /** How much of it, or `unlimited`. */
    readonly quantity: number | string
    /** When it starts anew, in UTC; `month` from the subscription's anniversary. */
    readonly window: 'minute' | 'hour' | 'day' | 'month' | 'lifetime'
    /** What happens to more: it is refused, or let through and billed. */
    readonly onExceed: 'block' | 'bill'
  }>
  readonly included: ReadonlyArray<{
    readonly dimension: string
    readonly units: number | string
    readonly per?: string | undefined
    readonly reset: 'calendarMonth' | 'anniversary' | 'term'
  }>
  /** Of this plan or product: 1 for the first. */
  readonly version: number
  /** Holds from then on; left out: as far back as it goes. */
  readonly since?: string | undefined
  /** `config`: declared in the configuration, and changed there alone. */
  readonly origin: 'config' | 'api'
  /** Nobody gets it any more; whoever is on it keeps it. */
  readonly retired: boolean
  /** Who wrote it. */
  readonly actor: string
  readonly at: string
}

/** A plan in the words of `tollkeeper.yaml`. */
export interface PlanInput {
  readonly id?: string | undefined
  readonly title?: string | undefined
  /** Who gets it: visitors without a key, those who registered and pay nothing, or those who bought it. */
  readonly audience?: 'anonymous' | 'registered' | 'paid' | undefined
  /** Key of the entitled dimension of AWS that grants it. */
  readonly grantedBy?: string | undefined
  readonly trial?: {
    readonly days: number
  } | undefined
  /** What it costs, for people to read; `custom`: agreed with each buyer. */
  readonly price?: 'custom' | {
    readonly amount?: string | number | undefined
    readonly currency?: string | undefined
    readonly per?: 'month' | 'year' | undefined
  } | undefined
  /** The plan that one moves up to. */
  readonly upgradeTo?: string | undefined
  /** What the product asks for: on or off, a number, or a text. */
  readonly features?: Readonly<Record<string, unknown>> | undefined
  readonly limits?: ReadonlyArray<{
    /** What is limited. */
    readonly dimension?: string | undefined
    readonly quantity?: string | number | undefined
    /** When it starts anew, in UTC; `month` from the subscription's anniversary. */
    readonly window?: 'minute' | 'hour' | 'day' | 'month' | 'lifetime' | undefined
    /** What happens to more: it is refused, or let through and billed. */
    readonly onExceed?: 'block' | 'bill' | undefined
  }> | undefined
  readonly included?: ReadonlyArray<{
    readonly dimension?: string | undefined
    readonly units?: string | number | undefined
    readonly per?: string | undefined
    readonly reset?: 'calendarMonth' | 'anniversary' | 'term' | undefined
  }> | undefined
  /** Holds from then on, RFC 3339 with a zone; default: now. Never before now. */
  readonly from?: string | undefined
  readonly version?: unknown | undefined
  readonly since?: unknown | undefined
  readonly origin?: unknown | undefined
  readonly retired?: unknown | undefined
  readonly next?: unknown | undefined
}

/** What is sold. */
export interface Product {
  readonly id: string
  readonly title: string
  /** AWS’s product code. */
  readonly productCode: string
  /** AWS’s entity id, `prod-…`. */
  readonly productId?: string | undefined
  readonly pricing: 'usage' | 'contract' | 'contract-with-consumption'
  readonly metering: 'license' | 'legacy'
  readonly region: string
  readonly listing: string
  readonly graceMinutes: number
  readonly goodbyeSettleMinutes: number
  /** Where one moves up to another plan, by the channel that a buyer came through. */
  readonly upgradeUrl: {
    readonly aws?: string | undefined
    readonly direct?: string | undefined
  }
  readonly landing: {
    readonly description?: string | undefined
    readonly logoUrl?: string | undefined
    readonly accentColor?: string | undefined
    readonly supportEmail?: string | undefined
    readonly supportUrl?: string | undefined
    readonly loginUrl?: string | undefined
    readonly nextSteps?: string | undefined
    readonly fields: ReadonlyArray<{
      readonly name: string
      readonly required: boolean
    }>
  }
  readonly dimensions: ReadonlyArray<{
    /** AWS’s dimension key. */
    readonly key: string
    readonly name: string
    readonly aggregation: 'sum' | 'count' | 'max' | 'unique' | 'total'
    readonly per?: 'hour' | 'day' | 'month' | undefined
    readonly scale: number
    readonly unitSize: number | string
    readonly holdAbove?: {
      readonly units?: number | string | undefined
      readonly times?: number | undefined
    } | undefined
    readonly onDeadline: 'release' | 'waive'
    readonly remainder: 'forgive' | 'roundUp'
    readonly reportZero: boolean
    readonly price?: number | string | undefined
    readonly metrics: readonly string[]
    readonly meteredBy: 'product' | 'gate'
  }>
  readonly endpoints: readonly Endpoint[]
  /** As they are now. */
  readonly plans: readonly Plan[]
  /** `config`: declared in the configuration, and changed there alone. */
  readonly origin: 'config' | 'api'
}

export interface ProductVersion {
  readonly id: string
  readonly title: string
  /** AWS’s product code. */
  readonly productCode: string
  /** AWS’s entity id, `prod-…`. */
  readonly productId?: string | undefined
  readonly pricing: 'usage' | 'contract' | 'contract-with-consumption'
  readonly metering: 'license' | 'legacy'
  readonly region: string
  readonly listing: string
  readonly graceMinutes: number
  readonly goodbyeSettleMinutes: number
  /** Where one moves up to another plan, by the channel that a buyer came through. */
  readonly upgradeUrl: {
    readonly aws?: string | undefined
    readonly direct?: string | undefined
  }
  readonly landing: {
    readonly description?: string | undefined
    readonly logoUrl?: string | undefined
    readonly accentColor?: string | undefined
    readonly supportEmail?: string | undefined
    readonly supportUrl?: string | undefined
    readonly loginUrl?: string | undefined
    readonly nextSteps?: string | undefined
    readonly fields: ReadonlyArray<{
      readonly name: string
      readonly required: boolean
    }>
  }
  readonly dimensions: ReadonlyArray<{
    /** AWS’s dimension key. */
    readonly key: string
    readonly name: string
    readonly aggregation: 'sum' | 'count' | 'max' | 'unique' | 'total'
    readonly per?: 'hour' | 'day' | 'month' | undefined
    readonly scale: number
    readonly unitSize: number | string
    readonly holdAbove?: {
      readonly units?: number | string | undefined
      readonly times?: number | undefined
    } | undefined
    readonly onDeadline: 'release' | 'waive'
    readonly remainder: 'forgive' | 'roundUp'
    readonly reportZero: boolean
    readonly price?: number | string | undefined
    readonly metrics: readonly string[]
    readonly meteredBy: 'product' | 'gate'
  }>
  readonly endpoints: readonly Endpoint[]
  /** Of this plan or product: 1 for the first. */
  readonly version: number
  /** Holds from then on; left out: as far back as it goes. */
  readonly since?: string | undefined
  /** `config`: declared in the configuration, and changed there alone. */
  readonly origin: 'config' | 'api'
  /** Nobody gets it any more; whoever is on it keeps it. */
  readonly retired: boolean
  readonly actor: string
  readonly at: string
}

/** A product in the words of `tollkeeper.yaml`. */
export interface ProductInput {
  readonly id?: string | undefined
  readonly title?: string | undefined
  /** AWS’s product code. */
  readonly productCode?: string | undefined
  /** AWS’s entity id, `prod-…`. */
  readonly productId?: string | undefined
  readonly pricing?: 'usage' | 'contract' | 'contract-with-consumption' | undefined
  readonly metering?: 'license' | 'legacy' | undefined
  readonly region?: string | undefined
  readonly listing?: string | undefined
  readonly graceMinutes?: number | undefined
  readonly goodbyeSettleMinutes?: number | undefined
  /** Where one moves up to another plan, by the channel that a buyer came through. */
  readonly upgradeUrl?: {
    readonly aws?: string | undefined
    readonly direct?: string | undefined
  } | undefined
  readonly landing?: {
    readonly description?: string | undefined
    readonly logoUrl?: string | undefined
    readonly accentColor?: string | undefined
    readonly supportEmail?: string | undefined
    readonly supportUrl?: string | undefined
    readonly loginUrl?: string | undefined
    readonly nextSteps?: string | undefined
    readonly fields?: ReadonlyArray<{
      readonly name: string
      readonly required: boolean
    }> | undefined
  } | undefined
  readonly dimensions?: ReadonlyArray<{
    /** AWS’s dimension key. */
    readonly key?: string | undefined
    readonly name?: string | undefined
    readonly aggregation?: 'sum' | 'count' | 'max' | 'unique' | 'total' | undefined
    readonly per?: 'hour' | 'day' | 'month' | undefined
    readonly scale?: number | undefined
    readonly unitSize?: string | number | undefined
    readonly holdAbove?: {
      readonly units?: string | number | undefined
      readonly times?: number | undefined
    } | undefined
    readonly onDeadline?: 'release' | 'waive' | undefined
    readonly remainder?: 'forgive' | 'roundUp' | undefined
    readonly reportZero?: boolean | undefined
    readonly price?: string | number | undefined
    readonly metrics?: readonly string[] | undefined
    readonly meteredBy?: 'product' | 'gate' | undefined
  }> | undefined
  /** Left out: they stay as they are. */
  readonly endpoints?: ReadonlyArray<{
    /** Unique within the product. */
    readonly id?: string | undefined
    /** Where it serves. */
    readonly url?: string | undefined
    /** Where it says how it is: any 2xx is up. `https://` in shadow and live mode. Without it nobody asks. */
    readonly healthUrl?: string | undefined
    /** From one question to the next. */
    readonly everySeconds?: number | undefined
    /** How long an answer may take. */
    readonly timeoutSeconds?: number | undefined
    /** So many failures in a row make it down. */
    readonly downAfter?: number | undefined
    /** May be on a private network. Only configuration says so. */
    readonly allowPrivate?: boolean | undefined
    readonly origin?: unknown | undefined
  }> | undefined
  /** Of a product that is there: its plans from now on, in this order; others are retired, but for those that are not there yet. A plan that says `retired: true` is not asked for, and stays retired. Left out: they stay as they are. */
  readonly plans?: ReadonlyArray<{
    readonly id?: string | undefined
    readonly title?: string | undefined
    /** Who gets it: visitors without a key, those who registered and pay nothing, or those who bought it. */
    readonly audience?: 'anonymous' | 'registered' | 'paid' | undefined
    /** Key of the entitled dimension of AWS that grants it. */
    readonly grantedBy?: string | undefined
    readonly trial?: {
      readonly days: number
    } | undefined
    /** What it costs, for people to read; `custom`: agreed with each buyer. */
    readonly price?: 'custom' | {
      readonly amount?: string | number | undefined
      readonly currency?: string | undefined
      readonly per?: 'month' | 'year' | undefined
    } | undefined
    /** The plan that one moves up to. */
    readonly upgradeTo?: string | undefined
    /** What the product asks for: on or off, a number, or a text. */
    readonly features?: Readonly<Record<string, unknown>> | undefined
    readonly limits?: ReadonlyArray<{
      /** What is limited. */
      readonly dimension?: string | undefined
      readonly quantity?: string | number | undefined
      /** When it starts anew, in UTC; `month` from the subscription's anniversary. */
      readonly window?: 'minute' | 'hour' | 'day' | 'month' | 'lifetime' | undefined
      /** What happens to more: it is refused, or let through and billed. */
      readonly onExceed?: 'block' | 'bill' | undefined
    }> | undefined
    readonly included?: ReadonlyArray<{
      readonly dimension?: string | undefined
      readonly units?: string | number | undefined
      readonly per?: string | undefined
      readonly reset?: 'calendarMonth' | 'anniversary' | 'term' | undefined
    }> | undefined
    readonly version?: unknown | undefined
    readonly since?: unknown | undefined
    readonly origin?: unknown | undefined
    readonly retired?: unknown | undefined
    readonly next?: unknown | undefined
  }> | undefined
  readonly origin?: unknown | undefined
}

export interface MadeApiKey {
  readonly id: string
  readonly product: string
  readonly buyer: string
  /** The only one that it is good for. */
  readonly subscription?: string | undefined
  readonly user?: string | undefined
  readonly name?: string | undefined
  readonly scopes: readonly string[]
  /** The last characters of the secret’s random part. */
  readonly hint: string
  /** replaced: rotated; works until `usableUntil`. */
  readonly state: 'active' | 'replaced' | 'expired' | 'revoked'
  readonly createdAt: string
  readonly expiresAt?: string | undefined
  readonly revokedAt?: string | undefined
  /** The key that was made in its place. */
  readonly replacedBy?: string | undefined
  readonly usableUntil?: string | undefined
  /** To the minute; written down a minute later. */
  readonly lastUsedAt?: string | undefined
  /** The secret, `tka_…`. It is not shown again. */
  readonly key: string
}

/** The new key, and the old one, which works until its `usableUntil`. */
export interface RotatedApiKey {
  readonly id: string
  readonly product: string
  readonly buyer: string
  /** The only one that it is good for. */
  readonly subscription?: string | undefined
  readonly user?: string | undefined
  readonly name?: string | undefined
  readonly scopes: readonly string[]
  /** The last characters of the secret’s random part. */
  readonly hint: string
  /** replaced: rotated; works until `usableUntil`. */
  readonly state: 'active' | 'replaced' | 'expired' | 'revoked'
  readonly createdAt: string
  readonly expiresAt?: string | undefined
  readonly revokedAt?: string | undefined
  /** The key that was made in its place. */
  readonly replacedBy?: string | undefined
  readonly usableUntil?: string | undefined
  /** To the minute; written down a minute later. */
  readonly lastUsedAt?: string | undefined
  /** The secret, `tka_…`. It is not shown again. */
  readonly key: string
  readonly replaces: ApiKey
}

/** Name the buyer by one of `subscriptionId`, `buyerId`, `tenantId`, `licenseArn`, `customerAWSAccountId`, `customerIdentifier`. By `subscriptionId` the key is bound to that subscription and what renews it, by all else to the buyer. */
export interface ApiKeyOrder {
  readonly product?: string | undefined
  readonly subscriptionId?: string | undefined
  readonly buyerId?: string | undefined
  readonly tenantId?: string | undefined
  readonly licenseArn?: string | undefined
  readonly customerAWSAccountId?: string | undefined
  readonly customerIdentifier?: string | undefined
  /** Your own id of the user: an id, not a name or an address. */
  readonly user?: string | undefined
  /** A label to tell it by: not a person’s name. */
  readonly name?: string | undefined
  /** What it may do, in your own words, such as `reports:read`. Without any it may do nothing that a scope is asked for. */
  readonly scopes?: readonly string[] | undefined
  /** RFC 3339 with a zone: from then on it is refused. By default it does not expire. */
  readonly expiresAt?: string | undefined
  /** Your own id of this request, the same on every retry: it makes one key of a buyer’s user. A repeat is answered 409 `key.exists` with the key’s id. */
  readonly requestId?: string | undefined
}

export interface Delivery {
  readonly event: string
  readonly type: string
  readonly at: string
  readonly product: string
  readonly subscription: string
  /** `eventbridge`, `webhook:<id>`, `email:buyer` or `email:seller`. */
  readonly sink: string
  /** dead: given up; replay it once the cause is mended */
  readonly state: 'waiting' | 'delivered' | 'dead'
  readonly attempts: number
  readonly queuedAt: string
  readonly nextAttemptAt?: string | undefined
  readonly lastError?: string | undefined
  readonly finishedAt?: string | undefined
}

export interface MarketplaceEvent {
  /** AWS’s own id of the message. */
  readonly id: string
  readonly channel: 'sns' | 'eventbridge' | 'relay' | 'agreements' | 'import'
  readonly kind: 'agreement_created' | 'agreement_amended' | 'agreement_ended' | 'access_granted' | 'access_refused' | 'access_withdrawn' | 'access_closed' | 'entitlements_changed' | 'notice' | 'unknown'
  /** AWS’s word for it: the detail-type, or the action. */
  readonly name: string
  /** followed: a subscription follows its agreement · waiting: nobody has registered for it yet, or its product is not known · kept: nothing follows from it */
  readonly state: 'followed' | 'waiting' | 'kept'
  readonly subscription?: string | undefined
  readonly occurredAt: string
  readonly receivedAt: string
  readonly agreementId?: string | undefined
  readonly previousAgreementId?: string | undefined
  readonly agreementStatus?: string | undefined
  readonly intent?: string | undefined
  readonly startsAt?: string | undefined
  readonly endsAt?: string | undefined
  readonly acceptedAt?: string | undefined
  readonly offerId?: string | undefined
  readonly productCode?: string | undefined
  readonly productId?: string | undefined
  readonly licenseArn?: string | undefined
  readonly customerAWSAccountId?: string | undefined
  readonly customerIdentifier?: string | undefined
  readonly proposerAccountId?: string | undefined
  readonly throughPartner?: boolean | undefined
  readonly freeTrial?: boolean | undefined
  /** The message as it came: JSON. */
  readonly payload: string
}

export interface RejectedMessage {
  readonly id: string
  readonly channel: 'sns' | 'eventbridge' | 'relay' | 'agreements' | 'import'
  readonly reason: string
  readonly receivedAt: string
  readonly payload: string
}

export interface Agreement {
  /** AWS’s agreement id; for a legacy product, its code and the customer. */
  readonly key: string
  readonly product?: string | undefined
  readonly productCode?: string | undefined
  readonly agreementId?: string | undefined
  readonly previousAgreementId?: string | undefined
  readonly licenseArn?: string | undefined
  readonly customerAWSAccountId?: string | undefined
  readonly customerIdentifier?: string | undefined
  readonly intent?: string | undefined
  readonly endStatus?: string | undefined
  readonly offerId?: string | undefined
  readonly startsAt?: string | undefined
  readonly endsAt?: string | undefined
  readonly acceptedAt?: string | undefined
  readonly accessFrom?: string | undefined
  readonly accessTo?: string | undefined
  readonly throughPartner?: boolean | undefined
  readonly freeTrial?: boolean | undefined
}

export interface MeterAnswer {
  /** The same on every retry of the same event. */
  readonly meteringRecordId: string
  readonly status: 'accepted' | 'late' | 'duplicate'
  readonly reason?: string | undefined
}

export type ReportUsageBody = readonly UsageEvent[] | {
  readonly events: readonly UsageEvent[]
}

export interface ReportUsageAnswer {
  readonly outcomes: readonly UsageOutcome[]
}

export interface ListUsageBucketsParams {
  readonly product?: string | undefined
  readonly subscription?: string | undefined
  readonly dimension?: string | undefined
  readonly status?: 'open' | 'held' | 'closed' | undefined
  /** RFC 3339 with a zone */
  readonly from?: string | undefined
  /** RFC 3339 with a zone */
  readonly to?: string | undefined
  readonly limit?: number | undefined
  readonly cursor?: string | undefined
}

export interface ListUsageBucketsAnswer {
  readonly items: readonly UsageBucket[]
  /** Pass as `cursor` for the next page; absent on the last. */
  readonly next?: string | undefined
}

export interface ListUsageRecordsParams {
  readonly product?: string | undefined
  readonly subscription?: string | undefined
  readonly dimension?: string | undefined
  readonly state?: 'ready' | 'sent' | 'accepted' | 'assumed' | 'in_doubt' | 'conflict' | 'refused' | 'carried' | undefined
  readonly limit?: number | undefined
  readonly cursor?: string | undefined
}

export interface ListUsageRecordsAnswer {
  readonly items: readonly UsageRecordSummary[]
  /** Pass as `cursor` for the next page; absent on the last. */
  readonly next?: string | undefined
}

export interface GetUsageRecordParams {
  readonly recordId: string
}

export interface ListUsageAttemptsParams {
  readonly limit?: number | undefined
  readonly cursor?: string | undefined
  readonly recordId: string
}

export interface ListUsageAttemptsAnswer {
  readonly items: readonly UsageAttempt[]
  /** Pass as `cursor` for the next page; absent on the last. */
  readonly next?: string | undefined
}

export interface GetUsageStatusParams {
  readonly product?: string | undefined
}

export interface ListSubscriptionsParams {
  readonly product?: string | undefined
  readonly status?: 'pending' | 'active' | 'suspended' | 'cancelling' | 'cancelled' | 'failed' | 'expired' | 'superseded' | undefined
  readonly channel?: 'aws' | 'direct' | 'free' | undefined
  readonly buyer?: string | undefined
  readonly tenantId?: string | undefined
  readonly licenseArn?: string | undefined
  readonly customerAWSAccountId?: string | undefined
  readonly customerIdentifier?: string | undefined
  readonly limit?: number | undefined
  readonly cursor?: string | undefined
}

export interface ListSubscriptionsAnswer {
  readonly items: readonly Subscription[]
  /** Pass as `cursor` for the next page; absent on the last. */
  readonly next?: string | undefined
}

export interface CreateSubscriptionParams {
  /** The same on every retry. */
  readonly 'idempotency-key'?: string | undefined
}

export interface GetSubscriptionParams {
  readonly subscriptionId: string
}

export interface UpdateSubscriptionParams {
  readonly subscriptionId: string
}

export interface CancelSubscriptionParams {
  readonly reasonCode?: 'INCORRECT_TERMS_ACCEPTED' | 'REPLACING_AGREEMENT' | 'TEST_AGREEMENT' | 'ALTERNATIVE_PROCUREMENT_CHANNEL' | 'PRODUCT_DISCONTINUED' | 'UNINTENDED_RENEWAL' | 'BUYER_DISSATISFACTION' | 'OTHER' | undefined
  /** For the buyer to read. */
  readonly description?: string | undefined
  readonly subscriptionId: string
}

export type CancelSubscriptionBody = {
  readonly reasonCode?: 'INCORRECT_TERMS_ACCEPTED' | 'REPLACING_AGREEMENT' | 'TEST_AGREEMENT' | 'ALTERNATIVE_PROCUREMENT_CHANNEL' | 'PRODUCT_DISCONTINUED' | 'UNINTENDED_RENEWAL' | 'BUYER_DISSATISFACTION' | 'OTHER' | undefined
  /** For the buyer to read. */
  readonly description?: string | undefined
} | null

export type CancelSubscriptionAnswer = SubscriptionDetail | CancellationRequested

export interface ListSubscriptionHistoryParams {
  readonly limit?: number | undefined
  readonly cursor?: string | undefined
  readonly subscriptionId: string
}

export interface ListSubscriptionHistoryAnswer {
  readonly items: readonly HistoryEntry[]
  /** Pass as `cursor` for the next page; absent on the last. */
  readonly next?: string | undefined
}

export interface GetSubscriptionUsageParams {
  /** RFC 3339 with a zone */
  readonly from?: string | undefined
  /** RFC 3339 with a zone */
  readonly to?: string | undefined
  readonly granularity?: 'total' | 'day' | 'hour' | undefined
  readonly subscriptionId: string
}

export interface TrackUsageParams {
  readonly subscriptionId: string
}

export interface TrackUsageAnswer {
  readonly outcomes: readonly MetricOutcome[]
}

export interface CheckAccessParams {
  readonly subscriptionId?: string | undefined
  readonly buyerId?: string | undefined
  readonly tenantId?: string | undefined
  readonly licenseArn?: string | undefined
  readonly customerAWSAccountId?: string | undefined
  readonly customerIdentifier?: string | undefined
  readonly product?: string | undefined
  readonly feature?: string | undefined
  readonly dimension?: string | undefined
}

export interface GetEntitlementsParams {
  readonly subscriptionId: string
}

export interface ValidateQuotaBody {
  /** The end user’s API key, `tka_…`. */
  readonly key?: string | undefined
  readonly subscriptionId?: string | undefined
  readonly buyerId?: string | undefined
  readonly tenantId?: string | undefined
  readonly licenseArn?: string | undefined
  readonly customerAWSAccountId?: string | undefined
  readonly customerIdentifier?: string | undefined
  readonly visitor?: {
    /** Their address, as your server sees it. It is hashed at once, and neither kept nor logged. */
    readonly ip: string
    /** Their `User-Agent`; hashed likewise. */
    readonly userAgent?: string | undefined
    /** What the ALTCHA widget made of the last `challenge`. */
    readonly challenge?: string | undefined
  } | undefined
  readonly product?: string | undefined
  readonly scope?: string | undefined
  readonly feature?: string | undefined
  readonly dimension: string
  /** A number of at most 15 digits, or a decimal string. Not for dimensions that count events or different values. */
  readonly quantity?: number | string | undefined
  /** The same on every retry: it counts once, and gets the same answer. */
  readonly id?: string | undefined
  /** look: nothing is counted. */
  readonly mode?: 'consume' | 'look' | undefined
}

export interface GetQuotaParams {
  readonly subscriptionId?: string | undefined
  readonly buyerId?: string | undefined
  readonly tenantId?: string | undefined
  readonly licenseArn?: string | undefined
  readonly customerAWSAccountId?: string | undefined
  readonly customerIdentifier?: string | undefined
  readonly product?: string | undefined
  readonly dimension?: string | undefined
}

export interface ReserveQuotaBody {
  /** The end user’s API key, `tka_…`. */
  readonly key?: string | undefined
  readonly subscriptionId?: string | undefined
  readonly buyerId?: string | undefined
  readonly tenantId?: string | undefined
  readonly licenseArn?: string | undefined
  readonly customerAWSAccountId?: string | undefined
  readonly customerIdentifier?: string | undefined
  readonly visitor?: {
    /** Their address, as your server sees it. It is hashed at once, and neither kept nor logged. */
    readonly ip: string
    /** Their `User-Agent`; hashed likewise. */
    readonly userAgent?: string | undefined
    /** What the ALTCHA widget made of the last `challenge`. */
    readonly challenge?: string | undefined
  } | undefined
  readonly product?: string | undefined
  readonly scope?: string | undefined
  readonly feature?: string | undefined
  readonly dimension: string
  /** A number of at most 15 digits, or a decimal string. Not for dimensions that count events or different values. */
  readonly quantity?: number | string | undefined
  /** The same on every retry: it counts once, and gets the same answer. */
  readonly id: string
  readonly expiresInSeconds?: number | undefined
}

export interface SettleReservationParams {
  readonly reservationId: string
}

export interface SettleReservationBody {
  /** A number of at most 15 digits, or a decimal string. Not for dimensions that count events or different values. */
  readonly quantity: number | string
}

export interface ReleaseReservationParams {
  readonly reservationId: string
}

export interface ConvertVisitorBody {
  readonly visitor: {
    /** Their address, as your server sees it. It is hashed at once, and neither kept nor logged. */
    readonly ip: string
    /** Their `User-Agent`; hashed likewise. */
    readonly userAgent?: string | undefined
  }
  readonly product?: string | undefined
  readonly subscriptionId?: string | undefined
  readonly buyerId?: string | undefined
  readonly tenantId?: string | undefined
  readonly licenseArn?: string | undefined
  readonly customerAWSAccountId?: string | undefined
  readonly customerIdentifier?: string | undefined
}

export interface ListBuyersParams {
  readonly product?: string | undefined
  readonly customerAWSAccountId?: string | undefined
  readonly customerIdentifier?: string | undefined
  readonly limit?: number | undefined
  readonly cursor?: string | undefined
}

export interface ListBuyersAnswer {
  readonly items: readonly Buyer[]
  /** Pass as `cursor` for the next page; absent on the last. */
  readonly next?: string | undefined
}

export interface GetBuyerParams {
  readonly buyerId: string
}

export interface ExportBuyerParams {
  readonly buyerId: string
}

export interface EraseBuyerParams {
  readonly buyerId: string
}

export type EraseBuyerBody = {
  /** Only this person; else everybody. */
  readonly email?: string | undefined
} | null

export interface ListEndpointsParams {
  readonly product: string
}

export interface ListEndpointsAnswer {
  readonly items: readonly Endpoint[]
}

export interface GetEndpointParams {
  readonly product: string
  readonly endpoint: string
}

export interface PutEndpointParams {
  readonly product: string
  readonly endpoint: string
}

export interface RemoveEndpointParams {
  readonly product: string
  readonly endpoint: string
}

export interface GetProductHealthParams {
  readonly product: string
}

export interface GetProductHealthAnswer {
  readonly items: readonly EndpointHealth[]
}

export interface ListProductHealthParams {
  readonly endpoint?: string | undefined
  /** RFC 3339 with a zone */
  readonly from?: string | undefined
  readonly limit?: number | undefined
  readonly cursor?: string | undefined
  readonly product: string
}

export interface ListProductHealthAnswer {
  readonly items: readonly EndpointHour[]
  /** Pass as `cursor` for the next page; absent on the last. */
  readonly next?: string | undefined
}

export interface ListProductsAnswer {
  readonly items: readonly Product[]
}

export interface GetProductParams {
  readonly product: string
}

export interface PutProductParams {
  readonly product: string
}

export interface GetProductHistoryParams {
  readonly product: string
}

export interface GetProductHistoryAnswer {
  readonly items: readonly ProductVersion[]
}

export interface ListPlansParams {
  readonly product: string
}

export interface ListPlansAnswer {
  readonly items: readonly Plan[]
}

export interface PutPlanParams {
  readonly product: string
  readonly plan: string
}

export interface GetPlanParams {
  readonly product: string
  readonly plan: string
}

export interface RetirePlanParams {
  readonly product: string
  readonly plan: string
}

export interface GetPlanHistoryParams {
  readonly product: string
  readonly plan: string
}

export interface GetPlanHistoryAnswer {
  readonly items: readonly PlanVersion[]
}

export interface ListKeysParams {
  /** May be left out with another filter, with a key that is bound to one, or where there is only one. */
  readonly product?: string | undefined
  readonly buyerId?: string | undefined
  readonly subscriptionId?: string | undefined
  readonly user?: string | undefined
  readonly limit?: number | undefined
  readonly cursor?: string | undefined
}

export interface ListKeysAnswer {
  readonly items: readonly ApiKey[]
  /** Pass as `cursor` for the next page; absent on the last. */
  readonly next?: string | undefined
}

export interface GetKeyParams {
  readonly keyId: string
}

export interface RevokeKeyParams {
  readonly keyId: string
}

export interface RotateKeyParams {
  readonly keyId: string
}

export type RotateKeyBody = {
  /** How long the old secret works on; 0: it is refused at once. */
  readonly overlapSeconds?: number | undefined
  /** Of the new key. By default it lives as long as the old one was made for. */
  readonly expiresAt?: string | undefined
} | null

export interface ListDeliveriesParams {
  readonly sink?: string | undefined
  readonly state?: 'waiting' | 'delivered' | 'dead' | undefined
  readonly product?: string | undefined
  readonly limit?: number | undefined
  readonly cursor?: string | undefined
}

export interface ListDeliveriesAnswer {
  readonly items: readonly Delivery[]
  /** Pass as `cursor` for the next page; absent on the last. */
  readonly next?: string | undefined
}

export interface ReplayEventParams {
  readonly eventId: string
}

export type ReplayEventBody = {
  readonly sink?: string | undefined
} | null

export interface ReplayEventAnswer {
  readonly items: readonly Delivery[]
}

export interface ListAuditEntriesParams {
  readonly subject?: string | undefined
  readonly limit?: number | undefined
  readonly cursor?: string | undefined
}

export interface ListAuditEntriesAnswer {
  readonly items: ReadonlyArray<{
    readonly id: string
    readonly at: string
    readonly actor: string
    readonly action: string
    readonly subject: string
    readonly before?: unknown | undefined
    readonly after?: unknown | undefined
  }>
  /** Pass as `cursor` for the next page; absent on the last. */
  readonly next?: string | undefined
}

export interface ListMarketplaceEventsParams {
  readonly product?: string | undefined
  readonly state?: 'followed' | 'waiting' | 'kept' | undefined
  readonly kind?: 'agreement_created' | 'agreement_amended' | 'agreement_ended' | 'access_granted' | 'access_refused' | 'access_withdrawn' | 'access_closed' | 'entitlements_changed' | 'notice' | 'unknown' | undefined
  readonly limit?: number | undefined
  readonly cursor?: string | undefined
}

export interface ListMarketplaceEventsAnswer {
  readonly items: readonly MarketplaceEvent[]
  /** Pass as `cursor` for the next page; absent on the last. */
  readonly next?: string | undefined
}

export interface ListRejectedMessagesParams {
  readonly limit?: number | undefined
}

export interface ListRejectedMessagesAnswer {
  readonly items: readonly RejectedMessage[]
}

export interface ListUnattachedAgreementsParams {
  readonly product?: string | undefined
  readonly limit?: number | undefined
}

export interface ListUnattachedAgreementsAnswer {
  readonly items: readonly Agreement[]
}

export interface GetHealthAnswer {
  readonly status: 'ok'
  readonly mode: 'simulated' | 'shadow' | 'live'
  readonly version: string
}

export interface GetReadinessAnswer {
  readonly ready: boolean
  readonly checks: Readonly<Record<string, string>>
}

/** Somebody gave their details on the landing page, again or for the first time. */
export interface BuyerRegisteredEvent {
  readonly type: 'buyer.registered'
  /** When it happened. */
  readonly timestamp: string
  readonly data: {
    readonly product: string
    readonly subscription: EventSubscription
    readonly buyer: EventBuyer
  }
}

/** Registered; AWS has not said yet that access starts. Give no access. Of one that you opened yourself, `subscription.activated` follows at once. */
export interface SubscriptionCreatedEvent {
  readonly type: 'subscription.created'
  /** When it happened. */
  readonly timestamp: string
  readonly data: {
    readonly product: string
    readonly subscription: EventSubscription
    readonly buyer: EventBuyer
  }
}

/** Access starts: provision now. */
export interface SubscriptionActivatedEvent {
  readonly type: 'subscription.activated'
  /** When it happened. */
  readonly timestamp: string
  readonly data: {
    readonly product: string
    readonly subscription: EventSubscription
    readonly buyer: EventBuyer
  }
}

/** Payment failed, or the agreement ended before access began. */
export interface SubscriptionFailedEvent {
  readonly type: 'subscription.failed'
  /** When it happened. */
  readonly timestamp: string
  readonly data: {
    readonly product: string
    readonly subscription: EventSubscription
    readonly buyer: EventBuyer
  }
}

/** Plan, tenant or term are others now. */
export interface SubscriptionChangedEvent {
  readonly type: 'subscription.changed'
  /** When it happened. */
  readonly timestamp: string
  readonly data: {
    readonly product: string
    readonly subscription: EventSubscription
    readonly buyer: EventBuyer
  }
}

/** Access is held for now. Keep the data. */
export interface SubscriptionSuspendedEvent {
  readonly type: 'subscription.suspended'
  /** When it happened. */
  readonly timestamp: string
  readonly data: {
    readonly product: string
    readonly subscription: EventSubscription
    readonly buyer: EventBuyer
  }
}

/** Access goes on. */
export interface SubscriptionResumedEvent {
  readonly type: 'subscription.resumed'
  /** When it happened. */
  readonly timestamp: string
  readonly data: {
    readonly product: string
    readonly subscription: EventSubscription
    readonly buyer: EventBuyer
  }
}

/** It ended and access is revoked. Report what is left of its usage now: AWS takes it for about an hour. */
export interface SubscriptionCancellingEvent {
  readonly type: 'subscription.cancelling'
  /** When it happened. */
  readonly timestamp: string
  readonly data: {
    readonly product: string
    readonly subscription: EventSubscription
    readonly buyer: EventBuyer
  }
}

/** AWS takes no more usage of it: deprovision. */
export interface SubscriptionEndedEvent {
  readonly type: 'subscription.ended'
  /** When it happened. */
  readonly timestamp: string
  readonly data: {
    readonly product: string
    readonly subscription: EventSubscription
    readonly buyer: EventBuyer
  }
}

/** Another agreement took its place, `successor`; the buyer goes on with keys and access. */
export interface SubscriptionRenewedEvent {
  readonly type: 'subscription.renewed'
  /** When it happened. */
  readonly timestamp: string
  readonly data: {
    readonly product: string
    readonly subscription: EventSubscription
    readonly buyer: EventBuyer
  }
}

/** AWS renewed or replaced it and several could be the successor: a person chooses, access goes on meanwhile. */
export interface SubscriptionSuccessorUnclearEvent {
  readonly type: 'subscription.successor_unclear'
  /** When it happened. */
  readonly timestamp: string
  readonly data: {
    readonly product: string
    readonly subscription: EventSubscription
    readonly buyer: EventBuyer
  }
}

/** What AWS grants is other than before. */
export interface EntitlementsChangedEvent {
  readonly type: 'entitlements.changed'
  /** When it happened. */
  readonly timestamp: string
  readonly data: {
    readonly product: string
    readonly subscription: EventSubscription
    readonly buyer: EventBuyer
  }
}

/** So many percent (80 or 100) of a limit of a day or longer are used. Of a plan that was changed meanwhile it is told again. */
export interface QuotaThresholdReachedEvent {
  readonly type: 'quota.threshold_reached'
  /** When it happened. */
  readonly timestamp: string
  readonly data: {
    readonly product: string
    readonly subscription: EventSubscription
    readonly buyer: EventBuyer
    readonly dimension: string
    readonly percent: 80 | 100
    readonly window: 'day' | 'month' | 'lifetime'
    /** A decimal number, as `used` is. */
    readonly limit: string
    readonly used: string
    readonly onExceed: 'block' | 'bill'
    readonly resetAt?: string | undefined
    readonly upgrade?: {
      readonly plan?: string | undefined
      readonly url?: string | undefined
    } | undefined
  }
}

/** An endpoint of a product failed its health probe several times in a row. */
export interface EndpointDownEvent {
  readonly type: 'endpoint.down'
  /** When it happened. */
  readonly timestamp: string
  readonly data: {
    readonly product: string
    readonly endpoint: {
      readonly id: string
      readonly url: string
    }
    readonly reason: string
    /** In a row. */
    readonly failures?: number | undefined
    /** It went down before in the same hour of the clock: no mail says it again. Where it is still down when the hour is over, `endpoint.down` is told once more. */
    readonly repeated?: boolean | undefined
  }
}

/** An endpoint that was down is up again. */
export interface EndpointUpEvent {
  readonly type: 'endpoint.up'
  /** When it happened. */
  readonly timestamp: string
  readonly data: {
    readonly product: string
    readonly endpoint: {
      readonly id: string
      readonly url: string
    }
    readonly downSince: string
    /** It went down before in the same hour of the clock: no mail says it again. Where it is still down when the hour is over, `endpoint.down` is told once more. */
    readonly repeated?: boolean | undefined
  }
}

/** An API key was made. Neither its secret nor its user is told: `GET /keys/{id}` says whose it is. */
export interface KeyCreatedEvent {
  readonly type: 'key.created'
  /** When it happened. */
  readonly timestamp: string
  readonly data: {
    readonly product: string
    readonly buyer: EventBuyer
    /** Of a key that is bound to one. */
    readonly subscription?: {
      readonly id: string
    } | undefined
    readonly key: EventKey
  }
}

/** An API key was replaced by another, `replacement`; it works on until `usableUntil`. */
export interface KeyRotatedEvent {
  readonly type: 'key.rotated'
  /** When it happened. */
  readonly timestamp: string
  readonly data: {
    readonly product: string
    readonly buyer: EventBuyer
    /** Of a key that is bound to one. */
    readonly subscription?: {
      readonly id: string
    } | undefined
    readonly key: EventKey
    readonly replacement: EventKey
  }
}

/** An API key was revoked: forget what you keep of it. */
export interface KeyRevokedEvent {
  readonly type: 'key.revoked'
  /** When it happened. */
  readonly timestamp: string
  readonly data: {
    readonly product: string
    readonly buyer: EventBuyer
    /** Of a key that is bound to one. */
    readonly subscription?: {
      readonly id: string
    } | undefined
    readonly key: EventKey
  }
}

/** Somebody who used the product without a key became this buyer. */
export interface VisitorConvertedEvent {
  readonly type: 'visitor.converted'
  /** When it happened. */
  readonly timestamp: string
  readonly data: {
    readonly product: string
    readonly subscription: {
      readonly id: string
    }
    readonly buyer: EventBuyer
    /** Without anything that says who it was. */
    readonly visitor: {
      readonly id: string
      readonly firstSeenAt: string
      readonly convertedAt: string
    }
  }
}

/** What Tollkeeper posts to your webhooks. */
export type WebhookEvent = BuyerRegisteredEvent | SubscriptionCreatedEvent | SubscriptionActivatedEvent | SubscriptionFailedEvent | SubscriptionChangedEvent | SubscriptionSuspendedEvent | SubscriptionResumedEvent | SubscriptionCancellingEvent | SubscriptionEndedEvent | SubscriptionRenewedEvent | SubscriptionSuccessorUnclearEvent | EntitlementsChangedEvent | QuotaThresholdReachedEvent | EndpointDownEvent | EndpointUpEvent | KeyCreatedEvent | KeyRotatedEvent | KeyRevokedEvent | VisitorConvertedEvent

export interface Operations {
  /** Report one use.
   *
   * Answers when the event is on disk. A repeat answers as `duplicate` and counts once. What the body names but does not exist is 422, not 404; times outside the window are 400; an ended subscription is 410, and its usage is kept and shown as unbillable. */
  meter(body: UsageEvent, options?: CallOptions): Promise<MeterAnswer>
  /** Report many uses.
   *
   * At most 1000 events and 1 MB. Answers when all accepted events are on disk, with one outcome for each event, in order. An event that cannot be read is refused alone; a body that cannot be read is a problem, and nothing is written. */
  reportUsage(body: ReportUsageBody, options?: CallOptions): Promise<ReportUsageAnswer>
  /** Usage by subscription, dimension and hour. */
  listUsageBuckets(params?: ListUsageBucketsParams, options?: CallOptions): Promise<ListUsageBucketsAnswer>
  /** What was sealed for AWS. */
  listUsageRecords(params?: ListUsageRecordsParams, options?: CallOptions): Promise<ListUsageRecordsAnswer>
  /** One record. */
  getUsageRecord(params: GetUsageRecordParams, options?: CallOptions): Promise<UsageRecord>
  /** Every call to AWS that carried it, with request and answer. */
  listUsageAttempts(params: ListUsageAttemptsParams, options?: CallOptions): Promise<ListUsageAttemptsAnswer>
  /** Usage at risk: the oldest unsent hour, and what is on its way. */
  getUsageStatus(params?: GetUsageStatusParams, options?: CallOptions): Promise<UsageStatus>
  /** Subscriptions, newest first.
   *
   * All filters that are given must fit; license ARNs are compared by their last part, `l-…`. */
  listSubscriptions(params?: ListSubscriptionsParams, options?: CallOptions): Promise<ListSubscriptionsAnswer>
  /** Open a free or direct subscription.
   *
   * Access starts at once. The same request again, known by its `Idempotency-Key` or its tenant, is answered 200 with the same subscription. On AWS Marketplace only the buyer accepts an agreement: send them the listing’s link or a private offer’s. */
  createSubscription(params: CreateSubscriptionParams, body: SubscriptionOpening, options?: CallOptions): Promise<SubscriptionDetail>
  /** One subscription, in fields and in words. */
  getSubscription(params: GetSubscriptionParams, options?: CallOptions): Promise<SubscriptionDetail>
  /** Change plan or tenant, suspend, resume, activate, or choose the successor.
   *
   * All of it or nothing. Audited with the key that did it. */
  updateSubscription(params: UpdateSubscriptionParams, body: SubscriptionChanges, options?: CallOptions): Promise<SubscriptionDetail>
  /** End a free or direct subscription; of AWS Marketplace, ask the buyer for the cancellation.
   *
   * A free or direct one ends now (200). On AWS Marketplace only the buyer ends an agreement: a cancellation request is sent (202, `reasonCode` is needed), which the buyer answers and AWS approves by itself after seven days. The subscription goes on until AWS says that it ended. Asked again while a request waits, the same one is answered. */
  cancelSubscription(params: CancelSubscriptionParams, body?: CancelSubscriptionBody, options?: CallOptions): Promise<CancelSubscriptionAnswer>
  /** What changed a subscription, and what AWS said of its agreement; newest first. */
  listSubscriptionHistory(params: ListSubscriptionHistoryParams, options?: CallOptions): Promise<ListSubscriptionHistoryAnswer>
  /** What a subscription used, and what became of it.
   *
   * By dimension, for the hours that begin from `from` up to `to`: by default the month to date, in UTC. A year at most, a month by the hour. Late usage counts in the hour that bills it. */
  getSubscriptionUsage(params: GetSubscriptionUsageParams, options?: CallOptions): Promise<SubscriptionUsage>
  /** Report a platform’s metrics of one subscription.
   *
   * Running totals are metered by their growth and gauges by their peak: both may be sent again and again. One outcome for each metric. */
  trackUsage(params: TrackUsageParams, body: Metrics, options?: CallOptions): Promise<TrackUsageAnswer>
  /** May this buyer use the product, or this part of it?
   *
   * Name the buyer by one of `subscriptionId`, `buyerId`, `tenantId`, `licenseArn`, `customerAWSAccountId`, `customerIdentifier`. Answers from what AWS said last, and says how old that is; it never asks AWS, so a gateway may call it on each login. `feature` is one of the plan’s, or a dimension of the contract; `dimension` is a dimension’s key or the platform’s name for it. */
  checkAccess(params?: CheckAccessParams, options?: CallOptions): Promise<Access>
  /** What AWS granted a subscription, and from when on. */
  getEntitlements(params: GetEntitlementsParams, options?: CallOptions): Promise<Contract>
  /** May this caller do this now?
   *
   * Name the caller by an API key, by one reference to a subscription or buyer, or as a `visitor` without a key, who gets the product’s anonymous plan. What is let through is counted before the answer leaves, never more than the limit; with an `id` a retry counts once. A dimension with `meteredBy: gate` becomes a usage event in the same step, and is billed by it. Always 200: `allowed` and `reason` say the rest, as `RateLimit`, `RateLimit-Policy` and `Retry-After` do. */
  validateQuota(body: ValidateQuotaBody, options?: CallOptions): Promise<QuotaAnswer>
  /** What a buyer has used of their plan, and what is left.
   *
   * Name the buyer by one of `subscriptionId`, `buyerId`, `tenantId`, `licenseArn`, `customerAWSAccountId`, `customerIdentifier`. Counts nothing. Of limits that nodes count in slices, what other nodes have taken of a slice and not used yet shows as used for some seconds. */
  getQuota(params?: GetQuotaParams, options?: CallOptions): Promise<QuotaOverview>
  /** Hold a quantity for what takes long.
   *
   * Settle it for what was really used, or release it. What is held counts against the limit. One that is never settled expires. */
  reserveQuota(body: ReserveQuotaBody, options?: CallOptions): Promise<ReservationAnswer>
  /** Count what was really used of a reservation.
   *
   * At most what is reserved; the rest is let go of. Settled again with the same quantity, it is as it is. Of a dimension with `meteredBy: gate` this is the usage event that is billed: where the subscription ended meanwhile, up to 40 minutes after its end; later, and where nobody pays by use, the answer says `billed: false`. */
  settleReservation(params: SettleReservationParams, body: SettleReservationBody, options?: CallOptions): Promise<Reservation>
  /** Let go of a reservation. */
  releaseReservation(params: ReleaseReservationParams, options?: CallOptions): Promise<Reservation>
  /** Note that a visitor became a buyer.
   *
   * Call it when somebody who used the product without a key has registered, from the request that they registered with. Name the buyer by one reference. It is noted once for a visitor, in the history of the subscription, and told as `visitor.converted`. */
  convertVisitor(body: ConvertVisitorBody, options?: CallOptions): Promise<Conversion>
  /** Buyers, newest first; without personal data. */
  listBuyers(params?: ListBuyersParams, options?: CallOptions): Promise<ListBuyersAnswer>
  /** One buyer with its subscriptions. */
  getBuyer(params: GetBuyerParams, options?: CallOptions): Promise<BuyerDetail>
  /** All that is kept of a buyer and its people. */
  exportBuyer(params: ExportBuyerParams, options?: CallOptions): Promise<BuyerExport>
  /** Erase the people of a buyer.
   *
   * Their details and the mail kept for them. What was bought, used and billed stays: it names accounts, not people. Audited without the data; erasing again is not an error. */
  eraseBuyer(params: EraseBuyerParams, body?: EraseBuyerBody, options?: CallOptions): Promise<BuyerErased>
  /** Where a product serves. */
  listEndpoints(params: ListEndpointsParams, options?: CallOptions): Promise<ListEndpointsAnswer>
  /** One endpoint of a product. */
  getEndpoint(params: GetEndpointParams, options?: CallOptions): Promise<Endpoint>
  /** Register an endpoint of a product, or change it.
   *
   * All of it: what is left out gets its default. Its health address is asked by a plain GET that shows no key. What the configuration declares is changed there. The same request again changes nothing. */
  putEndpoint(params: PutEndpointParams, body: EndpointInput, options?: CallOptions): Promise<Endpoint>
  /** Ask an endpoint no more; how it was is kept for ninety days. */
  removeEndpoint(params: RemoveEndpointParams, options?: CallOptions): Promise<Endpoint>
  /** How each endpoint of a product is, since when, and how often it was up. */
  getProductHealth(params: GetProductHealthParams, options?: CallOptions): Promise<GetProductHealthAnswer>
  /** How the endpoints of a product were, by the hour, newest first; for ninety days. */
  listProductHealth(params: ListProductHealthParams, options?: CallOptions): Promise<ListProductHealthAnswer>
  /** What is sold. */
  listProducts(options?: CallOptions): Promise<ListProductsAnswer>
  /** Sell a product that the configuration does not declare.
   *
   * In the words of `products[]` in `tollkeeper.yaml`, by the same rules. It holds at once here, and within five seconds on other nodes. The same request again is answered 200. */
  createProduct(body: ProductInput, options?: CallOptions): Promise<Product>
  /** A product with its plans. */
  getProduct(params: GetProductParams, options?: CallOptions): Promise<Product>
  /** Change a product that the configuration does not declare.
   *
   * All of it: what is left out gets its default, but plans stay as they are where there are none in the body. What is read may be sent back: a plan that is given as it is stays as it is, with what is dated ahead of it. What a dimension is counted in (`scale`, `aggregation`, `per`) is fixed from its first day. A key that is bound to the product does not change `productCode`, `productId` and `listing`. */
  putProduct(params: PutProductParams, body: ProductInput, options?: CallOptions): Promise<Product>
  /** How a product came to be what it is, oldest first; without its plans. */
  getProductHistory(params: GetProductHistoryParams, options?: CallOptions): Promise<GetProductHistoryAnswer>
  /** Plans of a product as they are now, lowest first. */
  listPlans(params: ListPlansParams, options?: CallOptions): Promise<ListPlansAnswer>
  /** Make a plan, or change it from now or a later time on.
   *
   * All of it: what is left out gets its default. Each change is a version: what was included in an hour, or allowed in it, stays as it was. What the configuration declares is changed there. The same request again changes nothing. It also gives a retired plan to people again; a body that says `retired: true` is refused. */
  putPlan(params: PutPlanParams, body: PlanInput, options?: CallOptions): Promise<PlanVersion>
  /** A plan as it is now, or is going to be. */
  getPlan(params: GetPlanParams, options?: CallOptions): Promise<Plan>
  /** Give a plan to nobody any more; whoever is on it keeps it. */
  retirePlan(params: RetirePlanParams, options?: CallOptions): Promise<PlanVersion>
  /** Every version of a plan, oldest first; also what is dated ahead. */
  getPlanHistory(params: GetPlanHistoryParams, options?: CallOptions): Promise<GetPlanHistoryAnswer>
  /** Make an API key for a user.
   *
   * Whoever retries it says a `requestId`: without one each request makes a key. The secret is in this answer alone; where it was lost, rotate the key. A buyer has at most 1,000 keys that work at the same time: 409 `key.too_many`. */
  createKey(body: ApiKeyOrder, options?: CallOptions): Promise<MadeApiKey>
  /** API keys, newest first; without their secrets. */
  listKeys(params?: ListKeysParams, options?: CallOptions): Promise<ListKeysAnswer>
  /** One API key; without its secret. */
  getKey(params: GetKeyParams, options?: CallOptions): Promise<ApiKey>
  /** Revoke an API key.
   *
   * From here on it is refused: at once by the node that answers, within 5 seconds by others. To revoke it again is not an error. */
  revokeKey(params: RevokeKeyParams, options?: CallOptions): Promise<ApiKey>
  /** Replace an API key.
   *
   * Makes a new key of the same rights. The old one works on for the overlap, so that its user can change over. A key that was replaced, has expired or was revoked is answered 409. */
  rotateKey(params: RotateKeyParams, body?: RotateKeyBody, options?: CallOptions): Promise<RotatedApiKey>
  /** Events on their way to your systems, newest first.
   *
   * Those that were delivered are kept for 30 days, the others until they are. */
  listDeliveries(params?: ListDeliveriesParams, options?: CallOptions): Promise<ListDeliveriesAnswer>
  /** Tell an event again.
   *
   * To one sink, whatever became of it there; without `sink` to all that it is dead for. It goes out before later events of its subscription that still wait. */
  replayEvent(params: ReplayEventParams, body: ReplayEventBody, options?: CallOptions): Promise<ReplayEventAnswer>
  /** Who did what, when, and what it was before and after. */
  listAuditEntries(params?: ListAuditEntriesParams, options?: CallOptions): Promise<ListAuditEntriesAnswer>
  /** Notifications of AWS Marketplace, newest first. */
  listMarketplaceEvents(params?: ListMarketplaceEventsParams, options?: CallOptions): Promise<ListMarketplaceEventsAnswer>
  /** Messages of AWS Marketplace that could not be taken, newest first. */
  listRejectedMessages(params?: ListRejectedMessagesParams, options?: CallOptions): Promise<ListRejectedMessagesAnswer>
  /** Agreements that no subscription follows, newest first.
   *
   * Buyers who subscribed and have not registered, renewals that wait for their license, and agreements of products that are not configured. */
  listUnattachedAgreements(params?: ListUnattachedAgreementsParams, options?: CallOptions): Promise<ListUnattachedAgreementsAnswer>
  /** This process runs. */
  getHealth(options?: CallOptions): Promise<GetHealthAnswer>
  /** It can take requests now. */
  getReadiness(options?: CallOptions): Promise<GetReadinessAnswer>
}

export type Repeat = 'always' | 'id' | 'header' | 'never'

/** How an operation is asked. `query` and `headers` name its parameters that are no part of the path. */
export interface HowToAsk {
  readonly method: string
  readonly path: string
  readonly repeat: Repeat
  readonly query?: readonly string[]
  readonly headers?: readonly string[]
  /** What its method takes before the options. */
  readonly input: 'none' | 'params' | 'body' | 'both'
}

export const OPERATIONS: Readonly<Record<keyof Operations, HowToAsk>> = {
  meter: { method: 'POST', path: '/meter', repeat: 'always', input: 'body' },
  reportUsage: { method: 'POST', path: '/usage', repeat: 'always', input: 'body' },
  listUsageBuckets: { method: 'GET', path: '/usage/buckets', repeat: 'always', query: ['product', 'subscription', 'dimension', 'status', 'from', 'to', 'limit', 'cursor'], input: 'params' },
  listUsageRecords: { method: 'GET', path: '/usage/records', repeat: 'always', query: ['product', 'subscription', 'dimension', 'state', 'limit', 'cursor'], input: 'params' },
  getUsageRecord: { method: 'GET', path: '/usage/records/{recordId}', repeat: 'always', input: 'params' },
  listUsageAttempts: { method: 'GET', path: '/usage/records/{recordId}/attempts', repeat: 'always', query: ['limit', 'cursor'], input: 'params' },
  getUsageStatus: { method: 'GET', path: '/usage/status', repeat: 'always', query: ['product'], input: 'params' },
  listSubscriptions: { method: 'GET', path: '/marketplace/subscriptions', repeat: 'always', query: ['product', 'status', 'channel', 'buyer', 'tenantId', 'licenseArn', 'customerAWSAccountId', 'customerIdentifier', 'limit', 'cursor'], input: 'params' },
  createSubscription: { method: 'POST', path: '/marketplace/subscriptions', repeat: 'header', headers: ['idempotency-key'], input: 'both' },
  getSubscription: { method: 'GET', path: '/marketplace/subscriptions/{subscriptionId}', repeat: 'always', input: 'params' },
  updateSubscription: { method: 'PUT', path: '/marketplace/subscriptions/{subscriptionId}', repeat: 'always', input: 'both' },
  cancelSubscription: { method: 'DELETE', path: '/marketplace/subscriptions/{subscriptionId}', repeat: 'always', query: ['reasonCode', 'description'], input: 'both' },
  listSubscriptionHistory: { method: 'GET', path: '/marketplace/subscriptions/{subscriptionId}/history', repeat: 'always', query: ['limit', 'cursor'], input: 'params' },
  getSubscriptionUsage: { method: 'GET', path: '/marketplace/subscriptions/{subscriptionId}/usage', repeat: 'always', query: ['from', 'to', 'granularity'], input: 'params' },
  trackUsage: { method: 'POST', path: '/marketplace/subscriptions/{subscriptionId}/meter', repeat: 'always', input: 'both' },
  checkAccess: { method: 'GET', path: '/entitlements/check', repeat: 'always', query: ['subscriptionId', 'buyerId', 'tenantId', 'licenseArn', 'customerAWSAccountId', 'customerIdentifier', 'product', 'feature', 'dimension'], input: 'params' },
  getEntitlements: { method: 'GET', path: '/marketplace/subscriptions/{subscriptionId}/entitlements', repeat: 'always', input: 'params' },
  validateQuota: { method: 'POST', path: '/quota/validate', repeat: 'id', input: 'body' },
  getQuota: { method: 'GET', path: '/quota', repeat: 'always', query: ['subscriptionId', 'buyerId', 'tenantId', 'licenseArn', 'customerAWSAccountId', 'customerIdentifier', 'product', 'dimension'], input: 'params' },
  reserveQuota: { method: 'POST', path: '/quota/reservations', repeat: 'id', input: 'body' },
  settleReservation: { method: 'POST', path: '/quota/reservations/{reservationId}/settle', repeat: 'always', input: 'both' },
  releaseReservation: { method: 'POST', path: '/quota/reservations/{reservationId}/release', repeat: 'always', input: 'params' },
  convertVisitor: { method: 'POST', path: '/quota/conversions', repeat: 'always', input: 'body' },
  listBuyers: { method: 'GET', path: '/buyers', repeat: 'always', query: ['product', 'customerAWSAccountId', 'customerIdentifier', 'limit', 'cursor'], input: 'params' },
  getBuyer: { method: 'GET', path: '/buyers/{buyerId}', repeat: 'always', input: 'params' },
  exportBuyer: { method: 'GET', path: '/buyers/{buyerId}/export', repeat: 'always', input: 'params' },
  eraseBuyer: { method: 'POST', path: '/buyers/{buyerId}/erase', repeat: 'never', input: 'both' },
  listEndpoints: { method: 'GET', path: '/products/{product}/endpoints', repeat: 'always', input: 'params' },
  getEndpoint: { method: 'GET', path: '/products/{product}/endpoints/{endpoint}', repeat: 'always', input: 'params' },
  putEndpoint: { method: 'PUT', path: '/products/{product}/endpoints/{endpoint}', repeat: 'always', input: 'both' },
  removeEndpoint: { method: 'DELETE', path: '/products/{product}/endpoints/{endpoint}', repeat: 'always', input: 'params' },
  getProductHealth: { method: 'GET', path: '/products/{product}/health', repeat: 'always', input: 'params' },
  listProductHealth: { method: 'GET', path: '/products/{product}/health/history', repeat: 'always', query: ['endpoint', 'from', 'limit', 'cursor'], input: 'params' },
  listProducts: { method: 'GET', path: '/products', repeat: 'always', input: 'none' },
  createProduct: { method: 'POST', path: '/products', repeat: 'never', input: 'body' },
  getProduct: { method: 'GET', path: '/products/{product}', repeat: 'always', input: 'params' },
  putProduct: { method: 'PUT', path: '/products/{product}', repeat: 'always', input: 'both' },
  getProductHistory: { method: 'GET', path: '/products/{product}/history', repeat: 'always', input: 'params' },
  listPlans: { method: 'GET', path: '/products/{product}/plans', repeat: 'always', input: 'params' },
  putPlan: { method: 'PUT', path: '/products/{product}/plans/{plan}', repeat: 'always', input: 'both' },
  getPlan: { method: 'GET', path: '/products/{product}/plans/{plan}', repeat: 'always', input: 'params' },
  retirePlan: { method: 'DELETE', path: '/products/{product}/plans/{plan}', repeat: 'always', input: 'params' },
  getPlanHistory: { method: 'GET', path: '/products/{product}/plans/{plan}/history', repeat: 'always', input: 'params' },
  createKey: { method: 'POST', path: '/keys', repeat: 'never', input: 'body' },
  listKeys: { method: 'GET', path: '/keys', repeat: 'always', query: ['product', 'buyerId', 'subscriptionId', 'user', 'limit', 'cursor'], input: 'params' },
  getKey: { method: 'GET', path: '/keys/{keyId}', repeat: 'always', input: 'params' },
  revokeKey: { method: 'DELETE', path: '/keys/{keyId}', repeat: 'always', input: 'params' },
  rotateKey: { method: 'POST', path: '/keys/{keyId}/rotate', repeat: 'never', input: 'both' },
  listDeliveries: { method: 'GET', path: '/deliveries', repeat: 'always', query: ['sink', 'state', 'product', 'limit', 'cursor'], input: 'params' },
  replayEvent: { method: 'POST', path: '/deliveries/{eventId}/replay', repeat: 'never', input: 'both' },
  listAuditEntries: { method: 'GET', path: '/audit', repeat: 'always', query: ['subject', 'limit', 'cursor'], input: 'params' },
  listMarketplaceEvents: { method: 'GET', path: '/marketplace/events', repeat: 'always', query: ['product', 'state', 'kind', 'limit', 'cursor'], input: 'params' },
  listRejectedMessages: { method: 'GET', path: '/marketplace/events/rejected', repeat: 'always', query: ['limit'], input: 'params' },
  listUnattachedAgreements: { method: 'GET', path: '/marketplace/agreements/unattached', repeat: 'always', query: ['product', 'limit'], input: 'params' },
  getHealth: { method: 'GET', path: '/health', repeat: 'always', input: 'none' },
  getReadiness: { method: 'GET', path: '/ready', repeat: 'always', input: 'none' },
}
