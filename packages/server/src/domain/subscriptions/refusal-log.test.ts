import { expect, it } from 'vitest'
import { aClock } from '../../storage/contract/fixtures.ts'
import type { AuditEntry } from '../audit/audit-trail.ts'
import { createRefusalLog, REFUSALS_PER_MINUTE_MAX } from './refusal-log.ts'

const NOW = Date.UTC(2026, 10, 21, 7, 30)
const TOPIC = 'arn:aws:sns:us-east-1:999999999999:theirs'

function aLog() {
  const entries: Omit<AuditEntry, 'id'>[] = []
  const clock = aClock(NOW)
  const log = createRefusalLog({ audit: { append: async (entry) => void entries.push(entry) }, clock })
  const note = (topic?: string) => log.note({ channel: 'sns', topic, why: 'forged' })
  return { entries, clock, log, note }
}

it('writes what was refused and why, under its topic', async () => {
  const { entries, note } = aLog()
  await note(TOPIC)
  await note()
  expect(entries).toMatchObject([
    { at: NOW, action: 'notification.refused', subject: TOPIC, after: { channel: 'sns', why: 'forged' } },
    { subject: 'sns' },
  ])
})

it('writes nothing that a stranger made up as a topic', async () => {
  const { entries, note } = aLog()
  for (const topic of [
    'hello',
    `${TOPIC}\n`,
    `${TOPIC}${'x'.repeat(300)}`,
    '<b>',
    'arn:aws:sns:us-east-1:1:x',
  ])
    await note(topic)
  expect(entries.map(({ subject }) => subject)).toEqual(['sns', 'sns', 'sns', 'sns', 'sns'])
})

it('lists sixty a minute and counts the rest, so that a flood does not fill the trail', async () => {
  const { entries, clock, note, log } = aLog()
  await Promise.all(Array.from({ length: 1_000 }, () => note(TOPIC)))
  expect(entries).toHaveLength(REFUSALS_PER_MINUTE_MAX)
  clock.set(NOW + 60_000)
  await Promise.all([note(), note()])
  expect(entries.slice(REFUSALS_PER_MINUTE_MAX)).toMatchObject([
    { subject: 'notifications', after: { count: 940, since: '2026-11-21T07:30:00.000Z' } },
    { subject: 'sns' },
    { subject: 'sns' },
  ])
  await log.close()
  expect(entries).toHaveLength(REFUSALS_PER_MINUTE_MAX + 3)
})

it('writes the count when it is closed, and once', async () => {
  const { entries, note, log } = aLog()
  for (let count = 0; count <= REFUSALS_PER_MINUTE_MAX; count++) await note()
  await log.close()
  await log.close()
  expect(entries.slice(REFUSALS_PER_MINUTE_MAX)).toMatchObject([
    { subject: 'notifications', after: { count: 1 } },
  ])
})
