import { describe, expect, it } from 'vitest'
import { parseDestinations } from './destinations.ts'

const NONE = { subscriptions: [], rules: [] }
const parse = (value: unknown, before = NONE, now = 1_000) => parseDestinations(value, before, now)

describe('destinations', () => {
  it('begin when they are first given, and go on where the same is given again', () => {
    const given = {
      subscriptions: [{ protocol: 'http', endpoint: 'http://127.0.0.1:4000/webhook' }],
      rules: [{ name: 'all', target: { queue: 'q' } }],
    }
    const first = parse(given)
    const second = parseDestinations(given, first, 2_000)
    expect(second).toEqual(first)
    expect([first.subscriptions[0]?.since, first.rules[0]?.since]).toEqual([1_000, 1_000])
    const since = '1970-01-01T00:00:07Z'
    const told = parseDestinations({ rules: [{ name: 'all', target: { queue: 'q' }, since }] }, first, 2_000)
    expect(told.rules[0]?.since).toBe(7_000)
  })

  it('name a queue by its name or its ARN', () => {
    const rules = ['orders', 'arn:aws:sqs:us-east-1:111122223333:orders'].map((queue, index) => ({
      name: `rule-${index}`,
      target: { queue },
    }))
    expect(parse({ rules }).rules.map(({ target }) => target)).toEqual([
      { queue: 'orders' },
      { queue: 'orders' },
    ])
  })

  it.each([
    'http://127.0.0.1:4000/a',
    'http://localhost/a',
    'http://[::1]:4000/',
    'https://seller.localhost:4443/',
  ])('may be at %s', (endpoint) => {
    const protocol = endpoint.split(':')[0]
    expect(parse({ subscriptions: [{ protocol, endpoint }] }).subscriptions).toHaveLength(1)
  })

  it.each([
    ['http://example.com/', 'must be on this machine'],
    ['http://10.0.0.1/', 'must be on this machine'],
    ['http://127.0.0.1.example.com/', 'must be on this machine'],
    ['http://localhost.example.com/', 'must be on this machine'],
    ['http://user:secret@127.0.0.1/', 'must not carry a password'],
    ['https://127.0.0.1/', 'must be a URL that begins with http://'],
    ['file:///etc/passwd', 'must be a URL'],
    ['nonsense', 'must be a URL'],
  ])('are never at %s', (endpoint, message) => {
    expect(() => parse({ subscriptions: [{ protocol: 'http', endpoint }] })).toThrow(message)
  })

  it.each([
    [null, 'destinations must be an object'],
    [{ queues: [] }, 'destinations has no queues; it may have subscriptions, rules'],
    [{ rules: {} }, 'rules must be a list'],
    [{ rules: [{ name: 'a', target: {} }] }, 'rules[0].target must have one of queue, topicArn and url'],
    [{ rules: [{ name: 'a', target: { queue: 'q', url: 'http://127.0.0.1' } }] }, 'one of queue, topicArn'],
    [{ rules: [{ name: 'a b', target: { queue: 'q' } }] }, 'rules[0].name must be'],
    [{ rules: [1, 2].map(() => ({ name: 'a', target: { queue: 'q' } })) }, 'a name of its own'],
    [{ rules: [{ name: 'a', target: { queue: 'q q' } }] }, "must be a queue's name"],
    [
      { rules: [{ name: 'a', target: { url: 'http://127.0.0.1', headers: { 'a b': 'c' } } }] },
      'must be an object of HTTP headers',
    ],
    [
      { rules: [{ name: 'a', target: { url: 'http://127.0.0.1', headers: { a: 'b\r\nc: d' } } }] },
      'must be an object of HTTP headers',
    ],
    [{ rules: [{ name: 'a', target: { queue: 'q' }, since: 'soon' }] }, 'rules[0].since must be a time'],
    [{ rules: [{ name: 'a', target: { topicArn: 'orders' } }] }, 'must be the ARN of a topic'],
    [{ subscriptions: [{ protocol: 'email', endpoint: 'x' }] }, 'protocol must be http, https or sqs'],
  ])('are refused with the field to mend (%#)', (value, message) => {
    expect(() => parse(value)).toThrow(message)
  })
})
