import type {
  MeteringAnswer,
  MeteringService,
} from '../../packages/server/src/domain/usage/metering-service.ts'
import type { UsageRecord } from '../../packages/server/src/domain/usage/usage-record.ts'
import { meteringAnswer } from '../../packages/server/src/marketplace/aws-answer.ts'
import { createAwsMetering } from '../../packages/server/src/marketplace/aws-metering.ts'
import type { Simulator } from '../../packages/simulator/src/index.ts'
import type { Life } from './life.ts'

/** Nothing is ever sent there: only the wording of a request is asked of it. */
const wording = createAwsMetering({ mode: 'simulated', endpoint: 'http://127.0.0.1:9', timeoutMs: 1 })

export interface Wire {
  /** What was sent for each of our records, the first time: it must never change. */
  readonly sent: Map<string, string>
  /** Which of our records was sent under which of AWS's keys. */
  readonly keys: Map<string, string>
}

/** The simulator as the domain's metering service, without sockets: the real wording out, the real reading of answers in. */
export function createSimulatedMetering(deps: {
  simulator: Simulator
  life: Life
  wire: Wire
  timeoutMs: number
  /** Sometimes the connection is refused before a byte leaves. */
  refused: () => boolean
}): MeteringService {
  const { simulator, life, wire, timeoutMs } = deps
  return {
    sizeOf: (record) => wording.sizeOf(record),
    requestOf: (records) => wording.requestOf(records),
    resolveCustomer: () => Promise.reject(new Error('nobody registers here')),
    async batchMeterUsage(region, records) {
      await life.pause()
      life.point()
      const body = wording.requestOf(records)
      remember(wire, region, records)
      if (deps.refused()) {
        return meteringAnswer(records, {
          kind: 'failure',
          sent: 'no',
          code: 'ConnectionRefused',
          message: 'refused',
        })
      }
      const reply = await simulator.handleAws({
        target: 'AWSMPMeteringService.BatchMeterUsage',
        body,
        region,
      })
      await life.pause()
      life.point()
      return read(records, reply)
    },
  }

  function read(
    records: readonly UsageRecord[],
    reply: Awaited<ReturnType<Simulator['handleAws']>>,
  ): MeteringAnswer {
    const lost = (message: string) =>
      meteringAnswer(records, { kind: 'failure', sent: 'maybe', code: 'Unanswered', message })
    if (reply.kind === 'cut') return lost('the connection was cut')
    if (reply.delayMs !== undefined) {
      simulator.clock.advance(Math.min(reply.delayMs, timeoutMs))
      if (reply.delayMs > timeoutMs) return lost('no answer in time')
    }
    return meteringAnswer(records, {
      kind: 'response',
      status: reply.status,
      errorType: reply.headers['x-amzn-errortype'],
      requestId: reply.headers['x-amzn-requestid'],
      body: typeof reply.body === 'string' ? reply.body : Buffer.from(reply.body).toString('utf8'),
    })
  }
}

function remember(wire: Wire, region: string, records: readonly UsageRecord[]): void {
  for (const record of records) {
    const bytes = `${region} ${wording.requestOf([record])}`
    const before = wire.sent.get(record.id)
    if (before !== undefined && before !== bytes) {
      throw new Error(`${record.id} was sent as ${before} and now as ${bytes}`)
    }
    wire.sent.set(record.id, bytes)
    const { identity } = record
    const customer =
      identity.kind === 'license'
        ? identity.licenseArn.split(/[:/]/).at(-1)
        : `${identity.productCode} ${identity.customerIdentifier}`
    const key = `${region} ${customer} ${record.dimension} ${Math.floor(record.timestamp / 3_600_000)}`
    const other = wire.keys.get(key)
    if (other !== undefined && other !== record.id)
      throw new Error(`${key} is sent by ${other} and ${record.id}`)
    wire.keys.set(key, record.id)
  }
}
