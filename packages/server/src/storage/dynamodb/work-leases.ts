import { LEASE_MS_MAX, type WorkLeases } from '../../domain/work-leases.ts'
import { int, text } from './fields.ts'
import { leaseKey, leasePartition } from './keys.ts'
import type { Table } from './table.ts'

/** Nodes close and send side by side: more parts than there are nodes, so that each has its share. */
const SLICES = 16

export function createDynamoWorkLeases(table: Table): WorkLeases {
  return {
    slices: SLICES,
    claim: (name, holder, now, leaseMs) =>
      table.transaction(async (tx) => {
        const lease = await tx.get(leaseKey(name))
        const until = int(lease?.until ?? 0)
        const isTaken = lease !== undefined && until > now && until <= now + LEASE_MS_MAX
        if (isTaken && lease.holder !== holder) return false
        tx.put({ ...leaseKey(name), name, holder, until: now + leaseMs })
        return true
      }),
    release: (name, holder) =>
      table.transaction(async (tx) => {
        const lease = await tx.get(leaseKey(name))
        if (lease?.holder === holder) tx.delete(leaseKey(name))
      }),
    list: async () =>
      (await table.query({ pk: leasePartition }))
        .map((item) => ({ name: text(item.name), holder: text(item.holder), until: int(item.until) }))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
  }
}
