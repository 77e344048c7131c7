import { HOUR_MS, MINUTE_MS } from './hour.ts'

/**
 * AWS Marketplace's rules for metering, as data with a date: AWS changes them (the late window was one
 * hour until 2020, six until early 2026). `aws-rules.test.ts` compares what it can with the installed SDK.
 *
 * Read 2026-11-20 from `@aws-sdk/client-marketplace-metering` 3.1138.0 and
 * {@link https://docs.aws.amazon.com/marketplace/latest/APIReference/API_marketplace-metering_BatchMeterUsage.html | BatchMeterUsage}.
 */
export const AWS_RULES = {
  /** Records in one call. */
  batchRecordsMax: 25,
  /** Bytes in one call's body; AWS says "less than 1 MB". */
  batchBytesMax: 1_000_000,
  /** A record's quantity, in the dimension's units. */
  quantityMax: 2_147_483_647n,
  /** How old a record's timestamp may be. */
  lateWindowMs: 24 * HOUR_MS,
  /** Records of the month before are taken until this long after midnight UTC on the 1st. */
  monthEndCutMs: 6 * HOUR_MS,
  /** Final usage after a subscription's end. */
  finalWindowMs: HOUR_MS,
  /** Calls per second, account and region (service quota "BatchMeterUsage"). */
  callsPerSecondMax: 10,
  allocationsMax: 2_500,
  tagsMax: 5,
  tagKeyLengthMax: 100,
  tagValueLengthMax: 256,
  tagPattern: /^[a-zA-Z0-9+ -=._:/@]+$/,
  /** Errors about one record that AWS answers for the whole request: the request is split to find it. */
  splittingErrors: [
    'TimestampOutOfBoundsException',
    'InvalidUsageDimensionException',
    'InvalidLicenseException',
    'InvalidCustomerIdentifierException',
    'InvalidTagException',
    'InvalidUsageAllocationsException',
  ],
  throttlingErrors: ['ThrottlingException', 'Throttling', 'TooManyRequestsException', 'RequestLimitExceeded'],
} as const

/** How far inside AWS's limits we stay. Ours, not AWS's. */
export const MARGINS = {
  /** Nothing is sealed later than this before AWS's deadline, so that time remains to send it. */
  sealBeforeDeadlineMs: 90 * MINUTE_MS,
  /** A month's last hours stay open until this long after midnight UTC on the 1st. */
  monthEndSettleMs: 3 * HOUR_MS,
  /** A held hour is decided by default this long before AWS's deadline. */
  holdBeforeDeadlineMs: HOUR_MS,
  /** A held hour of a subscription that ended is decided this long before its final window closes. */
  holdBeforeGoodbyeMs: 15 * MINUTE_MS,
  /** Less than this before a final window closes, nothing more is sealed: time must remain to send it. */
  lastSealBeforeGoodbyeMs: 20 * MINUTE_MS,
  /** Calls per second that we allow ourselves. */
  callsPerSecond: 9,
  /** Share of AWS's byte limit that a packed call may take: headers and the envelope need the rest. */
  batchBytes: 950_000,
  /** A record's own bytes: more tag sets than fit are folded into the untagged one. */
  recordBytes: 900_000,
} as const
