import { expect, it, vi } from 'vitest'
import { createJobs, type JobSteps } from './jobs.ts'

const CLOSED = { closed: 0, held: 0, expired: 0, failed: 0, losses: [] }
const SENT = { calls: 0, accepted: 0, unanswered: 0, expired: 0, halted: [], more: false }

function start(steps: Partial<JobSteps>) {
  const errors: string[] = []
  const jobs = createJobs({
    intervalMs: 1,
    clock: {
      now: () => Date.now(),
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          const timer = setTimeout(resolve, ms)
          signal?.addEventListener('abort', () => {
            clearTimeout(timer)
            reject(signal.reason)
          })
        }),
    },
    onError: (step) => errors.push(step),
    steps: {
      mayRun: async () => true,
      closeDue: async () => CLOSED,
      reportSilence: async () => 0,
      submitDue: async () => SENT,
      purge: async () => 0,
      ...steps,
    },
  })
  return { jobs, errors }
}

it('closes on while a sending run takes long, and stops only when that has ended', async () => {
  let closings = 0
  let beats = 0
  let sent = false
  let release = () => {}
  const { jobs } = start({
    mayRun: async () => ++beats > 0,
    closeDue: async () => {
      closings++
      return CLOSED
    },
    submitDue: () =>
      new Promise((resolve) => {
        release = () => {
          sent = true
          resolve(SENT)
        }
      }),
  })
  jobs.start()
  await vi.waitFor(() => expect(closings).toBeGreaterThan(3))
  expect(beats).toBeGreaterThan(3)
  const stopped = jobs.stop()
  setTimeout(release, 5)
  await stopped
  expect(sent).toBe(true)
})

it('sends on at once, in runs as long as its interval, while more is due', async () => {
  const runs: (number | undefined)[] = []
  const { jobs } = start({
    submitDue: async (_, runMs) => {
      runs.push(runMs)
      return { ...SENT, more: runs.length < 3 }
    },
  })
  jobs.start()
  await vi.waitFor(() => expect(runs.length).toBeGreaterThanOrEqual(3))
  await jobs.stop()
  expect(runs.slice(0, 3)).toEqual([1, 1, 1])
})

it('runs once from closing to purging, one after the other, until all is sent', async () => {
  const order: string[] = []
  const { jobs, errors } = start({
    closeDue: async () => {
      order.push('close')
      throw new Error('disk full')
    },
    submitDue: async (_, runMs) => {
      order.push(`send ${runMs}`)
      return SENT
    },
    purge: async () => order.push('purge'),
  })
  await jobs.runOnce()
  expect(order).toEqual(['close', 'send undefined', 'purge'])
  expect(errors).toEqual(['close'])
  expect(jobs.lastRunAt()).toBeDefined()
})

it('neither closes nor sends while the ledger waits for a person', async () => {
  const submitDue = vi.fn(async () => SENT)
  const { jobs } = start({ mayRun: async () => false, submitDue })
  expect(await jobs.runOnce()).toMatchObject({ submit: SENT })
  expect(submitDue).not.toHaveBeenCalled()
  expect(jobs.lastRunAt()).toBeUndefined()
})

it('only says that it is there, again and again, where others do the work', async () => {
  const closeDue = vi.fn(async () => CLOSED)
  let beats = 0
  const { jobs } = start({ mayRun: async () => ++beats > 0, closeDue })
  jobs.watch()
  await vi.waitFor(() => expect(beats).toBeGreaterThan(3))
  await jobs.stop()
  const before = beats
  await new Promise((resolve) => setTimeout(resolve, 5))
  expect([beats, closeDue.mock.calls.length]).toEqual([before, 0])
  expect(jobs.lastRunAt()).toBeUndefined()
})
