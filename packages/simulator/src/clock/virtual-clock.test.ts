import { describe, expect, it } from 'vitest'
import { createVirtualClock } from './virtual-clock.ts'

const aFrozenClock = () => createVirtualClock({ start: 1_000, running: false })

describe('a frozen clock', () => {
  it('stands still until told, and goes both ways', () => {
    const clock = aFrozenClock()
    expect(clock.now()).toBe(1_000)
    clock.advance(500)
    expect(clock.now()).toBe(1_500)
    clock.set(-5)
    expect(clock.now()).toBe(-5)
  })

  it('wakes a sleeper once its time has come, not before', async () => {
    const clock = aFrozenClock()
    let woken = false
    const sleep = clock.sleep(100).then(() => {
      woken = true
    })
    clock.advance(99)
    await Promise.resolve()
    expect(woken).toBe(false)
    clock.set(1_100)
    await sleep
    expect(woken).toBe(true)
  })

  it('keeps a sleeper to its deadline when time goes back', async () => {
    const clock = aFrozenClock()
    const sleep = clock.sleep(100)
    clock.set(0)
    clock.advance(1_000)
    const race = await Promise.race([sleep.then(() => 'woken'), Promise.resolve('asleep')])
    expect(race).toBe('asleep')
    clock.advance(100)
    await sleep
  })

  it('lets a sleeper be aborted, before and while it sleeps', async () => {
    const clock = aFrozenClock()
    const controller = new AbortController()
    const sleep = clock.sleep(100, controller.signal)
    controller.abort(new Error('stop'))
    await expect(sleep).rejects.toThrow('stop')
    await expect(clock.sleep(0, controller.signal)).rejects.toThrow('stop')
  })

  it('refuses a step back and a time that is none', () => {
    const clock = aFrozenClock()
    expect(() => clock.advance(-1)).toThrow(RangeError)
    expect(() => clock.set(Number.NaN)).toThrow(RangeError)
    expect(clock.now()).toBe(1_000)
  })

  it('tells listeners of each change, until they have enough', () => {
    const clock = aFrozenClock()
    let changes = 0
    const stop = clock.onChange(() => changes++)
    clock.advance(1)
    clock.run(true)
    stop()
    clock.set(0)
    expect(changes).toBe(2)
  })
})

describe('a running clock', () => {
  it('goes on from where it was put, wakes sleepers by itself, and stops without a jump', async () => {
    const clock = createVirtualClock({ start: new Date('2030-01-01T00:00:00Z') })
    await clock.sleep(2)
    expect(clock.now()).toBeGreaterThanOrEqual(Date.parse('2030-01-01T00:00:00.002Z'))
    expect(clock.now()).toBeLessThan(Date.parse('2030-01-01T00:01:00Z'))
    clock.run(false)
    expect(clock.now()).toBe(clock.now())
    expect(clock.running).toBe(false)
  })

  it('wakes a sleeper of years as soon as it is advanced', async () => {
    const clock = createVirtualClock()
    const sleep = clock.sleep(10 * 365 * 24 * 3_600_000)
    clock.advance(11 * 365 * 24 * 3_600_000)
    await sleep
  })
})
