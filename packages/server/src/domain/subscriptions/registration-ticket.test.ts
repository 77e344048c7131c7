import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRegistrationTickets, TICKET_MS } from './registration-ticket.ts'

const NOW = Date.parse('2026-11-21T07:30:00Z')
const SUBSCRIPTION = { id: 'sub_0b9dfa31-6a38-4f0d-a6b8-0d9de29b7f0a', product: 'acme' }
const tickets = createRegistrationTickets(new Uint8Array(32).fill(7))

describe('a registration ticket', () => {
  it('names its subscription for an hour, in every process that has the key', () => {
    const ticket = tickets.issue(SUBSCRIPTION, NOW)
    const elsewhere = createRegistrationTickets(new Uint8Array(32).fill(7))
    expect(elsewhere.read(ticket, 'acme', NOW + TICKET_MS - 1)).toEqual({
      state: 'valid',
      subscription: SUBSCRIPTION.id,
      expiresAt: NOW + TICKET_MS,
    })
    expect(elsewhere.read(ticket, 'acme', NOW + TICKET_MS)).toEqual({ state: 'expired' })
  })

  it('needs no encoding in a URL or a form, whatever the subscription is called', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }), (id) => {
        const ticket = tickets.issue({ id, product: 'acme' }, NOW)
        expect(ticket).toMatch(/^[A-Za-z0-9_.-]+$/)
        expect(tickets.read(ticket, 'acme', NOW)).toMatchObject({ state: 'valid', subscription: id })
      }),
    )
  })

  it('is good for its own product only', () => {
    expect(tickets.read(tickets.issue(SUBSCRIPTION, NOW), 'other', NOW)).toEqual({ state: 'invalid' })
  })

  it('is not valid under another ledger’s key', () => {
    const theirs = createRegistrationTickets(new Uint8Array(32).fill(8))
    expect(tickets.read(theirs.issue(SUBSCRIPTION, NOW), 'acme', NOW)).toEqual({ state: 'invalid' })
  })

  it('holds no change of any character, nor a cut, nor an addition', () => {
    const ticket = tickets.issue(SUBSCRIPTION, NOW)
    for (let at = 0; at < ticket.length; at++) {
      for (const other of 'AQRz09-_.') {
        if (other === ticket[at]) continue
        const changed = ticket.slice(0, at) + other + ticket.slice(at + 1)
        expect(tickets.read(changed, 'acme', NOW).state, changed).toBe('invalid')
      }
      expect(tickets.read(ticket.slice(0, at), 'acme', NOW).state).toBe('invalid')
    }
    for (const more of ['.', 'A', '=', ' ', '.AA', '\u0000', 'é'])
      expect(tickets.read(ticket + more, 'acme', NOW).state).toBe('invalid')
  })

  it('cannot have its hour prolonged', () => {
    const [name, , signature] = tickets.issue(SUBSCRIPTION, NOW).split('.')
    const later = [name, (NOW + 10 * TICKET_MS).toString(36), signature].join('.')
    expect(tickets.read(later, 'acme', NOW).state).toBe('invalid')
  })

  it('is never read out of other text', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.string().map((part) => `${part}.${part}.${part}`),
        ),
        (text) => {
          expect(tickets.read(text, 'acme', NOW).state).toBe('invalid')
        },
      ),
    )
    expect(tickets.read('a'.repeat(100_000), 'acme', NOW).state).toBe('invalid')
  })
})
