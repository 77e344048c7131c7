import { expect, it } from 'vitest'
import { aDimension, aProduct } from '../../storage/contract/fixtures.ts'
import { greetingOf } from './dev-greeting.ts'

const ready = {
  url: 'http://127.0.0.1:4000',
  storefront: 'http://127.0.0.1:4010',
  mailbox: undefined,
  key: 'tk_x',
}
const gated = aDimension({ key: 'calls', meteredBy: 'gate' })
const reported = aDimension({ key: 'exports', meteredBy: 'product' })

it('shows a use that the product may report, whichever dimension comes first', () => {
  const greeting = greetingOf({ ...ready, product: aProduct({ dimensions: [gated, reported] }) }, '.data')
  expect(greeting).toContain('127.0.0.1:4000/meter')
  expect(greeting).toContain('{"dimension":"exports","quantity":1,"usageTime":')
  expect(greeting).not.toContain('calls')
})

it('shows a question to the gate where it alone meters', () => {
  const greeting = greetingOf({ ...ready, product: aProduct({ dimensions: [gated] }) }, '.data')
  expect(greeting).toContain('127.0.0.1:4000/quota/validate')
  expect(greeting).toContain('{"subscriptionId":"sub_…","dimension":"calls"}')
  expect(greeting).not.toContain('/meter')
})
