import { expect, it } from 'vitest'
import type { Subscription } from '../subscriptions/subscription.ts'
import { hourOf } from './hour.ts'
import { routeEvent } from './route-event.ts'

const utc = (text: string) => Date.parse(`${text}Z`)
const hour = (text: string) => hourOf(utc(text))
const GOING_ON = { accessStart: utc('2026-11-01T00:00') } as Subscription
const ENDED = {
  accessStart: utc('2026-11-01T00:00'),
  accessEnd: utc('2026-11-21T10:30'),
  finalWindowEnd: utc('2026-11-21T11:30'),
} as Subscription

it('counts an event in its own hour, and else in the earliest one from now on', () => {
  const { hours } = routeEvent(utc('2026-11-21T09:50'), utc('2026-11-21T10:05'), GOING_ON)
  expect(hours.slice(0, 3)).toEqual([
    hour('2026-11-21T09:00'),
    hour('2026-11-21T10:00'),
    hour('2026-11-21T11:00'),
  ])
})

it('sends what is too old for AWS to the current hour', () => {
  const { hours } = routeEvent(utc('2026-11-19T09:50'), utc('2026-11-21T10:05'), GOING_ON)
  expect(hours[0]).toBe(hour('2026-11-21T10:00'))
})

it('lets last month be until 90 minutes before 06:00 UTC on the 1st', () => {
  const own = hour('2026-11-30T22:00')
  expect(routeEvent(utc('2026-11-30T22:10'), utc('2026-12-01T04:29'), GOING_ON).hours[0]).toBe(own)
  expect(routeEvent(utc('2026-11-30T22:10'), utc('2026-12-01T04:30'), GOING_ON).hours[0]).toBe(
    hour('2026-12-01T04:00'),
  )
})

it('leaves an event a little ahead in its own hour', () => {
  const { hours } = routeEvent(utc('2026-11-21T11:01'), utc('2026-11-21T10:59'), GOING_ON)
  expect(hours[0]).toBe(hour('2026-11-21T11:00'))
})

it('finds an open hour even when the clock went back by most of a day', () => {
  expect(routeEvent(utc('2026-11-21T10:00'), utc('2026-11-21T10:05'), GOING_ON).hours).toContain(
    hour('2026-11-22T09:00'),
  )
})

it('bills nobody for a time before the subscription', () => {
  expect(routeEvent(utc('2026-10-31T23:59'), utc('2026-11-01T00:10'), GOING_ON)).toEqual({
    hours: [],
    unbillable: 'before_access',
  })
})

it('puts all that comes after an end into the last hour, so that its remainder is settled once', () => {
  const now = utc('2026-11-21T10:35')
  expect(routeEvent(utc('2026-11-21T08:00'), now, ENDED).hours).toEqual([hour('2026-11-21T10:00')])
  expect(routeEvent(utc('2026-11-21T10:30'), now, ENDED)).toEqual({
    hours: [],
    unbillable: 'subscription_ended',
  })
})

it('takes nothing more when there is no time left to send it', () => {
  expect(routeEvent(utc('2026-11-21T10:00'), utc('2026-11-21T11:10'), ENDED).hours).toEqual([])
})
