import { SimulatorError } from '../errors.ts'

/**
 * How the simulated AWS behaves where AWS's own behaviour is not verified, or differs between accounts.
 * Defaults are what the documentation and captures of real traffic make most likely.
 */
export interface Settings {
  /** Agreement accepted → `Purchase Agreement Created`, in ms. 11 s in a capture. */
  readonly createdDelayMs: number
  /** Agreement accepted (or its start date) → licensed, in ms: metering is taken from then. 72 s in a capture. */
  readonly licenseDelayMs: number
  /** Agreement ended → license deprovisioned, in ms. 31 s in a capture. */
  readonly deprovisionDelayMs: number
  /** How long after deprovisioning final usage is taken, in ms. Documented: one hour. */
  readonly finalWindowMs: number
  /** Verdict on a record sent again unchanged. AWS's API text says the first, its agent toolkit the second. */
  readonly identicalResend: 'success' | 'duplicateRecord'
  /** A buyer or license nobody knows: a verdict on its record, or an exception that fails the request. */
  readonly unknownCustomer: 'status' | 'exception'
  /** Usage more than 5 minutes ahead of now. */
  readonly futureTimestamps: 'refuse' | 'accept'
  /** Usage timed before its agreement started: `TimestampOutOfBoundsException`, or taken. */
  readonly usageBeforeAgreement: 'refuse' | 'accept'
  /** Usage sent in the final window but timed after deprovisioning: taken, or `CustomerNotSubscribed`. */
  readonly usageAfterEnd: 'accept' | 'refuse'
  /** Error code for more than 25 records. */
  readonly tooManyRecordsError: string
  /** Error code for a request of `requestBytesMax` or more. */
  readonly tooLargeError: string
  /** A request body must be smaller than this; AWS says "less than 1 MB", and the smaller reading is the safe one. */
  readonly requestBytesMax: number
  /** How long a registration token resolves, in ms. AWS's pages say about 4 h, 1 h and 30 min. */
  readonly tokenLifetimeMs: number
  /** Whether a registration token resolves again after it was used; a used `single` one is expired. */
  readonly tokenReuse: 'reusable' | 'single'
  /** `ProductCode` and `LicenseArn` in one request: refused, or the license decides. */
  readonly productCodeWithLicense: 'reject' | 'accept'
  /** Whether a `CustomerNotSubscribed` result carries a `MeteringRecordId`. */
  readonly meteringRecordIdWhenNotSubscribed: boolean
  /** Whether a renewed agreement gets a license of its own. */
  readonly licenseOnRenewal: 'new' | 'kept'
  /**
   * What the seller is told of first when one agreement takes another's place: `oldFirst`, Ended and License
   * Deprovisioned; `newFirst`, Created and License Updated; `interleaved`, each after its own delay.
   */
  readonly successionOrder: 'interleaved' | 'oldFirst' | 'newFirst'
  /** Whether `Purchase Agreement Created` says which agreement it takes the place of. */
  readonly previousAgreementIdInEvents: boolean
  /** Whether each region deduplicates by itself (so one hour sent to two regions is billed twice). */
  readonly regionalDedup: boolean
  /** Whether the quotas below are enforced. */
  readonly throttling: boolean
  readonly batchMeterUsagePerSecond: number
  readonly resolveCustomerPerSecond: number
  readonly getEntitlementsPerSecond: number
  readonly searchAgreementsPerSecond: number
  readonly describeAgreementPerSecond: number
  readonly getAgreementTermsPerSecond: number
  readonly getAgreementEntitlementsPerSecond: number
  /** Of each of the four operations on cancellation requests. */
  readonly agreementCancellationsPerSecond: number
  /** Whether `GetEntitlements` begins with an empty page that carries a `NextToken`. */
  readonly emptyEntitlementPage: boolean
  /** The seller's AWS account: answered by STS, and the proposer in notifications. */
  readonly sellerAccountId: string
  /** How SNS messages are signed: `1` is SHA1 with RSA, AWS's default, `2` SHA256 with RSA. */
  readonly snsSignatureVersion: '1' | '2'
  /** How often a notification is sent to an endpoint that fails, before it is given up: ten times take about 70 s. */
  readonly deliveryAttemptsMax: number
}

export const DEFAULT_SETTINGS: Settings = Object.freeze({
  createdDelayMs: 11_000,
  licenseDelayMs: 72_000,
  deprovisionDelayMs: 31_000,
  finalWindowMs: 3_600_000,
  identicalResend: 'success',
  unknownCustomer: 'status',
  futureTimestamps: 'refuse',
  usageBeforeAgreement: 'refuse',
  usageAfterEnd: 'accept',
  tooManyRecordsError: 'ValidationException',
  tooLargeError: 'ValidationException',
  requestBytesMax: 1_000_000,
  tokenLifetimeMs: 4 * 3_600_000,
  tokenReuse: 'reusable',
  productCodeWithLicense: 'reject',
  meteringRecordIdWhenNotSubscribed: false,
  licenseOnRenewal: 'new',
  successionOrder: 'interleaved',
  previousAgreementIdInEvents: true,
  regionalDedup: true,
  throttling: true,
  batchMeterUsagePerSecond: 10,
  resolveCustomerPerSecond: 100,
  getEntitlementsPerSecond: 20,
  searchAgreementsPerSecond: 5,
  describeAgreementPerSecond: 5,
  getAgreementTermsPerSecond: 10,
  getAgreementEntitlementsPerSecond: 10,
  agreementCancellationsPerSecond: 2,
  emptyEntitlementPage: false,
  sellerAccountId: '111122223333',
  snsSignatureVersion: '1',
  deliveryAttemptsMax: 10,
})

const DURATION_MS_MAX = 366 * 24 * 3_600_000
const flag = { accepts: (value: unknown) => typeof value === 'boolean', expects: 'true or false' }
const duration = whole(0, DURATION_MS_MAX)
const rate = whole(1, 1_000_000)
const errorCode = pattern(/^[A-Z][A-Za-z]{2,60}$/, 'an AWS error code such as ValidationException')

const RULES: { readonly [Name in keyof Settings]: Rule } = {
  createdDelayMs: duration,
  licenseDelayMs: duration,
  deprovisionDelayMs: duration,
  finalWindowMs: duration,
  identicalResend: oneOf('success', 'duplicateRecord'),
  unknownCustomer: oneOf('status', 'exception'),
  futureTimestamps: oneOf('refuse', 'accept'),
  usageBeforeAgreement: oneOf('refuse', 'accept'),
  usageAfterEnd: oneOf('accept', 'refuse'),
  tooManyRecordsError: errorCode,
  tooLargeError: errorCode,
  requestBytesMax: whole(1_000, 2_000_000),
  tokenLifetimeMs: duration,
  tokenReuse: oneOf('reusable', 'single'),
  productCodeWithLicense: oneOf('reject', 'accept'),
  meteringRecordIdWhenNotSubscribed: flag,
  licenseOnRenewal: oneOf('new', 'kept'),
  successionOrder: oneOf('interleaved', 'oldFirst', 'newFirst'),
  previousAgreementIdInEvents: flag,
  regionalDedup: flag,
  throttling: flag,
  batchMeterUsagePerSecond: rate,
  resolveCustomerPerSecond: rate,
  getEntitlementsPerSecond: rate,
  searchAgreementsPerSecond: rate,
  describeAgreementPerSecond: rate,
  getAgreementTermsPerSecond: rate,
  getAgreementEntitlementsPerSecond: rate,
  agreementCancellationsPerSecond: rate,
  emptyEntitlementPage: flag,
  sellerAccountId: pattern(/^\d{12}$/, '12 digits'),
  snsSignatureVersion: oneOf('1', '2'),
  deliveryAttemptsMax: whole(1, 100),
}

interface Rule {
  readonly accepts: (value: unknown) => boolean
  readonly expects: string
}

/**
 * Checks some settings that came from outside.
 *
 * @throws {SimulatorError} `invalid`, naming the setting and what it takes
 */
export function parseSettings(patch: unknown): Partial<Settings> {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) {
    throw new SimulatorError('invalid', 'settings must be an object')
  }
  for (const [name, value] of Object.entries(patch)) {
    if (!Object.hasOwn(RULES, name)) {
      throw new SimulatorError(
        'invalid',
        `unknown setting ${name}; known are ${Object.keys(RULES).join(', ')}`,
      )
    }
    const rule = RULES[name as keyof Settings]
    if (!rule.accepts(value)) throw new SimulatorError('invalid', `setting ${name} must be ${rule.expects}`)
  }
  return { ...patch }
}

function oneOf(...values: string[]): Rule {
  return { accepts: (value) => values.includes(value as string), expects: values.join(' or ') }
}

function whole(min: number, max: number): Rule {
  return {
    accepts: (value) => Number.isInteger(value) && (value as number) >= min && (value as number) <= max,
    expects: `a whole number from ${min} to ${max}`,
  }
}

function pattern(regex: RegExp, expects: string): Rule {
  return { accepts: (value) => typeof value === 'string' && regex.test(value), expects }
}
