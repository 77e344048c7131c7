import { licenseTail } from './identifiers.ts'
import { type SubscriptionRecord, takesUsage } from './subscription.ts'

/**
 * All subscriptions, found by id, by license and by legacy buyer without a search. A license can belong to several
 * (one kept across a renewal), and so can a legacy buyer (who left and came back).
 */
export interface SubscriptionBook {
  readonly size: number
  /** Void ones are only found by their number. */
  find(id: string): SubscriptionRecord | undefined
  /** Oldest first. */
  list(): SubscriptionRecord[]
  /** Adds a subscription, or replaces the one with its id. */
  put(record: SubscriptionRecord): void
  findAgreement(agreementId: string): SubscriptionRecord | undefined
  byLicense(licenseArn: string): readonly SubscriptionRecord[]
  byAccount(productCode: string, accountId: string): readonly SubscriptionRecord[]
  byCustomer(productCode: string, customerIdentifier: string): readonly SubscriptionRecord[]
  /** Position in order of creation, from 0: a small number to keep in place of the id. */
  indexOf(id: string): number
  at(index: number): SubscriptionRecord
}

export function createSubscriptionBook(): SubscriptionBook {
  const records: SubscriptionRecord[] = []
  const indexes = new Map<string, number>()
  const agreements = new Map<string, number>()
  const groups = new Map<string, string[]>()

  function keysOf(record: SubscriptionRecord): string[] {
    const keys = [accountKey(record.productCode, record.accountId)]
    const tail = record.licenseArn === undefined ? undefined : licenseTail(record.licenseArn)
    if (tail !== undefined) keys.push(tail)
    if (record.customerIdentifier !== undefined) {
      keys.push(customerKey(record.productCode, record.customerIdentifier))
    }
    return keys
  }

  function at(index: number): SubscriptionRecord {
    const record = records[index]
    if (record === undefined) throw new RangeError(`no subscription number ${index}`)
    return record
  }

  function indexOf(id: string): number {
    const index = indexes.get(id)
    if (index === undefined) throw new RangeError(`no subscription ${id}`)
    return index
  }

  const group = (key: string): SubscriptionRecord[] =>
    (groups.get(key) ?? []).map((id) => at(indexOf(id))).filter(isReal)

  function findAt(index: number | undefined): SubscriptionRecord | undefined {
    const record = index === undefined ? undefined : records[index]
    return record !== undefined && isReal(record) ? record : undefined
  }

  return {
    get size() {
      return records.length
    },
    find: (id) => findAt(indexes.get(id)),
    findAgreement: (agreementId) => findAt(agreements.get(agreementId)),
    list: () => records.filter(isReal),
    put(record) {
      const known = indexes.get(record.id)
      if (known !== undefined) {
        records[known] = record
        return
      }
      indexes.set(record.id, records.length)
      agreements.set(record.agreementId, records.length)
      records.push(record)
      for (const key of keysOf(record)) {
        const ids = groups.get(key)
        if (ids === undefined) groups.set(key, [record.id])
        else ids.push(record.id)
      }
    },
    byLicense: (licenseArn) => {
      const tail = licenseTail(licenseArn)
      return tail === undefined ? [] : group(tail)
    },
    byAccount: (productCode, accountId) => group(accountKey(productCode, accountId)),
    byCustomer: (productCode, customerIdentifier) => group(customerKey(productCode, customerIdentifier)),
    indexOf,
    at,
  }
}

/**
 * Which of several subscriptions under one identity a usage record of `timestamp` is for: the newest that takes
 * usage and had started by then, else the newest that takes usage, else the newest.
 */
export function chooseSubscription(
  candidates: readonly SubscriptionRecord[],
  timestamp: number,
  now: number,
): SubscriptionRecord | undefined {
  if (candidates.length < 2) return candidates[0]
  const open = candidates.filter((candidate) => takesUsage(candidate, now))
  return open.findLast((candidate) => candidate.startAt <= timestamp) ?? open.at(-1) ?? candidates.at(-1)
}

const isReal = ({ isVoid }: SubscriptionRecord) => isVoid !== true
const accountKey = (productCode: string, accountId: string) => `account ${productCode} ${accountId}`
const customerKey = (productCode: string, customer: string) => `customer ${productCode} ${customer}`
