import { expect, it } from 'vitest'
import { whereIs } from './loopback.ts'

it.each([
  ['http://127.0.0.1:4010', 'loopback'],
  ['http://127.1', 'loopback'],
  ['http://0x7f000001', 'loopback'],
  ['http://localhost', 'loopback'],
  ['http://LOCALHOST.', 'loopback'],
  ['http://[::1]:4010', 'loopback'],
  ['http://[0:0:0:0:0:0:0:1]', 'loopback'],
  ['http://0.0.0.0', 'unclear'],
  ['http://[::]', 'unclear'],
  ['http://[::ffff:127.0.0.1]', 'unclear'],
  ['http://aws.localhost', 'unclear'],
  ['http://127.0.0.1.example.com', 'elsewhere'],
  ['http://localhost.example.com', 'elsewhere'],
  ['https://metering.marketplace.us-east-1.amazonaws.com', 'elsewhere'],
  ['http://10.0.0.1', 'elsewhere'],
])('%s is %s', (url, where) => expect(whereIs(new URL(url))).toBe(where))
