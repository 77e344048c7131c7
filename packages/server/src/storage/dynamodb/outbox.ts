import { isFailing, triesAllowed } from '../../domain/telling/judge-delivery.ts'
import type {
  ClaimedDelivery,
  DeliveryState,
  OutboxStore,
  TryState,
  Verdict,
} from '../../domain/telling/outbox-store.ts'
import { DELIVERY_STATES } from '../../domain/telling/outbox-store.ts'
import { clearAlarm, raiseAlarm } from './alarms.ts'
import { appendAudit } from './audit-trail.ts'
import {
  clearIfNoneDead,
  countDead,
  DELIVERED,
  deliveriesInState,
  dueLanes,
  leaveLane,
  putDelivery,
  putHealth,
  putLane,
  queueAnew,
  toDelivery,
  toHealth,
  waitingIn,
} from './deliveries.ts'
import {
  appendDomainEvent,
  getEventItem,
  listenForEvents,
  newestNumber,
  toDomainEvent,
  toldOf,
  transactionThatTells,
} from './domain-events.ts'
import { fanOutTo, registerSink, SEEN_EVERY_MS, wantedInAStep } from './fan-out.ts'
import { big, int, text } from './fields.ts'
import {
  deliveryKey,
  deliveryPrefix,
  domainEventIdKey,
  domainEventKey,
  laneKey,
  padded,
  sinkCursorKey,
  sinkKey,
} from './keys.ts'
import { newestFirst, toPage } from './lists.ts'
import type { Item, Table, Transaction } from './table.ts'

/**
 * What waits for a sink lies in lanes, one for each subscription: only the first of a lane is ever tried. Every sink has a
 * cursor over the events, which are numbered in the order of their commits: what it has passed is complete.
 */
export function createDynamoOutboxStore(table: Table): OutboxStore {
  return {
    async register(sinks, now) {
      for (const { name } of sinks) await table.transaction((tx) => registerSink(tx, name, now))
    },
    tellOnce: (event) =>
      transactionThatTells(table, async (tx) => {
        if ((await tx.get(domainEventIdKey(event.id))) === undefined) await appendDomainEvent(tx, event)
      }),
    findWork: (sinks, now) => findWork(table, sinks, now),
    async fanOut(sinks, now, limit) {
      let isMore = false
      for (const sink of sinks) isMore = (await fanOutTo(table, sink, now, limit)) || isMore
      return isMore
    },
    claim: (sink, now, options) => claim(table, sink, now, options),
    async settle(claimed, now, judge) {
      const known = await table.get(domainEventIdKey(claimed.event.id))
      if (known === undefined) return false
      return table.transaction((tx) => settle(tx, big(known.number), claimed, now, judge))
    },
    getEvent: async (id) => toDomainEvent(await getEventItem(table, id)),
    async earlierTypes(id) {
      const event = await getEventItem(table, id)
      const told = await toldOf(table, text(event.subscription))
      return [...new Set(told.filter(({ number }) => number < big(event.number)).map(({ type }) => type))]
    },
    list: (options) => list(table, options),
    replay: (id, sinks, actor, now) =>
      table.transaction(async (tx) => {
        const event = await getEventItem(tx, id)
        const range = { pk: domainEventKey(big(event.number)).pk, prefix: deliveryPrefix }
        const dead = (await tx.query(range)).filter(({ state }) => state === 'dead')
        const names = sinks ?? dead.map(({ sink }) => text(sink)).sort()
        for (const name of names) await queueAnew(tx, event, name, now)
        for (const name of names) await clearIfNoneDead(tx, name)
        if (names.length > 0) await auditReplay(tx, actor, id, names, now)
        return (await tx.query(range)).map(toDelivery).filter(({ sink }) => names.includes(sink))
      }),
    replayDead: (sink, actor, now) => replayDead(table, sink, actor, now),
    purge: (before, limit) => purge(table, before, limit),
    onEvent: (listener) => listenForEvents(table, listener),
  }
}

async function findWork(
  table: Table,
  sinks: Parameters<OutboxStore['findWork']>[0],
  now: number,
): ReturnType<OutboxStore['findWork']> {
  const newest = await newestNumber(table)
  const due: string[] = []
  let unsorted = false
  for (const { name } of sinks) {
    const [cursor, sink] = await table.getMany([sinkCursorKey(name), sinkKey(name)])
    if (cursor === undefined || big(cursor.cursor) < newest || now - int(cursor.seenAt) > SEEN_EVERY_MS)
      unsorted = true
    if (cursor === undefined || triesAllowed(toHealth(sink), now, 1) === 0) continue
    if ((await dueNow(table, name, now, 1)).length > 0) due.push(name)
  }
  return { unsorted, due }
}

function dueNow(table: Table, sink: string, now: number, limit: number): Promise<readonly Item[]> {
  return table.queryIndex('SecondListIndex', { pk: dueLanes(sink), to: `${padded(now)}~`, limit })
}

async function claim(
  table: Table,
  sink: string,
  now: number,
  { limit, leaseMs }: Parameters<OutboxStore['claim']>[2],
): Promise<readonly ClaimedDelivery[]> {
  if ((await table.get(sinkCursorKey(sink))) === undefined) return []
  const claimed: ClaimedDelivery[] = []
  const laneMax = wantedInAStep(table)
  for (;;) {
    const allowed = triesAllowed(toHealth(await table.get(sinkKey(sink))), now, limit - claimed.length)
    if (allowed === 0) return claimed
    const lanes = await dueNow(table, sink, now, allowed)
    const before = claimed.length
    for (let from = 0; from < lanes.length; from += laneMax) {
      const keys = lanes
        .slice(from, from + laneMax)
        .map(({ subscription }) => laneKey(sink, text(subscription)))
      const left = limit - claimed.length
      claimed.push(...(await table.transaction((tx) => claimLanes(tx, sink, keys, now, left, leaseMs))))
    }
    const got = claimed.length - before
    // Where others were faster, there may be more behind what they took.
    if (got === lanes.length || lanes.length < allowed) return claimed
  }
}

async function claimLanes(
  tx: Transaction,
  sink: string,
  lanes: readonly ReturnType<typeof laneKey>[],
  now: number,
  limit: number,
  leaseMs: number,
): Promise<readonly ClaimedDelivery[]> {
  const item = await tx.get(sinkKey(sink))
  const health = toHealth(item)
  const allowed = triesAllowed(health, now, limit)
  const claimed: ClaimedDelivery[] = []
  for (const key of lanes) {
    if (claimed.length === allowed) break
    const lane = await tx.get(key)
    const [number] = waitingIn(lane)
    if (lane === undefined || number === undefined || int(lane.nextAt) > now) continue
    const delivery = (await tx.get(deliveryKey(number, sink)))!
    const attempt = int(delivery.attempts) + 1
    putDelivery(tx, { ...delivery, attempts: attempt, nextAt: now + leaseMs })
    putLane(tx, lane, waitingIn(lane), now + leaseMs)
    const event = toDomainEvent((await tx.peek(domainEventKey(number)))!)
    claimed.push({ event, sink, attempt, failuresBefore: health.failures })
  }
  // One try at a time, of all processes together, to see whether it is back.
  if (claimed.length > 0 && isFailing(health))
    putHealth(tx, sink, item, { ...health, pausedUntil: now + leaseMs })
  return claimed
}

async function settle(
  tx: Transaction,
  number: bigint,
  { sink, attempt }: ClaimedDelivery,
  now: number,
  judge: (state: TryState) => Verdict,
): Promise<boolean> {
  const delivery = await tx.get(deliveryKey(number, sink))
  if (delivery?.state !== 'waiting' || int(delivery.attempts) !== attempt) return false
  const item = await tx.get(sinkKey(sink))
  const verdict = judge({
    failures: int(delivery.failures),
    queuedAt: int(delivery.queuedAt),
    sink: toHealth(item),
  })
  const { state, failures, nextAt, error: lastError } = verdict
  const finishedAt = state === 'waiting' ? undefined : now
  const after = { ...delivery, state, failures, nextAt, lastError, finishedAt }
  putDelivery(tx, after)
  await leaveLane(tx, after)
  putHealth(tx, sink, item, verdict.sink)
  if (state === 'dead') await countDead(tx, sink, 1)
  for (const alarm of verdict.raise) await raiseAlarm(tx, alarm)
  for (const subject of verdict.clear) await clearAlarm(tx, 'delivery_dead', subject)
  return true
}

async function list(
  table: Table,
  { sink, state, product, limit, cursor }: Parameters<OutboxStore['list']>[0],
): ReturnType<OutboxStore['list']> {
  const ofState = (one: DeliveryState) =>
    newestFirst(table, 'ListIndex', deliveriesInState(one), { before: cursor, limit }, async (items) =>
      items
        .map(toDelivery)
        .map((delivery) =>
          (sink === undefined || delivery.sink === sink) &&
          (product === undefined || delivery.product === product)
            ? delivery
            : undefined,
        ),
    )
  const found = await Promise.all((state === undefined ? DELIVERY_STATES : [state]).map(ofState))
  const newest = found
    .flat()
    .sort((a, b) => (a.place < b.place ? 1 : -1))
    .slice(0, limit)
  return toPage(newest, limit)
}

/** A few in each step; where it is cut short, asking again goes on with what is left. */
async function replayDead(
  table: Table,
  sink: string | undefined,
  actor: string,
  now: number,
): Promise<number> {
  const dead: Item[] = []
  for await (const page of table.pages({ pk: deliveriesInState('dead') }, 'ListIndex'))
    dead.push(...page.filter((item) => sink === undefined || item.sink === sink))
  const atOnce = Math.max(1, wantedInAStep(table) - 2)
  let replayed = 0
  for (let from = 0; from < dead.length; from += atOnce) {
    const some = dead.slice(from, from + atOnce)
    replayed += await table.transaction((tx) => replaySome(tx, some, actor, now))
  }
  return replayed
}

async function replaySome(
  tx: Transaction,
  dead: readonly Item[],
  actor: string,
  now: number,
): Promise<number> {
  const sinks = new Set<string>()
  let count = 0
  for (const { number, sink } of dead) {
    const delivery = await tx.get(deliveryKey(big(number), text(sink)))
    if (delivery?.state !== 'dead') continue
    await queueAnew(tx, (await tx.peek(domainEventKey(big(number))))!, text(sink), now)
    sinks.add(text(sink))
    count++
  }
  for (const name of sinks) await clearIfNoneDead(tx, name)
  if (count > 0) await auditReplay(tx, actor, `${count} dead deliveries`, [...sinks], now)
  return count
}

async function purge(table: Table, before: number, limit: number): Promise<number> {
  const to = `${padded(Math.max(before - 1, 0))}~`
  const old = await table.queryIndex('SecondListIndex', { pk: DELIVERED, to, limit })
  const atOnce = table.transactionItemsMax
  let purged = 0
  for (let from = 0; from < old.length; from += atOnce) {
    const some = old.slice(from, from + atOnce)
    purged += await table.transaction(async (tx) => {
      const items = await tx.getMany(some.map(({ pk, sk }) => ({ pk, sk })))
      const gone = items.filter((item) => item?.state === 'delivered' && int(item.finishedAt) < before)
      for (const item of gone) tx.delete({ pk: item!.pk, sk: item!.sk })
      return gone.length
    })
  }
  return purged
}

async function auditReplay(
  tx: Transaction,
  actor: string,
  subject: string,
  sinks: readonly string[],
  now: number,
): Promise<void> {
  const action = 'delivery.replay'
  await appendAudit(tx, { at: now, actor, action, subject, before: undefined, after: { sinks } })
}
