import { describe, expect, it } from 'vitest'
import type { EventOutcome } from '../../domain/usage/usage-event.ts'
import { Acknowledgements } from './acknowledgements.ts'

const accepted = (id: string): EventOutcome => ({ id, status: 'accepted' })
const duplicate = (id: string): EventOutcome => ({ id, status: 'duplicate' })

describe('what the sender of a log knows to be in', () => {
  it('counts an event as accepted that went in before its batch was refused for overload', () => {
    const sender = new Acknowledgements()
    expect(sender.read([duplicate('a'), accepted('b')], true)).toEqual([accepted('a'), accepted('b')])
  })

  it('leaves a true duplicate one: of an earlier batch, of the same batch, of a batch sent once', () => {
    const sender = new Acknowledgements()
    sender.read([accepted('a')], false)
    expect(sender.read([duplicate('a'), duplicate('b'), duplicate('b')], true)).toEqual([
      duplicate('a'),
      accepted('b'),
      duplicate('b'),
    ])
    expect(sender.read([duplicate('c')], false)).toEqual([duplicate('c')])
  })
})
