// biome-ignore-all lint/suspicious/noTemplateCurlyInString: `${NAME}` is the configuration's own syntax
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { ConfigError, problemText } from './config/config-error.ts'
import { CONFIG_TEMPLATE } from './config/demo.ts'
import { type Config, demoConfig, loadConfig, parseConfig } from './config.ts'
import { USAGE_PRODUCT } from './domain/products/product.ts'

const LICENSE = 'arn:aws:license-manager::294406891311:license:l-9d01d15f86334a8894365cd7350556ff'

function parse(text: string, env: Record<string, string> = {}, listings?: object): Config {
  return parseConfig(text, {
    name: 'tollkeeper.yaml',
    directory: '/etc/toll',
    env,
    ...(listings ? { listings: { name: 'marketplace-config.json', text: JSON.stringify(listings) } } : {}),
  })
}

/** Every problem of a text, as a person reads them. */
function problemsOf(text: string, env: Record<string, string> = {}, listings?: object): string[] {
  try {
    parse(text, env, listings)
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    expect(error.message).not.toContain('\n')
    return error.problems.map(problemText)
  }
}

/** One product with one dimension that has these lines. */
function withDimension(lines: string): string {
  return `products:\n  - id: a\n    productCode: c\n    dimensions:\n      - key: x\n${lines.replace(/^(?=.)/gm, '        ')}`
}

function withPlan(line: string): string {
  return `products:\n  - id: a\n    productCode: c\n    dimensions: [{key: x, scale: 6}]\n    plans:\n      - id: p\n        ${line}`
}

const ONE_PRODUCT = 'products:\n  - {id: a, productCode: codea, dimensions: [{key: x}]}\n'

describe('a configuration', () => {
  it('may be empty: everything has a default', () => {
    for (const text of ['', '# nothing\n', 'server:\n', '{}']) {
      expect(parse(text)).toEqual({
        file: undefined,
        mode: 'simulated',
        log: { level: 'info' },
        server: {
          host: '127.0.0.1',
          port: 4000,
          publicUrl: undefined,
          trustProxy: [],
          rateLimits: {
            usageAndGate: 6_000,
            otherRoutes: 1_000,
            perAddress: 50,
            unknownKeys: 30,
            unknownApiKeys: 600,
          },
          drainMs: 0,
        },
        store: {
          kind: 'sqlite',
          url: 'sqlite:/etc/toll/tollkeeper.db',
          name: 'sqlite:/etc/toll/tollkeeper.db',
          file: '/etc/toll/tollkeeper.db',
        },
        aws: {
          accountId: undefined,
          region: 'us-east-1',
          endpoint: 'http://127.0.0.1:4010',
          timeoutMs: 10_000,
          assumeRole: undefined,
        },
        notifications: { sqsQueues: [], snsTopics: [], relay: undefined, receivesMax: 10 },
        events: { eventBridge: undefined, webhooks: [], email: undefined },
        entitlements: { refreshMs: 3_600_000 },
        usage: { acceptBackMs: 7 * 86_400_000, acceptAheadMs: 300_000 },
        visitors: { saltMs: 30 * 86_400_000, keepMs: 90 * 86_400_000, newPerAddress: 20, difficulty: 10_000 },
        jobs: { intervalMs: 30_000 },
        products: [],
        subscriptions: [],
        connector: undefined,
        deployment: undefined,
      })
    }
  })

  it('becomes products in the words of the domain', () => {
    const config = parse(`
products:
  - id: scanner
    title: Scanner
    productCode: 74az0btybm649octamy0sktos
    pricing: contract-with-consumption
    graceMinutes: 20
    dimensions:
      - key: scans
        aggregation: count
        unitSize: 1000
        holdAbove: {times: 2.5}
        price: 0.10
        metrics: [totalScans]
      - {key: storage-gb, meteredBy: gate, scale: 3, unitSize: "10", holdAbove: {units: 5000}, remainder: roundUp}
    upgradeUrl: {direct: "https://acme.example/pricing?from=api"}
    plans:
      - {id: trial, audience: anonymous, trial: {days: 15}, price: {amount: 0.00, per: year}, upgradeTo: pro}
      - id: pro
        price: custom
        grantedBy: gold
        features: {sso: true, seats: 5, tier: pro}
        limits: [{dimension: scans, quantity: 2000}, {dimension: users, quantity: unlimited, window: lifetime}, {dimension: scans, quantity: 1, window: day, onExceed: bill}]
        included: [{dimension: scans, units: 100, per: gold, reset: anniversary}]
`)
    expect(config.products).toEqual([
      {
        id: 'scanner',
        title: 'Scanner',
        ...USAGE_PRODUCT,
        pricing: 'contract-with-consumption',
        productCode: '74az0btybm649octamy0sktos',
        metering: 'license',
        region: 'us-east-1',
        listing: 'scanner',
        graceMs: 1_200_000,
        goodbyeSettleMs: 600_000,
        dimensions: [
          {
            key: 'scans',
            name: 'scans',
            aggregation: 'count',
            per: 'hour',
            scale: 0,
            unitSize: 1000n,
            holdAbove: { times: 2.5 },
            onDeadline: 'release',
            remainder: 'forgive',
            reportZero: false,
            price: '0.10',
            metrics: ['totalScans'],
            meteredBy: 'product',
          },
          {
            key: 'storage-gb',
            name: 'storage-gb',
            aggregation: 'sum',
            per: 'hour',
            scale: 3,
            unitSize: 10n,
            holdAbove: { units: 5000n },
            onDeadline: 'release',
            remainder: 'roundUp',
            reportZero: false,
            price: undefined,
            metrics: [],
            meteredBy: 'gate',
          },
        ],
        upgradeUrl: { aws: undefined, direct: 'https://acme.example/pricing?from=api' },
        plans: [
          {
            id: 'trial',
            title: 'trial',
            audience: 'anonymous',
            grantedBy: undefined,
            trial: { days: 15 },
            price: { amount: '0.00', currency: 'USD', per: 'year' },
            upgradeTo: 'pro',
            features: {},
            limits: [],
            included: [],
            isRetired: false,
          },
          {
            id: 'pro',
            title: 'pro',
            audience: 'paid',
            trial: undefined,
            price: 'custom',
            upgradeTo: undefined,
            grantedBy: 'gold',
            features: { sso: true, seats: 5, tier: 'pro' },
            limits: [
              { dimension: 'scans', quantity: 2000, window: 'month', onExceed: 'block' },
              { dimension: 'users', quantity: 'unlimited', window: 'lifetime', onExceed: 'block' },
              { dimension: 'scans', quantity: 1, window: 'day', onExceed: 'bill' },
            ],
            included: [{ dimension: 'scans', units: 100n, per: 'gold', reset: 'anniversary' }],
            isRetired: false,
          },
        ],
      },
    ])
  })

  it('cannot be changed once it is read', () => {
    const config = parse(withDimension('metrics: [m]'))
    const frozen = (value: unknown): boolean =>
      typeof value !== 'object' ||
      value === null ||
      (Object.isFrozen(value) && Object.values(value).every(frozen))
    expect(frozen(config)).toBe(true)
  })

  it('takes digits as they are written where text is meant: no account loses its zero', () => {
    expect(parse('aws: {accountId: 012345678901}').aws.accountId).toBe('012345678901')
  })

  it('keeps the ledger beside its file, and in memory where asked', () => {
    expect(parse('store: {url: "sqlite:data/a.db"}').store.url).toBe('sqlite:/etc/toll/data/a.db')
    expect(parse('store: {url: "sqlite:/var/a.db"}').store.url).toBe('sqlite:/var/a.db')
    expect(parse('store: {url: "sqlite::memory:"}').store.url).toBe('sqlite::memory:')
  })

  it('repeats itself with aliases', () => {
    const config = parse(`
products:
  - {id: a, productCode: ca, dimensions: &dimensions [{key: x}, {key: y}]}
  - {id: b, productCode: cb, dimensions: *dimensions}
`)
    expect(config.products.map(({ dimensions }) => dimensions.length)).toEqual([2, 2])
  })
})

describe('a mistake', () => {
  it('is told with its line, what must be there, and what it is for', () => {
    expect(problemsOf(withDimension('scale: 9'))).toEqual([
      'tollkeeper.yaml:6:16: products[0].dimensions[0].scale must be a whole number from 0 to 6, not 9: Decimal digits that a reported quantity may have. Extra digits are refused, never rounded. 0 for `count` and `unique`.',
    ])
  })

  it('is told once, and all of them at once', () => {
    const problems = problemsOf('mode: lvie\nserver: {port: 99999}\naws: {accountId: "12"}\n')
    expect(problems).toEqual([
      expect.stringMatching(
        /^tollkeeper\.yaml:1:7: mode must be `simulated`, `shadow` or `live`, not "lvie"/,
      ),
      expect.stringMatching(/^tollkeeper\.yaml:2:16: server\.port must be a whole number from 0 to 65535/),
      expect.stringMatching(/^tollkeeper\.yaml:3:18: aws\.accountId must be an AWS account id of 12 digits/),
    ])
    expect(() => parse('mode: lvie\nserver: {port: 99999}\n')).toThrow(/\(and 1 more\)$/)
  })

  it('in a name is answered with the name that was meant', () => {
    expect(problemsOf('products:\n  - id: a\n    product_code: c\n')[0]).toBe(
      'tollkeeper.yaml:3:5: products[0].product_code is not a setting: did you mean `productCode`?',
    )
    expect(problemsOf('sevrer: {}')[0]).toContain('did you mean `server`?')
    expect(problemsOf('zzz: {}')[0]).toContain('known here: mode, log, server')
  })

  it.each([
    ['products: [{title: A}]', 'products[0].id is missing: Stable name of the product'],
    ['products: [{id: a}]', 'products[0].productCode is missing'],
    ['products: {}', 'products must be a list'],
    ['products: [null]', 'products[0] must be a mapping'],
    ['products: [{id: "a b", productCode: c}]', 'products[0].id must be 1 to 64 letters'],
    ['- a', 'tollkeeper.yaml:1:1: must be a mapping'],
    ['server: 4000', 'server must be a mapping'],
    [withDimension('holdAbove: {units: 5, times: 2}'), '`{units: N}` or `{times: N}`, one of the two'],
    [withDimension('holdAbove: {}'), '`{units: N}` or `{times: N}`, one of the two'],
    [withDimension('unitSize: 1.5'), 'unitSize must be a whole number, 1 or more, not "1.5"'],
    [withDimension('aggregation: unique'), 'dimensions[0].per is missing: say `per: hour`'],
    [withDimension('per: day'), 'per must be left out'],
    [withDimension('aggregation: count\nscale: 2'), 'scale must be 0'],
    [withDimension('scale: 6\nunitSize: 1001'), 'unitSize must be smaller'],
    [withDimension('metrics: [m, m]'), 'none of them twice'],
    [withDimension('price: 1e-7'), 'price must be an amount in plain decimal digits'],
    ['products: [{id: a, productCode: c, dimensions: [{key: x}, {key: x}]}]', '`x` is there twice'],
    [
      'products: [{id: a, productCode: c, dimensions: [{key: x, metrics: [y]}, {key: y}]}]',
      'dimensions[0].metrics[0] must be unique in its product, but `y` means dimension `y` too',
    ],
    ['products: [{id: a, productCode: c}, {id: a, productCode: d}]', 'products[1].id must be unique'],
    [
      'products: [{id: a, productCode: c}, {id: b, productCode: c}]',
      'products[1].productCode must be unique',
    ],
    ['products: [{id: a, productCode: b}, {id: b, productCode: c}]', 'products[1].id must be unique'],
    [
      'products: [{id: a, productCode: c, listing: b}, {id: b, productCode: d}]',
      '`b` is the path of product `a`',
    ],
    [
      'products: [{id: a, productCode: c, dimensions: [{key: seats}], plans: [{id: p, included: [{dimension: seat, units: 1}]}]}]',
      'must be a dimension of this product, not `seat`: did you mean `seats`?',
    ],
    [
      'products: [{id: a, productCode: c, plans: [{id: p, grantedBy: gold}]}]',
      'plans[0].grantedBy names `gold`, which only a contract grants: say `pricing: contract`',
    ],
    [
      'products: [{id: a, productCode: c, dimensions: [{key: x}], plans: [{id: p, included: [{dimension: x, units: 1, per: gold}]}]}]',
      'plans[0].included[0].per names `gold`',
    ],
    [
      'products: [{id: a, productCode: c, plans: [{id: p}, {id: p}]}]',
      'products[0].plans[1].id must be unique in its product',
    ],
    [withPlan('price: free'), 'plans[0].price must be `custom`, or a mapping such as'],
    [withPlan('price: {per: month}'), 'plans[0].price.amount is missing'],
    [withPlan('price: {amount: 1, currency: usd}'), 'price.currency must be three capital letters'],
    [withPlan('trial: {days: 0}'), 'plans[0].trial.days must be a whole number from 1 to 3650'],
    [withPlan('upgradeTo: pro'), 'plans[0].upgradeTo must be a plan of this product, not `pro`: there is p'],
    [withPlan('upgradeTo: p'), 'plans[0].upgradeTo must lead up'],
    [
      withPlan('limits: [{dimension: z, quantity: 1, onExceed: bill}]'),
      'limits[0].onExceed can be `bill` only for a dimension of this product, not `z`',
    ],
    [
      `${withPlan('limits: [{dimension: x, quantity: 1, onExceed: bill}]')}\n    pricing: contract`,
      'limits[0].onExceed must be `block`: a product with `pricing: contract` bills no usage',
    ],
    [
      withPlan('limits: [{dimension: x, quantity: 1}, {dimension: x, quantity: 2}]'),
      'limits[1].window must be there once in its plan',
    ],
    [
      withPlan('limits: [{dimension: x, quantity: 9007199255}]'),
      'limits[0].quantity must be smaller: at a scale of 6',
    ],
    [
      'products: [{id: a, productCode: c, plans: [{id: p, audience: anonymous}, {id: q, audience: anonymous}]}]',
      'plans[1].audience can be `anonymous` of one plan in a product, but `p` is it, too',
    ],
    [
      'products: [{id: a, productCode: c, pricing: contract, plans: [{id: p, audience: registered, grantedBy: x}]}]',
      'plans[0].grantedBy must be left out',
    ],
    [
      withDimension('aggregation: count\nmeteredBy: gate'),
      'meteredBy must be `product`: the gate counts quantities',
    ],
    [
      'products: [{id: a, productCode: c, upgradeUrl: {direct: "ftp://x"}}]',
      'upgradeUrl.direct must be a URL that begins with `https://` or `http://`',
    ],
    ['usage: {acceptBackDays: 36}', 'acceptBackDays must be a whole number from 1 to 35'],
    ['store: {url: "mysql://db"}', 'store.url must be `sqlite:` and a path'],
    ['store: {url: "postgres://db.example.com/ledger"}', 'store.url must be on this machine'],
    ['store: {url: "dynamodb://table"}', 'store.url must name a region and a table'],
  ])('%s is refused', (text, message) => {
    const problems = problemsOf(text)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(message)
  })

  it.each([
    ['a: [1', 'is not YAML'],
    ['a: 1\n  b: 2', 'is not YAML'],
    ['mode: live\nmode: simulated\n', 'tollkeeper.yaml:2:1: has this key twice'],
    ['a: 1\n---\nb: 2', 'is not YAML'],
    ['mode: !!js/function "x"', 'is not YAML'],
    ['1: a', 'has a key that is not text'],
    ['? [a, b]\n: c', 'has a key that is not text'],
    ['a: *nowhere', 'a names the anchor `nowhere`, which is not there'],
    ['[[[[[['.repeat(20_000), 'is not YAML'],
    ['a: &a [*a]', 'nested deeper than 32 levels'],
    [
      `a: &a [1,1,1,1,1,1,1,1,1,1]\n${'bcdefg'.replace(/./g, (letter) => {
        const before = String.fromCharCode(letter.charCodeAt(0) - 1)
        return `${letter}: &${letter} [${`*${before},`.repeat(10)}]\n`
      })}`,
      'has more than 100000 values: are there aliases within aliases?',
    ],
    [`# ${'x'.repeat(1_000_001)}`, 'larger than 1000000 bytes'],
  ])('of YAML is one line (%#)', (text, message) => {
    const problems = problemsOf(text)
    expect(problems.length).toBeGreaterThan(0)
    expect(problems[0]).toContain(message)
  })

  it.each(['__proto__', 'constructor', 'prototype'])('named %s never reaches an object', (name) => {
    const problems = problemsOf(`server:\n  ${name}: {polluted: true}\n`)
    expect(problems[0]).toContain(`server.${name} is not a name that can be used here`)
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })

  it('named like something that every object has is just unknown', () => {
    expect(problemsOf('toString: 1\nhasOwnProperty: 2\n')).toHaveLength(2)
  })
})

describe('the environment', () => {
  it('is read within text, with and without a default', () => {
    const text = 'server: {port: "${PORT}", publicUrl: "https://${HOST:-a.example}/x/"}\n'
    expect(parse(text, { PORT: '5000' }).server).toMatchObject({
      host: '127.0.0.1',
      port: 5000,
      publicUrl: 'https://a.example/x',
      trustProxy: [],
      drainMs: 0,
    })
    expect(parse(text, { PORT: '5000', HOST: 'b.example' }).server.publicUrl).toBe('https://b.example/x')
    expect(problemsOf(text)[0]).toContain('server.port needs PORT, which is not set in the environment')
    expect(problemsOf('server: {host: "${A B}"}')[0]).toContain('has a `${` that is no `${NAME}`')
    expect(problemsOf('server: {host: "${A"}')[0]).toContain('has a `${` that is no `${NAME}`')
    expect(parse('products: [{id: a, productCode: c, title: "$${A} $5"}]').products[0]?.title).toBe('${A} $5')
  })

  it('is never shown in a message: it may be a secret', () => {
    const problems = problemsOf('aws: {accountId: "${SECRET}"}', { SECRET: 'hunter2' })
    expect(problems[0]).toContain('tollkeeper.yaml:1:18: aws.accountId must be')
    expect(problems.join()).not.toContain('hunter2')
  })

  it('does not reach into itself', () => {
    expect(parse('server: {host: "${A:-b}"}', { A: '' }).server.host).toBe('b')
    const expanded = parse('products: [{id: a, productCode: c, title: "${A}"}]', { A: '${B}', B: 'x' })
    expect(expanded.products[0]?.title).toBe('${B}')
    expect(problemsOf('server: {host: "${__proto__}"}')[0]).toContain('needs __proto__')
  })

  it('overrides the file by our own names', () => {
    const config = parse('server: {port: 1, host: a}\nstore: {url: "sqlite:x"}', {
      TOLLKEEPER_PORT: '4321',
      TOLLKEEPER_HOST: '0.0.0.0',
      TOLLKEEPER_STORE: 'sqlite:./other.db',
      TOLLKEEPER_MODE: 'live',
      TOLLKEEPER_AWS_ACCOUNT_ID: '012345678901',
      TOLLKEEPER_PUBLIC_URL: 'https://a.example',
      TOLLKEEPER_AWS_ENDPOINT: 'https://metering.example',
    })
    expect(config).toMatchObject({
      mode: 'live',
      server: { port: 4321, host: '0.0.0.0', publicUrl: 'https://a.example' },
      store: { url: 'sqlite:/etc/toll/other.db' },
      aws: { accountId: '012345678901', endpoint: 'https://metering.example' },
    })
  })

  it('is told by its own name when it is wrong', () => {
    expect(problemsOf('', { TOLLKEEPER_PORT: 'abc' })[0]).toMatch(
      /^environment: TOLLKEEPER_PORT must be a whole number from 0 to 65535:/,
    )
    expect(problemsOf('', { TOLLKEEPER_PROT: '1' })[0]).toBe(
      'environment: TOLLKEEPER_PROT is not a setting: did you mean `TOLLKEEPER_PORT`?',
    )
    expect(problemsOf('', { TOLLKEEPER_KEY: 'x', TOLLKEEPER_URL: 'y' })).toEqual([])
  })

  it('fills in what the file leaves out by the names of earlier installations', () => {
    const env = { AWS_REGION: 'eu-west-1', LOG_LEVEL: 'WARN' }
    expect(parse('', env)).toMatchObject({ aws: { region: 'eu-west-1' }, log: { level: 'warn' } })
    expect(parse('aws: {region: us-west-2}\nlog: {level: debug}', env)).toMatchObject({
      aws: { region: 'us-west-2' },
      log: { level: 'debug' },
    })
  })

  it.each(['MP_PRODUCT_CODE', 'MARKETPLACE_PRODUCT_CODE', 'PRODUCT_CODE'])(
    'has the product code in %s',
    (name) => {
      const env = { [name]: 'codefromenv' }
      expect(parse('products: [{id: a}]', env).products[0]?.productCode).toBe('codefromenv')
      expect(parse('products: [{id: a, productCode: b}]', env).products[0]?.productCode).toBe('b')
      expect(problemsOf('products: [{id: a}, {id: b}]', env)).toHaveLength(2)
      expect(parse('connectors: {marketplace: {enabled: true}}', env).products).toMatchObject([
        { id: 'marketplace', productCode: 'codefromenv', dimensions: [] },
      ])
      expect(parse('', env).products).toEqual([])
    },
  )

  it('must not contradict itself', () => {
    const env = { MP_PRODUCT_CODE: 'a', MARKETPLACE_PRODUCT_CODE: 'b' }
    expect(problemsOf('products: [{id: a}]', env)[0]).toBe(
      'environment: MARKETPLACE_PRODUCT_CODE must be the same as MP_PRODUCT_CODE: set one of the two',
    )
    expect(problemsOf('products: [{id: a}]', { MP_PRODUCT_CODE: 'a b' })[0]).toContain(
      "environment: MP_PRODUCT_CODE must be AWS Marketplace's product code",
    )
  })
})

describe('modes', () => {
  it.each([
    ['mode: live', 'aws.accountId is missing'],
    ['mode: live\naws: {accountId: 1}', '12 digits'],
    [
      'mode: live\naws: {accountId: "123456789012", endpoint: "https://127.0.0.1:4010"}',
      'must not be on this machine',
    ],
    [
      'mode: live\naws: {accountId: "123456789012", endpoint: "https://127.1"}',
      'must not be on this machine',
    ],
    [
      'mode: live\naws: {accountId: "123456789012", endpoint: "https://2130706433"}',
      'must not be on this machine',
    ],
    [
      'mode: live\naws: {accountId: "123456789012", endpoint: "https://[::ffff:127.0.0.1]"}',
      'must not be on this',
    ],
    [
      'mode: live\naws: {accountId: "123456789012", endpoint: "https://0.0.0.0"}',
      'must not be on this machine',
    ],
    [
      'mode: live\naws: {accountId: "123456789012", endpoint: "http://aws.example"}',
      'must begin with `https://`',
    ],
    ['mode: shadow\naws: {endpoint: "https://localhost:4010"}', 'must not be on this machine'],
    [
      'mode: simulated\naws: {endpoint: "https://metering.example"}',
      'must be on this machine in simulated mode',
    ],
    [
      'mode: simulated\naws: {endpoint: "http://127.0.0.1.example"}',
      'must be on this machine in simulated mode',
    ],
    ['aws: {endpoint: "http://0.0.0.0:4010"}', 'must be on this machine in simulated mode'],
    [
      'mode: live\naws: {accountId: "123456789012"}\nconnectors: {marketplace: {write_actions: []}}',
      'write_actions must have `emit_meter_usage` in live mode',
    ],
  ])('%s is refused', (text, message) => {
    expect(problemsOf(text)).toEqual([expect.stringContaining(message)])
  })

  it('know where to send by themselves', () => {
    expect(parse('').aws.endpoint).toBe('http://127.0.0.1:4010')
    expect(parse('aws: {endpoint: "http://localhost:1"}').aws.endpoint).toBe('http://localhost:1')
    expect(parse('mode: live\naws: {accountId: "123456789012"}').aws.endpoint).toBeUndefined()
    expect(parse('mode: shadow').aws.endpoint).toBeUndefined()
  })
})

describe('declared subscriptions', () => {
  it('name their buyer as the product is metered', () => {
    const config = parse(`
products:
  - {id: a, productCode: ca}
  - {id: b, productCode: cb, metering: legacy, plans: [{id: p}]}
subscriptions:
  - {product: a, licenseArn: "${LICENSE}", customerAwsAccountId: 123456789012, accessStart: 2026-11-01}
  - {product: b, plan: p, tenantId: 42, customerIdentifier: ifAPi5AcF3, accessStart: 2026-11-01T10:30:00+02:00}
`)
    expect(config.subscriptions).toEqual([
      {
        product: 'a',
        plan: undefined,
        tenantId: undefined,
        licenseArn: LICENSE,
        customerAwsAccountId: '123456789012',
        customerIdentifier: undefined,
        agreementId: undefined,
        accessStart: Date.UTC(2026, 10, 1),
      },
      {
        product: 'b',
        plan: 'p',
        tenantId: '42',
        licenseArn: undefined,
        customerAwsAccountId: undefined,
        customerIdentifier: 'ifAPi5AcF3',
        agreementId: undefined,
        accessStart: Date.UTC(2026, 10, 1, 8, 30),
      },
    ])
  })

  const buyer = `licenseArn: "${LICENSE}", customerAwsAccountId: "123456789012"`
  const other = `licenseArn: "${LICENSE.replace('::', ':us-east-1:')}", customerAwsAccountId: "123456789012"`
  it.each([
    [`{product: b, ${buyer}, accessStart: 2026-11-01}`, 'product must be the id of a product, not `b`'],
    ['{product: a, accessStart: 2026-11-01, customerAwsAccountId: "123456789012"}', 'licenseArn is missing'],
    [`{product: a, ${buyer}, plan: pro, accessStart: 2026-11-01}`, 'must be a plan of product `a`'],
    [`{product: a, ${buyer}, accessStart: 2026-02-31}`, 'must be a time that exists'],
    [`{product: a, ${buyer}, accessStart: 2026-02-21T25:00Z}`, 'must be a time that exists'],
    [`{product: a, ${buyer}, accessStart: yesterday}`, 'accessStart must be a time such as'],
    [`{product: a, ${buyer}, accessStart: 2026-11-01T10:00}`, 'accessStart must be a time such as'],
    [
      `{product: a, ${buyer}, accessStart: 2026-11-01}, {product: a, ${other}, accessStart: 2026-11-01}`,
      'subscriptions[1].licenseArn must be unique in its product',
    ],
  ])('%s is refused', (text, message) => {
    expect(problemsOf(`${ONE_PRODUCT}subscriptions: [${text}]`)).toEqual([expect.stringContaining(message)])
  })
})

describe('marketplace-config.json', () => {
  const skills = { name: 'Skills', productCode: 'CODIO_AI_SKILLS_2024', path: 'ai-skills', enabled: true }

  it('adds its enabled listings as products', () => {
    const config = parse(
      '',
      {},
      {
        marketplaceListings: { 'ai-skills': skills, 'old-listing': { enabled: false } },
        deploymentSettings: {
          region: 'eu-west-1',
          environment: 'production',
          retainResources: true,
          more: 1,
        },
      },
    )
    expect(config.products).toMatchObject([
      {
        id: 'ai-skills',
        title: 'Skills',
        productCode: 'CODIO_AI_SKILLS_2024',
        listing: 'ai-skills',
        dimensions: [],
      },
    ])
    expect(config.products[0]?.region).toBe('eu-west-1')
    expect(config.deployment).toMatchObject({
      environment: 'production',
      listings: [
        { path: 'ai-skills', enabled: true },
        { path: 'old-listing', enabled: false },
      ],
    })
  })

  it('joins a declared product of the same code or path', () => {
    const listings = { marketplaceListings: { 'ai-skills': skills } }
    const byCode = parse(
      'products: [{id: s, productCode: CODIO_AI_SKILLS_2024, dimensions: [{key: x}]}]',
      {},
      listings,
    )
    expect(byCode.products).toMatchObject([
      { id: 's', title: 'Skills', listing: 'ai-skills', dimensions: [{ key: 'x' }] },
    ])
    const byPath = parse('products: [{id: s, title: Mine, listing: ai-skills}]', {}, listings)
    expect(byPath.products).toMatchObject([{ id: 's', title: 'Mine', productCode: 'CODIO_AI_SKILLS_2024' }])
  })

  it.each([
    [
      'products: [{id: ai-skills, productCode: x}]',
      { a: skills },
      'marketplaceListings.a.productCode must be the same',
    ],
    [
      'products: [{id: ai-skills, productCode: x}, {id: b, productCode: CODIO_AI_SKILLS_2024}]',
      { a: skills },
      'fits two products',
    ],
    ['', { a: { ...skills, enabled: 'yes' } }, 'marketplaceListings.a.enabled must be `true` or `false`'],
    ['', { a: { ...skills, productCode: undefined } }, 'marketplaceListings.a.productCode is missing'],
    ['', { 'a b': { ...skills, path: undefined } }, 'needs a `path`'],
    ['', { a: skills, b: { ...skills, productCode: 'other' } }, 'must be the same everywhere'],
    [
      '',
      { a: skills, b: { ...skills, path: 'other', productCode: 'CODIO_AI_SKILLS_2024', enabled: true } },
      'path must be the same everywhere: product `ai-skills` with the same code',
    ],
  ])('%s with %j', (text, marketplaceListings, message) => {
    const problems = problemsOf(text, {}, { marketplaceListings })
    expect(problems).toEqual([expect.stringContaining(message)])
    for (const problem of problems) expect(problem).toMatch(/^marketplace-config\.json:1:\d+/)
  })
})

describe('a file', () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tollkeeper-config-'))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))
  const write = (name: string, text: string | Uint8Array) => writeFileSync(join(directory, name), text)
  const load = (file?: string, env = {}) => loadConfig({ cwd: directory, env, ...(file ? { file } : {}) })

  it('is read with the listings beside it', () => {
    write('tollkeeper.yaml', ONE_PRODUCT)
    write(
      'marketplace-config.json',
      JSON.stringify({ marketplaceListings: { b: { productCode: 'codeb', enabled: true } } }),
    )
    const config = load()
    expect(config.file).toBe(join(directory, 'tollkeeper.yaml'))
    expect(config.store.url).toBe(`sqlite:${directory}/tollkeeper.db`)
    expect(config.products.map(({ id }) => id)).toEqual(['a', 'b'])
  })

  it('is found by TOLLKEEPER_CONFIG, or by name', () => {
    write('other.yaml', ONE_PRODUCT)
    expect(load(undefined, { TOLLKEEPER_CONFIG: 'other.yaml' }).products).toHaveLength(1)
    expect(load('other.yaml').products).toHaveLength(1)
  })

  it('that cannot be read is one line that says why', () => {
    expect(() => load()).toThrow('tollkeeper.yaml: does not exist: run `tollkeeper init` to write one')
    expect(() => load('no.yaml')).toThrow('no.yaml: does not exist: check the path')
    mkdirSync(join(directory, 'folder'))
    expect(() => load('folder')).toThrow('folder: is a directory')
    write('tollkeeper.yaml', Uint8Array.of(0x61, 0x3a, 0xff, 0xfe))
    expect(() => load()).toThrow('tollkeeper.yaml: is not text in UTF-8')
    write('tollkeeper.yaml', 'mode: simulated\n')
    write('marketplace-config.json', '{"marketplaceListings": {')
    expect(() => load()).toThrow(/^marketplace-config\.json:1:\d+: is not JSON/)
    write('marketplace-config.json', 'marketplaceListings: {}')
    expect(() => load()).toThrow(/^marketplace-config\.json:1:1: is not JSON/)
  })

  it('that cannot be read is one line too, for whoever runs it', () => {
    // A link to itself: permissions would not stop a test that runs as root.
    symlinkSync('tollkeeper.yaml', join(directory, 'tollkeeper.yaml'))
    expect(() => load()).toThrow('tollkeeper.yaml: cannot be read (ELOOP)')
  })
})

describe('what comes with it', () => {
  it('is a demo product of each common kind', () => {
    const config = demoConfig({ directory: '/srv', env: { TOLLKEEPER_PORT: '0', AWS_REGION: 'eu-west-1' } })
    expect(config.mode).toBe('simulated')
    expect(config.server.port).toBe(0)
    expect(config.store.url).toBe('sqlite:/srv/tollkeeper-demo.db')
    expect(config.products[0]?.productCode).toMatch(/^[a-z0-9]{25}$/)
    expect(config.products[0]?.dimensions.map(({ key, aggregation }) => [key, aggregation])).toEqual([
      ['api_requests', 'count'],
      ['storage_gb', 'max'],
      ['users', 'unique'],
    ])
  })

  it('is a demo that nothing can make real', () => {
    const env = { TOLLKEEPER_MODE: 'live', TOLLKEEPER_AWS_ACCOUNT_ID: '123456789012' }
    expect(() => demoConfig({ env })).toThrow('environment: TOLLKEEPER_MODE must be `simulated` for the demo')
    expect(() => demoConfig({ env: { TOLLKEEPER_AWS_ENDPOINT: 'https://metering.example' } })).toThrow(
      'environment: TOLLKEEPER_AWS_ENDPOINT must be on this machine in simulated mode',
    )
  })

  it('is a template that can be used as it is', () => {
    expect(parse(CONFIG_TEMPLATE).products).toMatchObject([{ id: 'my-product' }])
    expect(parse(CONFIG_TEMPLATE, { MP_PRODUCT_CODE: 'abc' }).products[0]?.productCode).toBe('abc')
  })

  it('is a template whose commented lines can be used as well', () => {
    const uncommented = CONFIG_TEMPLATE.split('\n')
      .map((line) => line.replace(/^( *)# (?=( *- | *)[a-zA-Z]+:( |$)| *- \{)/, '$1'))
      .filter((line) => !/^(simulated|Text|#)/.test(line))
      .join('\n')
    const config = parse(uncommented.replace('metering: legacy', 'metering: license'), {})
    expect(config.products[0]?.dimensions).toHaveLength(3)
    expect(config.products[0]?.plans).toHaveLength(2)
    expect(config.subscriptions).toHaveLength(1)
    expect(config.aws.accountId).toBe('123456789012')
  })
})

describe('whatever is in the file', () => {
  const name = fc.oneof(
    fc.constantFrom(
      'mode',
      'server',
      'port',
      'aws',
      'products',
      'id',
      'productCode',
      'dimensions',
      'key',
      'scale',
    ),
    fc.constantFrom(
      'per',
      'holdAbove',
      'times',
      'plans',
      'subscriptions',
      'connectors',
      'marketplace',
      'metrics',
    ),
    fc.constantFrom('__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', '<<', '', '0'),
    fc.string({ maxLength: 8 }),
  )
  const anything = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 5, depthSize: 'medium' },
      fc.oneof(
        fc.constantFrom(
          'live',
          'a',
          '${A}',
          '${A:-1}',
          '${',
          '$${',
          'sqlite:x',
          '2026-11-01',
          'max',
          '123456789012',
        ),
        fc.string({ maxLength: 12, unit: 'binary' }),
        fc.integer(),
        fc.double(),
        fc.boolean(),
        fc.constant(null),
      ),
      fc.array(tie('tree'), { maxLength: 4 }),
      fc.array(fc.tuple(name, tie('tree')), { maxLength: 6 }).map((entries) => new Map(entries)),
    ),
  })).tree

  const onlyConfigErrors = (read: () => unknown) => {
    try {
      read()
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError)
      expect((error as ConfigError).message).not.toMatch(/[\n\r]/)
      expect((error as ConfigError).problems.length).toBeGreaterThan(0)
    }
    expect(Object.keys(Object.prototype)).toEqual([])
  }

  it('either is a configuration or ends in a ConfigError: values', () => {
    fc.assert(
      fc.property(anything, (value) => {
        const text = stringify(value)
        onlyConfigErrors(() => parse(text, { A: 'b' }))
        onlyConfigErrors(() =>
          parse(ONE_PRODUCT, {}, { marketplaceListings: value, deploymentSettings: value }),
        )
      }),
      { numRuns: 600 },
    )
  })

  it('either is a configuration or ends in a ConfigError: text', () => {
    const token = fc.constantFrom(
      'a',
      ':',
      ' ',
      '\n',
      '- ',
      '{',
      '}',
      '[',
      ']',
      ',',
      '&a',
      '*a',
      '"',
      "'",
      '|',
      '#',
      '!',
      '?',
      '\t',
      '<<',
    )
    const noise = fc.oneof(
      fc.array(token, { maxLength: 40 }).map((tokens) => tokens.join('')),
      fc.string({ unit: 'binary' }),
    )
    fc.assert(
      fc.property(noise, fc.nat({ max: CONFIG_TEMPLATE.length }), fc.nat({ max: 40 }), (text, at, length) => {
        onlyConfigErrors(() => parse(text))
        onlyConfigErrors(() =>
          parse(CONFIG_TEMPLATE.slice(0, at) + text + CONFIG_TEMPLATE.slice(at + length)),
        )
      }),
      { numRuns: 400 },
    )
  })
})
