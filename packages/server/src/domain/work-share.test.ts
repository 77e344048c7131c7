import { expect, it } from 'vitest'
import { aClock, utc } from '../storage/contract/fixtures.ts'
import type { WorkLease, WorkLeases } from './work-leases.ts'
import { createWorkShare } from './work-share.ts'

const START = utc('2026-11-21T10:00')
const SECOND = 1_000

/** Leases in memory, which count how often they are asked. */
function someLeases(slices = 16) {
  const held = new Map<string, WorkLease>()
  const leases = {
    slices,
    asked: 0,
    claim: async (name: string, holder: string, now: number, leaseMs: number) => {
      leases.asked++
      const lease = held.get(name)
      if (lease !== undefined && lease.holder !== holder && lease.until > now) return false
      held.set(name, { name, holder, until: now + leaseMs })
      return true
    },
    release: async (name: string, holder: string) => {
      if (held.get(name)?.holder === holder) held.delete(name)
    },
    list: async () => [...held.values()],
  }
  return leases satisfies WorkLeases
}

function twoNodes(leases = someLeases()) {
  const clock = aClock(START)
  const node = (holder: string) => createWorkShare({ leases, holder, clock, everyMs: 30 * SECOND })
  return { leases, clock, one: node('host-1-a'), two: node('host-2-b') }
}

it('keeps work that comes round with one node, and asks the store about it twice a lease at most', async () => {
  const { leases, clock, one, two } = twoNodes()
  for (let run = 0; run < 20; run++) {
    expect(await one.keeps('purge')).toBe(true)
    expect(await two.keeps('purge')).toBe(false)
    clock.set(clock.now() + SECOND)
  }
  // The other node asks each time; the one that has it knows.
  expect(leases.asked).toBe(21)
})

it('hands work that comes round over when its node stops, and when it dies', async () => {
  const { leases, clock, one, two } = twoNodes()
  await one.keeps('purge')
  await one.end()
  expect(await leases.list()).toEqual([])
  expect(await two.keeps('purge')).toBe(true)
  clock.set(clock.now() + 119 * SECOND)
  expect(await one.keeps('purge')).toBe(false)
  clock.set(clock.now() + SECOND)
  expect(await one.keeps('purge')).toBe(true)
  expect(await two.keeps('purge')).toBe(false)
})

it('passes on what it cannot do, and asks again when the others have had their turn', async () => {
  const { clock, one, two } = twoNodes()
  const fails = () => one.whileKept('agreements', () => Promise.reject(new Error('no way to AWS')))
  await expect(fails()).rejects.toThrow('no way to AWS')
  // The next round of each, in whatever order.
  clock.set(clock.now() + 30 * SECOND)
  expect(await fails()).toBeUndefined()
  expect(await two.whileKept('agreements', async () => 'done')).toBe('done')
  clock.set(clock.now() + 30 * SECOND)
  expect(await fails()).toBeUndefined()

  // Where there is no other, it tries again.
  await two.end()
  await expect(fails()).rejects.toThrow('no way to AWS')
  await one.passOn('purge')
  expect(await two.keeps('purge')).toBe(true)
  await one.end()
  await two.end()
  expect(await one.keeps('purge')).toBe(true)
})

it('gives work back when it is done, also when it fails', async () => {
  const { leases, one, two } = twoNodes()
  const both = one.during('close/demo', async () => two.during('close/demo', async () => 'twice'))
  expect(await both).toBeUndefined()
  await expect(one.during('close/demo', () => Promise.reject(new Error('disk full')))).rejects.toThrow(
    'disk full',
  )
  expect(await two.during('close/demo', async () => 'done')).toBe('done')
  expect(await leases.list()).toEqual([])
})

it('works on for longer than a lease, and stops where another took over meanwhile', async () => {
  const { clock, one, two } = twoNodes()
  let steps = 0
  await one.during('close/demo', async (goesOn) => {
    while (await goesOn()) {
      steps++
      if (steps < 10) clock.set(clock.now() + 20 * SECOND)
      else {
        // It stood still for longer than its lease, and another took over.
        clock.set(clock.now() + 60 * SECOND)
        await two.keeps('close/demo')
      }
    }
  })
  expect(steps).toBe(10)
  expect(await two.keeps('close/demo')).toBe(true)
})

it('lets each node begin elsewhere, and leaves nothing out', () => {
  const { one, two } = twoNodes()
  const order = ({ slices }: typeof one) => slices.map((slice) => slice?.index)
  expect(order(one)).not.toEqual(order(two))
  for (const node of [one, two])
    expect(order(node).sort((a, b) => a! - b!)).toEqual(Array.from({ length: 16 }, (_, index) => index))
  expect(one.inOwnOrder([])).toEqual([])
  expect(twoNodes(someLeases(1)).one.slices).toEqual([undefined])
})
