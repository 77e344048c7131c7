import { expect, it } from 'vitest'
import { utc } from '../../storage/contract/fixtures.ts'
import { compareUsage, type MeteredUsage } from './compare-usage.ts'
import { hourOf } from './hour.ts'
import type { UsageRecord } from './usage-record.ts'

const ARN = 'arn:aws:license-manager::294406891311:license:l-1'

function aRecord(time: string, quantity: number, values: Partial<UsageRecord> = {}): UsageRecord {
  return {
    id: `rec_${time}`,
    product: 'demo',
    subscription: 'sub_1',
    dimension: 'requests',
    hour: hourOf(utc(time)),
    region: 'us-east-1',
    identity: { kind: 'license', licenseArn: ARN, customerAwsAccountId: '111122223333' },
    timestamp: utc(time),
    quantity,
    unitBase: 1n,
    allocations: [],
    state: 'accepted',
    deadline: 0,
    sealedAt: 0,
    attempts: 1,
    unanswered: 0,
    nextAttemptAt: 0,
    meteringRecordId: undefined,
    note: undefined,
    ...values,
  }
}

function theirs(time: string, quantity: bigint, identity = 'license/l-1'): MeteredUsage {
  return { identity, dimension: 'requests', timestamp: utc(time), quantity }
}

it('tells equal hours from those that differ, are missing here, or were never sent by the other', () => {
  const comparison = compareUsage(
    [
      aRecord('2026-11-21T10:00', 5),
      aRecord('2026-11-21T11:00', 7),
      aRecord('2026-11-21T12:00', 9),
      aRecord('2026-11-21T13:00', 0),
    ],
    [theirs('2026-11-21T10:20', 5n), theirs('2026-11-21T11:00', 6n), theirs('2026-11-21T14:00', 2n)],
  )
  expect(comparison).toEqual({
    equal: 2,
    differences: [
      { identity: ARN, dimension: 'requests', hour: '2026-11-21T11:00:00.000Z', ours: 7n, theirs: 6n },
      { identity: ARN, dimension: 'requests', hour: '2026-11-21T12:00:00.000Z', ours: 9n, theirs: undefined },
      {
        identity: 'license/l-1',
        dimension: 'requests',
        hour: '2026-11-21T14:00:00.000Z',
        ours: undefined,
        theirs: 2n,
      },
    ],
    oursTotal: 21n,
    theirsTotal: 13n,
  })
})

it('counts the first line of an hour, as AWS does, and leaves out what was carried on', () => {
  const comparison = compareUsage(
    [aRecord('2026-11-21T10:00', 5), aRecord('2026-11-21T11:00', 3, { state: 'carried' })],
    [theirs('2026-11-21T10:00', 5n), theirs('2026-11-21T10:40', 8n)],
  )
  expect(comparison).toMatchObject({ equal: 1, differences: [] })
})
