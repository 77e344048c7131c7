import { randomUUID } from 'node:crypto'
import { isRotated, rotateSalts } from '../../domain/visitors/rotate-salts.ts'
import {
  type Conversion,
  dayOf,
  type ForgetVisitors,
  type UsedSolution,
  type Visitor,
  type VisitorHash,
  type VisitorSalt,
  type VisitorStore,
} from '../../domain/visitors/visitor.ts'
import { appendAudit } from './audit-trail.ts'
import { appendDomainEvent, transactionThatTells } from './domain-events.ts'
import { int, optionalInt, text } from './fields.ts'
import {
  countersOfVisitor,
  hashesOfVisitor,
  padded,
  saltKey,
  saltPartition,
  solutionKey,
  visitorHashKey,
  visitorKey,
  visitorList,
  visitorLists,
} from './keys.ts'
import { refuseWhileWaiting } from './ledger-guard.ts'
import type { Item, Reader, Table, Transaction } from './table.ts'

/** DynamoDB deletes a solution so much later, ms: clocks differ. */
const SOLUTION_KEPT_MS = 86_400_000

export function createDynamoVisitorStore(table: Table): VisitorStore {
  return {
    async salts(now, lifeMs) {
      const known = await readSalts(table)
      const isDone = isRotated(known, rotateSalts(known, now, lifeMs))
      return isDone ? known : table.transaction((tx) => nextSalt(tx, now, lifeMs))
    },
    find: (hashes) => findVisitor(table, hashes),
    see: ({ product, hashes, at, solution }) =>
      table.transaction(async (tx) => {
        await refuseWhileWaiting(tx)
        const found = await findVisitor(tx, hashes)
        if (found !== undefined) {
          const visitor = { ...found.visitor, seenAt: Math.max(dayOf(at), found.visitor.seenAt) }
          tx.put(visitorItem(visitor))
          await addHashes(tx, visitor.id, hashes)
          return { status: 'known', visitor }
        }
        if (solution !== undefined) {
          if ((await tx.get(solutionKey(solution.id))) !== undefined) return { status: 'used' }
          tx.put(solutionItem(solution))
        }
        const id = `vis_${randomUUID()}`
        const visitor = { id, product, firstSeenAt: at, seenAt: dayOf(at), conversion: undefined }
        tx.put(visitorItem(visitor))
        await addHashes(tx, id, hashes)
        return { status: 'new', visitor }
      }),
    convert: (hashes, conversion, traceOf) =>
      transactionThatTells(table, async (tx) => {
        await refuseWhileWaiting(tx)
        const visitor = (await findVisitor(tx, hashes))?.visitor
        if (visitor === undefined) return { status: 'unknown', visitor }
        if (visitor.conversion !== undefined)
          return { status: visitor.conversion.buyer === conversion.buyer ? 'repeated' : 'taken', visitor }
        const converted = { ...visitor, conversion }
        tx.put(visitorItem(converted))
        const { audit, event } = traceOf(converted)
        await appendAudit(tx, audit)
        await appendDomainEvent(tx, event)
        return { status: 'converted', visitor: converted }
      }),
    async forget(what) {
      let forgotten = 0
      for (const list of visitorLists) {
        const range = { to: `${padded(what.seenBefore)}#`, limit: what.limit - forgotten }
        if (range.limit <= 0) break
        const due = await table.queryIndex('ListIndex', { pk: list, ...range })
        for (const item of due) await forgetVisitor(table, text(item.id), what)
        forgotten += due.length
      }
      return forgotten
    },
  }
}

async function readSalts(reader: Reader): Promise<readonly VisitorSalt[]> {
  const items = await reader.query({ pk: saltPartition, reverse: true })
  return items.map(({ number, secret, since }) => ({
    number: int(number),
    secret: Uint8Array.from(secret as Uint8Array),
    since: int(since),
  }))
}

/** Of two at once one finds the other's: both would make the same number. */
async function nextSalt(tx: Transaction, now: number, lifeMs: number): Promise<readonly VisitorSalt[]> {
  await refuseWhileWaiting(tx)
  const known = await readSalts(tx)
  const { made, living } = rotateSalts(known, now, lifeMs)
  if (made !== undefined) tx.put(saltItem(made))
  const oldest = living.at(-1)!.number
  for (const { number } of known) {
    if (number >= oldest) continue
    await tx.get(saltKey(number))
    tx.delete(saltKey(number))
  }
  return living
}

/** By the newest of the salts that it is known by. Within a step both items are checked at its commit. */
async function findVisitor(
  reader: Reader,
  hashes: readonly VisitorHash[],
): Promise<{ readonly visitor: Visitor; readonly salt: number } | undefined> {
  const items = await reader.getMany(hashes.map(({ hash }) => visitorHashKey(hash)))
  for (const item of items) {
    const visitor = item && (await reader.get(visitorKey(text(item.visitor))))
    if (visitor !== undefined) return { visitor: toVisitor(visitor), salt: int(item!.salt) }
  }
  return undefined
}

async function addHashes(tx: Transaction, visitor: string, hashes: readonly VisitorHash[]): Promise<void> {
  const known = await tx.getMany(hashes.map(({ hash }) => visitorHashKey(hash)))
  for (const [index, hash] of hashes.entries())
    if (known[index]?.visitor !== visitor) tx.put(visitorHashItem(hash, visitor))
}

async function forgetVisitor(table: Table, id: string, { seenBefore }: ForgetVisitors): Promise<void> {
  await table.transaction(async (tx) => {
    await refuseWhileWaiting(tx)
    const item = await tx.get(visitorKey(id))
    // The list is a hint: it may have come back.
    if (item === undefined || int(item.seenAt) >= seenBefore) return
    const hashes = await tx.queryIndex('ListIndex', { pk: hashesOfVisitor(id) })
    const counters = await tx.queryIndex('ListIndex', { pk: countersOfVisitor(id) })
    for (const { pk, sk } of [...hashes, ...counters, item]) {
      await tx.get({ pk, sk })
      tx.delete({ pk, sk })
    }
  })
}

export function saltItem({ number, secret, since }: VisitorSalt): Item {
  return { ...saltKey(number), number, secret, since }
}

export function visitorItem({ id, product, firstSeenAt, seenAt, conversion }: Visitor): Item {
  return {
    ...visitorKey(id),
    id,
    product,
    firstSeenAt,
    seenAt,
    ...(conversion && {
      buyer: conversion.buyer,
      subscription: conversion.subscription,
      convertedAt: conversion.at,
    }),
    list: visitorList(id),
    listed: `${padded(seenAt)}#${id}`,
  }
}

export function visitorHashItem({ hash, salt }: VisitorHash, visitor: string): Item {
  return { ...visitorHashKey(hash), hash, salt, visitor, list: hashesOfVisitor(visitor), listed: hash }
}

export function solutionItem({ id, expiresAt }: UsedSolution): Item {
  // By `expiresAt` DynamoDB deletes it.
  const seconds = Math.ceil((expiresAt + SOLUTION_KEPT_MS) / 1000)
  return { ...solutionKey(id), id, until: expiresAt, expiresAt: seconds }
}

function toVisitor(item: Item): Visitor {
  return {
    id: text(item.id),
    product: text(item.product),
    firstSeenAt: int(item.firstSeenAt),
    seenAt: int(item.seenAt),
    conversion: toConversion(item),
  }
}

function toConversion({ buyer, subscription, convertedAt }: Item): Conversion | undefined {
  const at = optionalInt(convertedAt)
  return at === undefined ? undefined : { buyer: text(buyer), subscription: text(subscription), at }
}
