/** The simulated AWS Marketplace in a process of its own; or its door with nobody behind it. */
import assert from 'node:assert/strict'
import { createSimulator, createVirtualClock, type Settings, type Simulator } from '@tollkeeper/simulator'
import { createHttpServer } from '../../packages/simulator/src/http/http-server.ts'
import { answerQuestions } from '../harness/child.ts'
import { accountId } from './demo-ledger.ts'

export interface SimulatorGiven {
  readonly products: readonly { readonly productCode: string; readonly dimensions: readonly string[] }[]
  /** Buyers of each product. */
  readonly buyers: number
  /** When they subscribe, ms. */
  readonly subscribedAt: number
  /** What its clock shows afterwards, ms; it runs on from there. */
  readonly now: number
  readonly settings?: Partial<Settings>
  /** `false`: AWS calls are let in and answered, and that is all. */
  readonly decides: boolean
}

export interface License {
  readonly licenseArn: string
  readonly accountId: string
  readonly productCode: string
}

export interface SimulatorAnswer {
  readonly url: string
  readonly licenses: readonly License[]
}

let simulator: Simulator | undefined
let answer: SimulatorAnswer | undefined

async function start(given: SimulatorGiven): Promise<void> {
  const clock = createVirtualClock({ start: given.subscribedAt, running: false })
  simulator = await createSimulator({
    clock,
    seed: 1,
    settings: { licenseDelayMs: 0, createdDelayMs: 0, ...given.settings },
    products: given.products.map(({ productCode, dimensions }) => ({
      productCode,
      title: 'Benchmark',
      metering: 'license',
      pricing: 'usage',
      fulfillmentUrl: 'http://127.0.0.1:4000',
      dimensions: dimensions.map((key) => ({ key })),
    })),
  })
  const licenses: License[] = []
  for (const { productCode } of given.products) {
    for (let index = 0; index < given.buyers; index++) {
      const bought = simulator.marketplace.subscribe({ productCode, accountId: accountId(index) })
      assert(bought.licenseArn !== undefined)
      licenses.push({ licenseArn: bought.licenseArn, accountId: bought.accountId, productCode })
    }
  }
  clock.set(given.now)
  clock.run(true)
  const server = given.decides ? simulator : createHttpServer({ ...simulator, handleAws: decideNothing })
  const { url } = await server.listen({})
  answer = { url, licenses }
}

/** As long as the answer for one record. */
const NOTHING = JSON.stringify({
  Results: [
    { MeteringRecordId: '0'.repeat(36), Status: 'Success', UsageRecord: { LicenseArn: '0'.repeat(160) } },
  ],
  UnprocessedRecords: [],
})

const decideNothing: Simulator['handleAws'] = async () => ({
  kind: 'answer',
  status: 200,
  headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amzn-requestid': '0'.repeat(36) },
  body: NOTHING,
})

/** Its ledger, in short. */
function counts() {
  assert(simulator !== undefined)
  const { BatchMeterUsage } = simulator.marketplace.callCounts() as Readonly<Record<string, unknown>>
  return { records: simulator.marketplace.recordCount, calls: BatchMeterUsage }
}

function cpu(): { cpuUs: number } {
  const { user, system } = process.cpuUsage()
  return { cpuUs: user + system }
}

answerQuestions({ start, where: () => answer, counts, cpu })
