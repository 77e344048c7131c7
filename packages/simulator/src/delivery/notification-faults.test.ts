import { describe, expect, it } from 'vitest'
import { createNotificationFaultBook, type NotificationFaultOrder } from './notification-faults.ts'
import type { IdentifiedNotification } from './notification-id.ts'

const aBook = () =>
  createNotificationFaultBook(
    () => undefined,
    (subscriptionId) => `product-of-${subscriptionId}`,
  )

function aNotification(more: Partial<IdentifiedNotification> = {}): IdentifiedNotification {
  return {
    id: 'n1',
    type: 'subscribe-success',
    at: 0,
    subscriptionId: 'sub-1',
    channel: 'sns',
    payload: {},
    ...more,
  }
}

describe('faults of notifications', () => {
  it('hit only what they are for, and only so often', () => {
    const book = aBook()
    const kinds = (more: Partial<IdentifiedNotification>, isSigned = true) =>
      book.strike(aNotification(more), isSigned).map(({ kind }) => kind)
    book.order({ kind: 'drop', type: 'unsubscribe-pending' })
    book.order({ kind: 'repeat', channel: 'eventbridge' })
    book.order({ kind: 'delay', subscriptionId: 'sub-2' })
    book.order({ kind: 'hold', productCode: 'product-of-sub-3' })
    book.order({ kind: 'forge', times: 1 })
    expect(kinds({}, false)).toEqual([])
    expect(kinds({})).toEqual(['forge'])
    expect(kinds({})).toEqual([])
    expect(kinds({ type: 'unsubscribe-pending' })).toEqual(['drop'])
    expect(kinds({ channel: 'eventbridge', subscriptionId: 'sub-2' })).toEqual(['repeat', 'delay'])
    expect(kinds({ subscriptionId: 'sub-3' })).toEqual(['hold'])
  })

  it('keep what they hold after their last hit, until released', () => {
    const book = aBook()
    const { id } = book.order({ kind: 'hold', times: 1 })
    expect(book.strike(aNotification(), true)).toHaveLength(1)
    expect(book.strike(aNotification(), true)).toHaveLength(0)
    expect(book.has(id)).toBe(true)
    book.release()
    expect(book.has(id)).toBe(false)
  })

  it.each([
    [null, 'must be an object'],
    [{}, 'kind of a fault must be one of repeat, delay'],
    [{ kind: 'explode' }, 'kind of a fault must be one of'],
    [{ kind: 'drop', until: 1 }, 'has no until; it has kind, type'],
    [{ kind: 'drop', times: 0 }, 'times of a fault must be a whole number from 1'],
    [{ kind: 'reorder', times: 1 }, 'times of a fault must be a whole number from 2'],
    [{ kind: 'repeat', copies: 1 }, 'copies of a fault must be a whole number from 2'],
    [{ kind: 'delay', by: 'later' }, 'a duration is written like'],
    [{ kind: 'drop', channel: 'mail' }, 'channel of a fault must be sns or eventbridge'],
    [{ kind: 'drop', type: '' }, 'type of a fault must be text'],
  ])('are refused if they make no sense (%j)', (order, message) => {
    expect(() => aBook().order(order as NotificationFaultOrder)).toThrow(message)
  })
})
