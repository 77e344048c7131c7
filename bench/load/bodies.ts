import { randomBytes } from 'node:crypto'
import { DIMENSION, FEATURE, subscriptionId } from '../servers/demo-ledger.ts'

/** Requests that one kind of load sends: each differs, as real ones do. */
export interface Load {
  /** `check` is asked with GET; the others send a body. */
  readonly kind: 'meter' | 'usage' | 'simulator' | 'check' | 'validate'
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** Events or records in one request. */
  readonly size: number
  /** Buyers that they are spread over. */
  readonly buyers: number
  /** For the simulator: whose usage it is. */
  readonly licenses?: readonly { readonly licenseArn: string; readonly accountId: string }[]
  /** For the simulator: hours that it takes usage of, ms. */
  readonly firstHour?: number
  /** For the gate: who asks, for what, and whether each use has an id. */
  readonly apiKeys?: readonly string[]
  readonly dimension?: string
  readonly withIds?: boolean
}

/** @returns the body of the next request, or of a GET its path; ids never repeat, in this run or another */
export function createBodies(load: Load): () => string {
  if (load.kind === 'simulator') return usageRecords(load)
  if (load.kind === 'check') return questions(load)
  if (load.kind === 'validate') return uses(load)
  const event = usageEvents(load)
  if (load.kind === 'meter') return event
  return () => `[${Array.from({ length: load.size }, event).join(',')}]`
}

function usageEvents({ buyers }: Load): () => string {
  const run = randomBytes(8).toString('hex')
  let sent = 0
  let stampedAt = 0
  let stamp = ''
  return () => {
    const now = Date.now()
    if (now !== stampedAt) {
      stampedAt = now
      stamp = new Date(now).toISOString()
    }
    const number = sent++
    // Spread by a step prime to the number of buyers, so that neighbours are different ones.
    const buyer = subscriptionId((number * 7919) % buyers)
    return `{"subscriptionId":"${buyer}","dimension":"${DIMENSION}","correlationId":"${run}-${number.toString(16).padStart(12, '0')}","usageTime":"${stamp}","quantity":${1 + (number % 100)}}`
  }
}

/** Each of another buyer than the one before. */
function questions({ buyers, path }: Load): () => string {
  let sent = 0
  return () => `${path}?subscriptionId=${subscriptionId((sent++ * 7919) % buyers)}&feature=${FEATURE}`
}

/** One use each, of another API key than the one before. */
function uses({ apiKeys = [], dimension, withIds = false }: Load): () => string {
  const run = randomBytes(8).toString('hex')
  const asked = apiKeys.map((key) => `{"key":"${key}","dimension":"${dimension}"`)
  let sent = 0
  return () => {
    const number = sent++
    const id = withIds ? `,"id":"${run}-${number.toString(16).padStart(12, '0')}"` : ''
    return `${asked[(number * 7919) % asked.length]}${id}}`
  }
}

const HOUR_MS = 3_600_000
const HOURS = 20
const DIMENSIONS = 100

/** One record each, never the same identity, dimension and hour twice. */
function usageRecords({ licenses = [], firstHour = 0 }: Load): () => string {
  let sent = 0
  return () => {
    const number = sent++
    const hour = number % HOURS
    const dimension = Math.floor(number / HOURS) % DIMENSIONS
    const license = licenses[Math.floor(number / HOURS / DIMENSIONS)]
    if (license === undefined) throw new Error('more requests than there are records to send')
    return JSON.stringify({
      UsageRecords: [
        {
          Timestamp: (firstHour + hour * HOUR_MS) / 1000,
          Dimension: `dimension_${dimension}`,
          Quantity: 1 + (number % 1000),
          CustomerAWSAccountId: license.accountId,
          LicenseArn: license.licenseArn,
        },
      ],
    })
  }
}
