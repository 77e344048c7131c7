import { expect, it } from 'vitest'
import { judgeProbe, type ProbeOutcome } from '../../domain/health/endpoint-health.ts'
import { utc } from '../contract/fixtures.ts'
import { anEndpoint } from '../contract/health-store.contract.ts'
import { aDynamoTable, describeOnDynamo } from './dynamodb.fixture.ts'
import { createDynamoHealthStore } from './health-store.ts'

const NOW = utc('2026-11-21T10:00')
const MINUTE = 60_000

describeOnDynamo('forgetting what endpoints were', () => {
  it('reads what is old, and of what is kept no more than one change of an endpoint', async () => {
    const table = await aDynamoTable()
    let read = 0
    const health = createDynamoHealthStore({
      ...table,
      query: async (range) => {
        const items = await table.query(range)
        read += items.length
        return items
      },
    })
    const endpoint = anEndpoint({ downAfter: 1 })
    const outcomes: readonly ProbeOutcome[] = [
      { kind: 'failed', reason: 'HTTP 503' },
      { kind: 'up', latencyMs: 1 },
    ]
    for (let n = 0; n < 20; n++)
      await health.record({ product: 'demo', endpoint: endpoint.id }, (before) =>
        judgeProbe('demo', endpoint, before, outcomes[n % 2]!, NOW + n * MINUTE),
      )
    expect(await health.purge('demo', NOW + 2 * MINUTE, 500)).toBe(2)
    expect(read).toBe(3)
    expect(await health.purge('demo', NOW + 2 * MINUTE, 500)).toBe(0)
    expect(read).toBe(4)
  })
})
