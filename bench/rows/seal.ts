import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Benchmark } from '../harness/row.ts'
import { count } from '../harness/table.ts'
import type { Memory, Work } from '../servers/sealing-ledger.ts'
import { startSealing } from './sealing.ts'

const MEMORY_MB_MAX = 250
const BUYERS = 1_000
const DIMENSIONS = 10
const HOURS = 10
const RECORDS = BUYERS * DIMENSIONS * HOURS

/** A busy seller's night: memory must not follow the number of records. */
export const seal: Benchmark = {
  name: 'seal',
  about: `${count(RECORDS)} records sealed and submitted: time and memory`,
  byDefault: true,
  async run({ directory, progress }) {
    const place = join(directory, 'seal')
    mkdirSync(place, { recursive: true })
    const { ledger, stop } = await startSealing({
      directory: place,
      products: 1,
      buyers: BUYERS,
      dimensions: DIMENSIONS,
      hours: HOURS,
      clock: 'stands',
      throttling: false,
    })
    try {
      const start = await ledger.ask<Memory>('memory')
      const sealed = await ledger.ask<Work & { closed: number }>('seal')
      progress(
        `${count(sealed.closed)} sealed in ${sealed.seconds.toFixed(1)} s; ${Math.round(sealed.end.rssMb)} MB`,
      )
      const sent = await ledger.ask<Work & { calls: number; accepted: number }>('submit', {})
      if (sealed.closed !== RECORDS || sent.accepted !== RECORDS)
        throw new Error(`${sealed.closed} sealed and ${sent.accepted} accepted of ${RECORDS}`)
      const mb = [start, sealed.middle, sealed.end, sent.middle, sent.end].map(({ rssMb }) =>
        Math.round(rssMb),
      )
      return [
        {
          name: 'seal',
          what: `${count(RECORDS)} records sealed and submitted in ${sent.calls} calls: peak memory`,
          limit: `${MEMORY_MB_MAX} MB`,
          ratio: sent.end.peakMb / MEMORY_MB_MAX,
          aim: { atMost: 1 },
          figure: `${sealed.seconds.toFixed(1)} s to seal, ${sent.seconds.toFixed(1)} s to submit; ${Math.round(sent.end.peakMb)} MB at most (${mb.join(' → ')})`,
        },
      ]
    } finally {
      await stop()
    }
  },
}
