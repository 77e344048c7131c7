import { expect, it } from 'vitest'
import { aProduct, utc } from '../../storage/contract/fixtures.ts'
import { composeSellerMails } from '../telling/compose-mail.ts'
import { type EndpointHealth, type HealthChange, judgeProbe, type ProbeOutcome } from './endpoint-health.ts'
import { CHANGES_JUDGED } from './flapping.ts'

const DOWN: ProbeOutcome = { kind: 'failed', reason: 'HTTP 503' }
const UP: ProbeOutcome = { kind: 'up', latencyMs: 5 }

/** Plays probes by minutes of a day. @returns what systems are told, and what the seller is written */
function play(probes: readonly (readonly [string, ProbeOutcome])[]) {
  let health: EndpointHealth | undefined
  const changes: HealthChange[] = []
  const told: string[] = []
  const mailed: string[] = []
  for (const [time, outcome] of probes) {
    const at = utc(`2026-11-21T${time}`)
    const endpoint = { id: 'api', url: 'https://api.example.com/', downAfter: 1 }
    const step = judgeProbe('demo', endpoint, health, outcome, at, changes.slice(0, CHANGES_JUDGED))
    health = step.health
    if (step.change !== undefined) changes.unshift(step.change)
    for (const event of step.tell) {
      told.push(`${time} ${event.type}`)
      if (composeSellerMails(event, aProduct(), ['ops@example.com']).length > 0)
        mailed.push(`${time} ${event.type.replace('endpoint.', '')}`)
    }
  }
  return { told, mailed }
}

it('tells people of an endpoint that flaps once an hour, and systems each time', () => {
  const hour = (name: string) =>
    Array.from({ length: 6 }, (_, n) => [
      [`${name}:${n}1`, DOWN] as const,
      [`${name}:${n}3`, UP] as const,
    ]).flat()
  const { told, mailed } = play([...hour('10'), ...hour('11')])
  expect(told).toHaveLength(24)
  expect(mailed).toEqual(['10:01 down', '10:03 up', '11:01 down', '11:03 up'])
})

it('says that it is down still when the hour is over, once, and that it is up again', () => {
  const { told, mailed } = play([
    ['10:10', DOWN],
    ['10:20', UP],
    ['10:30', DOWN],
    ['10:40', DOWN],
    ['11:00', DOWN],
    ['11:10', DOWN],
    ['11:20', UP],
    // Another one in that hour is its first.
    ['11:30', DOWN],
    ['11:40', UP],
  ])
  expect(mailed).toEqual(['10:10 down', '10:20 up', '11:00 down', '11:20 up', '11:30 down', '11:40 up'])
  expect(told).toEqual([
    '10:10 endpoint.down',
    '10:20 endpoint.up',
    '10:30 endpoint.down',
    '11:00 endpoint.down',
    '11:20 endpoint.up',
    '11:30 endpoint.down',
    '11:40 endpoint.up',
  ])
})

it('tells of each outage where they are far apart', () => {
  const { mailed } = play([
    ['10:10', DOWN],
    ['11:50', UP],
    ['12:10', DOWN],
    ['12:20', UP],
  ])
  expect(mailed).toEqual(['10:10 down', '11:50 up', '12:10 down', '12:20 up'])
})
