import assert from 'node:assert/strict'
import { startChild } from '../harness/child.ts'
import { median, ROUNDS, rounds, spread } from '../harness/rounds.ts'
import type { Benchmark } from '../harness/row.ts'
import { count } from '../harness/table.ts'
import type { Load } from '../load/bodies.ts'
import type { Saturation } from '../load/client.ts'
import { type Latency, medianLatency } from '../load/latency.ts'
import { PRODUCT_CODE } from '../servers/demo-ledger.ts'
import type { SimulatorAnswer, SimulatorGiven } from '../servers/simulator.ts'

const NOW = Date.parse('2026-11-18T23:00:00Z')
const HOURS = 20
const HOUR_MS = 3_600_000
const BUYERS = 400
const CONNECTIONS = 50
const WARM_UP_MS = 1_500
const SLICE_MS = 400
const SLICES = 5
const LATENCY_MS = 1_000

/** Whoever tests against it should wait for their own code, not for the simulator. */
export const simulator: Benchmark = {
  name: 'simulator',
  about: 'the simulator: BatchMeterUsage with one record, recorded',
  byDefault: true,
  async run({ progress }) {
    const given: SimulatorGiven = {
      products: [
        {
          productCode: PRODUCT_CODE,
          dimensions: Array.from({ length: 100 }, (_, index) => `dimension_${index}`),
        },
      ],
      buyers: BUYERS,
      subscribedAt: NOW - 23 * HOUR_MS,
      now: NOW,
      settings: { throttling: false },
      decides: true,
    }
    const recording = await startChild('servers/simulator.ts', 'server', given)
    const nothing = await startChild('servers/simulator.ts', 'server', { ...given, decides: false })
    const client = await startChild('load/client.ts', 'client', undefined)
    try {
      for (const [name, server] of [
        ['recording', recording],
        ['nothing', nothing],
      ] as const) {
        const { url, licenses } = await server.ask<SimulatorAnswer>('where')
        const load: Load = {
          kind: 'simulator',
          path: '/',
          headers: signedHeaders(),
          size: 1,
          buyers: BUYERS,
          licenses,
          firstHour: NOW - (HOURS + 1) * HOUR_MS,
        }
        await client.ask('open', { name, target: { url, connections: CONNECTIONS, load } })
      }
      const saturate = async (name: string, ms: number) => {
        const result = await client.ask<Saturation>('saturate', { name, ms })
        total[name] = (total[name] ?? 0) + result.answered
        return result
      }
      const total: Record<string, number> = {}
      await saturate('recording', WARM_UP_MS)
      await saturate('nothing', WARM_UP_MS)
      const measured = await rounds(ROUNDS, async (index) => {
        const spent = { recording: { answered: 0, ms: 0 }, nothing: { answered: 0, ms: 0 } }
        let cpuUs = 0
        for (let slice = 0; slice < SLICES; slice++) {
          const before = await recording.ask<{ cpuUs: number }>('cpu')
          const one = await saturate('recording', SLICE_MS)
          const after = await recording.ask<{ cpuUs: number }>('cpu')
          cpuUs += after.cpuUs - before.cpuUs
          const other = await saturate('nothing', SLICE_MS)
          spent.recording = {
            answered: spent.recording.answered + one.answered,
            ms: spent.recording.ms + one.ms,
          }
          spent.nothing = {
            answered: spent.nothing.answered + other.answered,
            ms: spent.nothing.ms + other.ms,
          }
        }
        const recorded = (spent.recording.answered * 1000) / spent.recording.ms
        const limit = (spent.nothing.answered * 1000) / spent.nothing.ms
        const latency = await client.ask<Latency>('pace', {
          name: 'recording',
          ms: LATENCY_MS,
          perSecond: recorded / 2,
        })
        progress(`round ${index + 1}: ${count(recorded)} calls/s; no-op ${count(limit)}`)
        return { recorded, limit, cpuUs: cpuUs / spent.recording.answered, latency }
      })
      const rate = median(measured.map(({ recorded }) => recorded))
      const latency = medianLatency(measured.map((round) => round.latency))
      const { records } = await recording.ask<{ records: number }>('counts')
      assert.equal(records, total.recording! + latency.answered, 'every answered record is in its ledger')
      const ratios = measured.map(({ recorded, limit }) => recorded / limit)
      return [
        {
          name: 'simulator',
          what: `simulator: BatchMeterUsage, one new record a call, ${CONNECTIONS} connections`,
          limit: `${count(median(measured.map(({ limit }) => limit)))} calls/s: the same door, deciding nothing`,
          ratio: median(ratios),
          aim: { atLeast: 0.5 },
          figure: `${count(rate)} calls/s`,
          cpuUs: median(measured.map(({ cpuUs }) => cpuUs)),
          latency,
          noise: spread(ratios),
        },
      ]
    } finally {
      await client.stop()
      await nothing.stop()
      await recording.stop()
    }
  },
}

/** The simulator checks scheme, scope and date of a signature, not the signature. */
function signedHeaders(): Record<string, string> {
  const date = new Date().toISOString().replace(/[-:]|\.\d+/g, '')
  return {
    authorization: `AWS4-HMAC-SHA256 Credential=BENCH/${date.slice(0, 8)}/us-east-1/aws-marketplace/aws4_request, SignedHeaders=host;x-amz-date, Signature=${'0'.repeat(64)}`,
    'x-amz-date': date,
    'x-amz-target': 'AWSMPMeteringService.BatchMeterUsage',
    'content-type': 'application/x-amz-json-1.1',
  }
}
