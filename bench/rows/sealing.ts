import { type Child, startChild } from '../harness/child.ts'
import { PRODUCT_CODE } from '../servers/demo-ledger.ts'
import type { SealingOptions } from '../servers/sealing-ledger.ts'
import type { SimulatorAnswer, SimulatorGiven } from '../servers/simulator.ts'

/** Noon in the middle of a month: no month's end, no day's edge, whenever it is run. */
const NOW = Date.parse('2026-11-18T12:00:00Z')
const DAY_MS = 86_400_000

/** A ledger with usage of hours that are over, and a simulated AWS in another process that knows its buyers. */
export async function startSealing(given: {
  directory: string
  store?: string | undefined
  products: number
  /** Of each product. */
  buyers: number
  dimensions: number
  hours: number
  clock: SealingOptions['clock']
  throttling: boolean
}): Promise<{ ledger: Child; simulator: Child; stop: () => Promise<void> }> {
  const dimensions = Array.from({ length: given.dimensions }, (_, index) => `dimension_${index}`)
  const simulatorGiven: SimulatorGiven = {
    products: Array.from({ length: given.products }, (_, number) => ({
      productCode: number === 0 ? PRODUCT_CODE : `bench${number}tollkeeper00000000`,
      dimensions,
    })),
    buyers: given.buyers,
    subscribedAt: NOW - DAY_MS,
    now: NOW,
    settings: { throttling: given.throttling },
    decides: true,
  }
  const simulator = await startChild('servers/simulator.ts', 'client', simulatorGiven)
  try {
    const { url, licenses } = await simulator.ask<SimulatorAnswer>('where')
    const options: SealingOptions = {
      directory: given.directory,
      store: given.store,
      endpoint: url,
      licenses,
      dimensions: given.dimensions,
      hours: given.hours,
      now: NOW,
      clock: given.clock,
      fills: true,
    }
    await (await startChild('servers/sealing-ledger.ts', 'server', options)).stop()
    const ledger = await startChild('servers/sealing-ledger.ts', 'server', { ...options, fills: false })
    const stop = async () => {
      await ledger.stop()
      await simulator.stop()
    }
    return { ledger, simulator, stop }
  } catch (error) {
    await simulator.stop()
    throw error
  }
}
