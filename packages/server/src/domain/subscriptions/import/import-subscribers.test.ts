import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { aClock, aDimension, aProduct, utc } from '../../../storage/contract/fixtures.ts'
import { createSqlAuditTrail } from '../../../storage/sql/audit-trail.ts'
import { createSqlBuyerCaseStore } from '../../../storage/sql/buyer-case-store.ts'
import { createSqlBuyerStore } from '../../../storage/sql/buyer-store.ts'
import { migrate } from '../../../storage/sql/migrations.ts'
import { openSqlite } from '../../../storage/sql/sqlite.ts'
import { createSqliteUsageStore } from '../../../storage/sql/sqlite-stores.ts'
import { createSqlSubscriptionStore } from '../../../storage/sql/subscription-store.ts'
import { PLAIN_PLAN } from '../../plans/plan.ts'
import { createProductCatalog, type Product } from '../../products/product.ts'
import { createIngestUsage } from '../../usage/ingest-usage.ts'
import { reportSilence } from '../../usage/report-silence.ts'
import type { AgreementService, AgreementSummary } from '../agreement-service.ts'
import { isLive, licenseTail, type Subscription } from '../subscription.ts'
import { importSubscribers } from './import-subscribers.ts'
import { type MeteringRow, readMeteringRow } from './read-metering-row.ts'
import { readSubscriber } from './read-subscriber.ts'
import { readTable } from './read-table.ts'
import type { RowProblem } from './source-row.ts'
import type { Subscriber } from './subscriber.ts'

const NOW = utc('2026-11-21T12:00')
const HOUR = 3_600_000
const DATA = join(import.meta.dirname, '../../../../../../e2e/data/import')

const DIMENSIONS = [aDimension({ key: 'users' }), aDimension({ key: 'requests' })]
const PLANS = [
  { ...PLAIN_PLAN, id: 'pro', title: 'Pro', grantedBy: 'professional_tier' },
  { ...PLAIN_PLAN, id: 'team', title: 'Team', grantedBy: 'seats' },
]
const LEGACY = aProduct({
  productCode: 'n0123456789012345678901234',
  metering: 'legacy',
  dimensions: DIMENSIONS,
  plans: PLANS,
})
const LICENSED = aProduct({ productCode: '74az0btybm649octamy0sktos', dimensions: DIMENSIONS, plans: PLANS })

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

async function aLedger(products: readonly Product[] = [LICENSED]) {
  const database = openSqlite(':memory:')
  closing.push(() => database.close())
  await migrate(database)
  const cases = createSqlBuyerCaseStore(database)
  const subscriptions = createSqlSubscriptionStore(database)
  const buyers = createSqlBuyerStore(database)
  const usage = createSqliteUsageStore(database)
  const audit = createSqlAuditTrail(database)
  const catalog = createProductCatalog(products)
  const limits = { acceptBackMs: 7 * 24 * HOUR, acceptAheadMs: 300_000 }
  const ingest = createIngestUsage({ usage, subscriptions, catalog, clock: aClock(NOW), limits })
  const deps = { cases, buyers, subscriptions, catalog, ingest }
  const told = () =>
    database
      .read((sql) => sql.all('SELECT type FROM domain_event ORDER BY seq'))
      .then((rows) => rows.map(({ type }) => type))
  return {
    usage,
    audit,
    buyers,
    subscriptions,
    told,
    all: async () => (await subscriptions.list({ limit: 1_000 })).toReversed(),
    async run(
      source: Read & { metering?: ReadMetering },
      more: { dryRun?: boolean; tell?: boolean; product?: Product; agreements?: AgreementService } = {},
    ) {
      const { agreements, ...given } = more
      const options = {
        dryRun: false,
        tell: false,
        acceptBackMs: limits.acceptBackMs,
        actor: 'cli:ada',
        ...given,
      }
      return importSubscribers({ ...deps, agreements }, source, options, NOW)
    },
  }
}

interface Read {
  readonly subscribers: readonly Subscriber[]
  readonly problems: readonly RowProblem[]
}
interface ReadMetering {
  readonly rows: readonly MeteringRow[]
  readonly problems: readonly RowProblem[]
}

function fixture(name: string): string {
  return readFileSync(join(DATA, name), 'utf8').replace(/\{\{hoursAgo:(\d+)\}\}/g, (_, hours) =>
    String(NOW - Number(hours) * HOUR),
  )
}

function subscribersOf(text: string): Read {
  const { rows, problems } = readTable(text, 'file')
  const read = rows.map(readSubscriber)
  return {
    subscribers: read.filter((row): row is Subscriber => 'identity' in row),
    problems: [...problems, ...read.filter((row): row is RowProblem => !('identity' in row))],
  }
}

function meteringOf(name: string): ReadMetering {
  const { rows, problems } = readTable(fixture(name), name)
  const read = rows.map(readMeteringRow)
  return {
    rows: read.filter((row): row is MeteringRow => 'usage' in row),
    problems: [...problems, ...read.filter((row): row is RowProblem => !('usage' in row))],
  }
}

const table = (name: string) => subscribersOf(fixture(name))
const licenseArn = (hex: string) => `arn:aws:license-manager::294406891311:license:l-${hex.padStart(32, '0')}`
const iso = (text: string) => Date.parse(text)

describe('AWS’s sample of 2025, by customer identifier', () => {
  it('is imported with its states, and keeps its times', async () => {
    const ledger = await aLedger([LEGACY])
    const report = await ledger.run(table('sample-2025-scan.json'))
    const rows = await ledger.all()
    const brief = rows.map(({ customerIdentifier, status, freeTrial }) => [
      customerIdentifier,
      status,
      freeTrial,
    ])
    expect(Object.fromEntries(brief.map(([id, ...rest]) => [id, rest]))).toEqual({
      ifAPi5AcF3: ['active', false],
      kg7BolTx92: ['cancelled', false],
      pqCorpSA11: ['pending', undefined],
      zzDuoInc44: ['failed', false],
      eeEchoAB55: ['cancelled', true],
      foxNoReg66: ['active', false],
      ggGolfBV77: ['expired', undefined],
    })
    const acme = rows.find(({ customerIdentifier }) => customerIdentifier === 'ifAPi5AcF3')!
    const created = iso('2025-07-01T08:00:00Z')
    expect(acme).toMatchObject({
      customerAwsAccountId: '111122223333',
      licenseArn: undefined,
      accessStart: created,
      grantedAt: created,
      createdAt: NOW,
      accessEnd: undefined,
    })
    expect(report.problems).toEqual([
      { where: 'row 8', reason: expect.stringContaining('which this configuration does not have') },
    ])
  })

  it('without a product code is of the only product there is', async () => {
    const ledger = await aLedger([LEGACY, aProduct({ id: 'other', productCode: 'other' })])
    const several = await ledger.run(table('sample-2025-scan.json'), { dryRun: true })
    expect(several.problems).toContainEqual({
      where: 'row 6',
      reason: 'names no product, and there are several: say which with --product',
    })
    const { imported } = await ledger.run(table('sample-2025-scan.json'), { product: LEGACY })
    expect(imported.map(({ customerIdentifier }) => customerIdentifier)).toContain('foxNoReg66')
  })

  it('ends what ended without a goodbye: AWS’s hour is over', async () => {
    const ledger = await aLedger([LEGACY])
    await ledger.run(table('sample-2025-scan.json'))
    const ended = (await ledger.all()).filter((subscription) => !isLive(subscription))
    expect(ended).toHaveLength(4)
    for (const { accessStart, accessEnd, finalWindowEnd } of ended) {
      expect(accessStart).toBeLessThanOrEqual(accessEnd!)
      expect(finalWindowEnd).toBe(accessEnd! + HOUR)
      expect(finalWindowEnd).toBeLessThanOrEqual(NOW)
    }
  })

  it('says of each row that is not plain what was made of it', async () => {
    const ledger = await aLedger([LEGACY])
    const { imported } = await ledger.run(table('sample-2025-scan.json'))
    const notes = Object.fromEntries(imported.map(({ where, notes: said }) => [where, said.join('; ')]))
    expect(notes['row 1']).toBe('')
    expect(notes['row 2']).toContain('does not say when it ended')
    expect(notes['row 3']).toContain('has no word of AWS')
    expect(notes['row 5']).toContain('its last usage is the old system’s to send')
  })
})

describe('AWS’s sample of 2026, by license', () => {
  it('keeps agreements of one account apart and merges rows of one license', async () => {
    const ledger = await aLedger()
    const report = await ledger.run(table('sample-2026-export.jsonl'))
    const rows = await ledger.all()
    expect(rows.map(({ licenseArn: arn, status, buyer }) => [arn, status, buyer])).toEqual([
      [licenseArn('a1'), 'active', rows[0]!.buyer],
      [licenseArn('a2'), 'active', rows[0]!.buyer],
      [licenseArn('b1'), 'expired', rows[2]!.buyer],
    ])
    expect(rows[0]).toMatchObject({ plan: 'team', termEnd: iso('2027-04-01T00:00:00Z') })
    expect(rows[1]).toMatchObject({ freeTrial: true })
    expect(report.imported[0]).toMatchObject({
      entitlements: ['seats=25'],
      notes: ['2 rows of one subscription'],
    })
    expect(report.problems).toEqual([
      { where: 'line 7', reason: 'is not JSON with attributes' },
      { where: 'line 5, line 6', reason: 'are one subscription and name several AWS accounts' },
    ])
  })

  it('brings all contacts of a buyer, once each', async () => {
    const ledger = await aLedger()
    expect((await ledger.run(table('sample-2026-export.jsonl'))).contacts).toBe(4)
    const [first] = await ledger.all()
    const contacts = await ledger.buyers.listContacts(first!.buyer)
    expect(contacts.map(({ email }) => email).sort()).toEqual([
      'one@a.example',
      'second@a.example',
      'two@a.example',
    ])
    expect(contacts.find(({ email }) => email === 'one@a.example')).toEqual({
      email: 'one@a.example',
      name: 'Person 161',
      company: 'Company 161',
      phone: '+1',
      registeredAt: iso('2026-04-01T00:00:00Z'),
    })
  })
})

describe('its sibling of the European Sovereign Cloud, by account', () => {
  const found = (agreements: readonly Partial<AgreementSummary>[]) =>
    ({
      async *searchAgreements() {
        yield agreements.map((agreement, index) => ({
          agreementId: `agmt-${index}`,
          status: 'ACTIVE',
          customerAwsAccountId: '222233334444',
          licenseArns: [licenseArn('ee')],
          startsAt: iso('2026-02-03T04:05:06Z'),
          ...agreement,
        })) as AgreementSummary[]
      },
    }) as unknown as AgreementService

  it('takes the license from the kept entitlement, and sets aside what has none or several', async () => {
    const ledger = await aLedger()
    const report = await ledger.run(table('sample-esc.json'))
    expect(await ledger.all()).toMatchObject([
      { licenseArn: licenseArn('e1'), customerAwsAccountId: '111122223333', status: 'active' },
    ])
    expect(report.problems).toEqual([
      { where: 'row 3', reason: expect.stringContaining('several licenses') },
      { where: 'row 2', reason: expect.stringContaining('ask AWS with --ask-aws') },
    ])
    expect(report.imported[0]!.notes).toContain(
      'does not say when the buyer registered: access counts from its last change',
    )
  })

  it('takes license and start from AWS where it is asked', async () => {
    const ledger = await aLedger([{ ...LICENSED, productId: 'prod-demo' }])
    await ledger.run(table('sample-esc.json'), { agreements: found([{}]) })
    expect((await ledger.all())[1]).toMatchObject({
      licenseArn: licenseArn('ee'),
      agreementId: 'agmt-0',
      accessStart: iso('2026-02-03T04:05:06Z'),
      status: 'active',
    })
  })

  it('does not choose between several agreements', async () => {
    const ledger = await aLedger([{ ...LICENSED, productId: 'prod-demo' }])
    const agreements = found([{}, { licenseArns: [licenseArn('ef')] }])
    const { problems } = await ledger.run(table('sample-esc.json'), { agreements })
    expect(problems).toContainEqual({
      where: 'row 2',
      reason: expect.stringContaining('2 active agreements'),
    })
  })

  it('finds the contact’s buyer by its account where the ledger has one', async () => {
    const ledger = await aLedger([{ ...LICENSED, productId: 'prod-demo' }])
    await ledger.run(table('sample-esc.json'), { agreements: found([{}]) })
    expect(await ledger.run(table('sample-esc.json'))).toMatchObject({ known: 2, imported: [], contacts: 0 })
  })
})

describe('tables in its manner, and CSV', () => {
  it('are read by their own names, times without a zone as UTC, the tier as the plan', async () => {
    const ledger = await aLedger([LEGACY])
    await ledger.run(table('yawl-subscribers.json'))
    const [acme, gone, leaving] = await ledger.all()
    expect(acme).toMatchObject({
      status: 'active',
      plan: 'pro',
      accessStart: iso('2025-01-01T00:00:00Z'),
      termEnd: iso('2025-12-31T23:59:59Z'),
    })
    expect(gone).toMatchObject({ status: 'cancelled', accessEnd: iso('2025-03-01T12:00:00Z') })
    expect(leaving).toMatchObject({ status: 'cancelled' })
  })

  it('of ours says all there is to say', async () => {
    const ledger = await aLedger()
    const report = await ledger.run(table('buyers.csv'))
    expect(await ledger.all()).toMatchObject(
      [
        {
          licenseArn: licenseArn('d2'),
          tenantId: 'bolt',
          status: 'expired',
          accessStart: iso('2025-01-01T00:00:00Z'),
          accessEnd: iso('2025-06-30T00:00:00Z'),
        },
        {
          licenseArn: licenseArn('d1'),
          tenantId: 'acme',
          plan: 'pro',
          status: 'active',
          accessStart: iso('2026-01-02T03:04:05Z'),
        },
      ].toSorted((a, b) =>
        a.licenseArn === licenseArn('d1') ? -1 : b.licenseArn === licenseArn('d1') ? 1 : 0,
      ),
    )
    expect(report.problems).toEqual([
      { where: 'line 4', reason: expect.stringContaining('12 digits, and a spreadsheet') },
      { where: 'line 5', reason: expect.stringContaining('status that nobody knows: "onholiday"') },
    ])
  })
})

describe('an import', () => {
  it.each([
    'sample-2025-scan.json',
    'sample-2026-export.jsonl',
    'sample-esc.json',
    'yawl-subscribers.json',
    'buyers.csv',
  ])('of %s a second time changes nothing', async (name) => {
    const products = /2025|yawl/.test(name) ? [LEGACY] : [LICENSED]
    const ledger = await aLedger(products)
    const first = await ledger.run(table(name))
    const rows = await ledger.all()
    const audited = (await ledger.audit.list({ limit: 1_000 })).items
    const second = await ledger.run(table(name))
    expect(second).toMatchObject({ imported: [], differs: [], contacts: 0, known: first.imported.length })
    expect(await ledger.all()).toEqual(rows)
    expect((await ledger.audit.list({ limit: 1_000 })).items).toEqual(audited)
  })

  it('that is dry says the same and writes nothing', async () => {
    const ledger = await aLedger()
    const dry = await ledger.run(table('sample-2026-export.jsonl'), { dryRun: true })
    expect(await ledger.all()).toEqual([])
    expect((await ledger.audit.list({ limit: 10 })).items).toEqual([])
    const real = await ledger.run(table('sample-2026-export.jsonl'))
    const same = (report: typeof dry) => ({
      ...report,
      dryRun: undefined,
      imported: report.imported.map((item) => ({ ...item, subscription: '' })),
    })
    expect(same(dry)).toEqual(same(real))
  })

  it('is audited as the person who ran it, without personal data', async () => {
    const ledger = await aLedger()
    await ledger.run(table('sample-2026-export.jsonl'))
    const { items } = await ledger.audit.list({ limit: 100 })
    expect(new Set(items.map(({ actor }) => actor))).toEqual(new Set(['cli:ada']))
    expect(items.filter(({ action }) => action === 'subscription.create')).toHaveLength(3)
    expect(JSON.stringify(items)).not.toMatch(/@|Person|Company/)
  })

  it('tells nobody, unless it is asked to', async () => {
    const silent = await aLedger()
    await silent.run(table('sample-2026-export.jsonl'))
    expect(await silent.told()).toEqual([])
    const telling = await aLedger()
    await telling.run(table('sample-2026-export.jsonl'), { tell: true })
    expect(await telling.told()).toEqual(['subscription.activated', 'subscription.activated'])
  })

  it('leaves what the ledger has as it is, and says where it thinks otherwise', async () => {
    const ledger = await aLedger()
    await ledger.run(table('sample-2026-export.jsonl'))
    const [first] = await ledger.all()
    await ledger.subscriptions.change(
      first!.id,
      () => ({ status: 'cancelled', accessEnd: NOW - HOUR, finalWindowEnd: NOW }),
      'aws',
      NOW,
    )
    const { differs, imported } = await ledger.run(table('sample-2026-export.jsonl'))
    expect(imported).toEqual([])
    expect(differs).toMatchObject([
      { subscription: first!.id, notes: [expect.stringContaining('the ledger has')] },
    ])
    expect((await ledger.all())[0]).toMatchObject({ status: 'cancelled' })
  })

  it('gives a known subscription the tenant that only the seller’s records say', async () => {
    const ledger = await aLedger()
    const row = { licenseArn: licenseArn('1'), customerAwsAccountId: '111122223333', status: 'active' }
    await ledger.run(subscribersOf(JSON.stringify([row])))
    const more = subscribersOf(JSON.stringify([{ ...row, tenantId: 'acme', plan: 'pro' }]))
    expect((await ledger.run(more)).completed).toMatchObject([{ tenantId: 'acme', plan: 'pro' }])
    const other = subscribersOf(JSON.stringify([{ ...row, tenantId: 'other' }]))
    expect(await ledger.run(other)).toMatchObject({ completed: [], known: 1 })
    expect(await ledger.all()).toMatchObject([{ tenantId: 'acme', plan: 'pro' }])
  })

  it('gives whoever a contract grants a plan the one that is given now, and a retired one to whom it names', async () => {
    // Retired ones come first in a product.
    const retired = { ...PLANS[0]!, id: 'pro-2025', isRetired: true }
    const ledger = await aLedger([{ ...LICENSED, plans: [retired, ...PLANS] }])
    const rows = ['professional_tier', 'pro-2025'].map((plan, index) => ({
      licenseArn: licenseArn(`${index + 1}`),
      customerAwsAccountId: `11112222333${index}`,
      status: 'active',
      plan,
    }))
    await ledger.run(subscribersOf(JSON.stringify(rows)))
    expect((await ledger.all()).map(({ plan }) => plan)).toEqual(['pro', 'pro-2025'])
  })

  it('sets aside a row whose names contradict each other', async () => {
    const ledger = await aLedger()
    const { problems } = await ledger.run(
      subscribersOf(
        JSON.stringify([
          {
            customerIdentifier: '111122223333',
            customerAWSAccountId: '222233334444',
            licenseArn: licenseArn('1'),
          },
          {
            customerIdentifier: licenseArn('1'),
            licenseArn: licenseArn('2'),
            customerAWSAccountId: '111122223333',
          },
          { customerIdentifier: '12345' },
          { companyName: 'Nobody' },
        ]),
      ),
    )
    expect(problems.map(({ reason }) => reason)).toEqual([
      'speaks of several AWS accounts',
      expect.stringContaining('several licenses'),
      expect.stringContaining('no AWS account (12 digits)'),
      expect.stringContaining('names no buyer'),
    ])
  })
})

describe('the metering table', () => {
  const both = () => ({ ...table('sample-2025-scan.json'), metering: meteringOf('metering-2025-scan.json') })

  it('reports what was never sent in its own hour, and nothing else', async () => {
    const ledger = await aLedger([LEGACY])
    const { metering } = await ledger.run(both())
    expect(metering).toMatchObject({
      rows: 11,
      pending: { rows: 5, events: 6, outcomes: { accepted: 3, refused: 3 } },
      taken: 1,
    })
    const buckets = await ledger.usage.listBuckets({ limit: 100 })
    expect(
      buckets.items.map(({ dimension, hour, quantity }) => [dimension, hour * HOUR, quantity]).sort(),
    ).toEqual([
      ['requests', NOW - 2 * HOUR, 100n],
      ['users', NOW - 3 * HOUR, 3n],
      ['users', NOW - 2 * HOUR, 4n],
    ])
    expect(metering!.problems.map(({ reason }) => reason)).toEqual([
      'users: time is more than 7 days back',
      expect.stringContaining('has no dimension "nonsense"'),
      expect.stringContaining('no subscription fits'),
    ])
  })

  it('never sends again what nobody knows the fate of, and says what to look at', async () => {
    const ledger = await aLedger([LEGACY])
    const { metering } = await ledger.run(both())
    expect(metering!.unknown.map(({ usage, reason }) => [usage.join(), reason])).toEqual([
      ['users=5', expect.stringContaining('ThrottlingException')],
      ['users=6', expect.stringContaining('DuplicateRecord')],
      ['users=7', expect.stringContaining('unprocessed')],
      ['users=8', expect.stringContaining('cannot be read')],
      ['users=9', expect.stringContaining('no answer')],
    ])
    expect(metering!.unknown[1]!.check).toContain(
      'CloudTrail for BatchMeterUsage of this customer about 2025-07-01T11:00Z',
    )
    const yawl = await ledger.run({
      subscribers: [],
      problems: [],
      metering: meteringOf('yawl-metering.json'),
    })
    expect(yawl.metering).toMatchObject({ pending: { rows: 0 }, unknown: [{ usage: ['users=150'] }] })
  })

  it('counts nothing twice when it is imported again', async () => {
    const ledger = await aLedger([LEGACY])
    await ledger.run(both())
    const before = await ledger.usage.listBuckets({ limit: 100 })
    const { metering } = await ledger.run(both())
    expect(metering!.pending.outcomes).toEqual({ duplicate: 3, refused: 3 })
    expect(await ledger.usage.listBuckets({ limit: 100 })).toEqual(before)
  })

  it('dry foresees what would be refused, and reports nothing', async () => {
    const ledger = await aLedger([LEGACY])
    const dry = await ledger.run(both(), { dryRun: true })
    expect(dry.metering).toMatchObject({ pending: { rows: 5, events: 6, outcomes: undefined }, taken: 1 })
    expect(dry.metering!.problems.map(({ where, reason }) => [where, reason])).toEqual([
      ['row 3', 'users: time is more than 7 days back'],
      ['row 4', 'nonsense: there is no such dimension'],
      ['row 5', 'users: no subscription fits'],
    ])
    expect((await ledger.usage.listBuckets({ limit: 100 })).items).toEqual([])
  })

  it('with keys of nanoseconds and by account finds its subscription', async () => {
    const ledger = await aLedger()
    const { metering } = await ledger.run({
      ...table('sample-esc.json'),
      metering: meteringOf('metering-esc-export.jsonl'),
    })
    expect(metering).toMatchObject({ pending: { outcomes: { accepted: 1 } }, taken: 1, unknown: [] })
    expect((await ledger.usage.listBuckets({ limit: 10 })).items).toMatchObject([
      { dimension: 'users', quantity: 3n },
    ])
  })

  /** Usage that waits, and what AWS took of the old system in these hours, which it stamps as it sends. */
  const sent = (pendingAgo: number, ...sentAgo: readonly number[]): ReadMetering => {
    const key = { customerIdentifier: 'ifAPi5AcF3', dimension_usage: [{ dimension: 'users', value: 5 }] }
    const taken = sentAgo.map((ago) => ({
      ...key,
      create_timestamp: NOW - (ago + 1) * HOUR,
      metering_failed: false,
      metering_response: JSON.stringify({
        Results: [
          {
            UsageRecord: {
              Dimension: 'users',
              Quantity: 5,
              Timestamp: new Date(NOW - ago * HOUR).toISOString(),
            },
            Status: 'Success',
          },
        ],
      }),
    }))
    const pending = { ...key, create_timestamp: NOW - pendingAgo * HOUR, metering_pending: 'true' }
    const { rows } = readTable(JSON.stringify([...taken, pending]), 'file')
    return { rows: rows.map(readMeteringRow) as MeteringRow[], problems: [] }
  }

  it('counts usage in the first hour that AWS has not from the old system, be it imported twice', async () => {
    const ledger = await aLedger([LEGACY])
    const source = { ...table('sample-2025-scan.json'), metering: sent(4, 4, 3) }
    const { metering } = await ledger.run(source)
    expect(metering!.pending).toMatchObject({
      outcomes: { accepted: 1 },
      moved: [
        {
          where: 'row 3',
          reason:
            'users: AWS has 2026-11-21T08:00:00.000Z of this customer from the old system: counted at 2026-11-21T10:00:00.000Z',
        },
      ],
    })
    expect((await ledger.usage.listBuckets({ limit: 10 })).items).toMatchObject([
      { hour: (NOW - 2 * HOUR) / HOUR, quantity: 5n },
    ])
    expect((await ledger.run(source)).metering!.pending.outcomes).toEqual({ duplicate: 1 })
  })

  it('waits for the next hour where the old system sent in this one', async () => {
    const ledger = await aLedger([LEGACY])
    const { metering } = await ledger.run({ ...table('sample-2025-scan.json'), metering: sent(30, 0) })
    expect(metering!.problems).toEqual([
      {
        where: 'row 2',
        reason: expect.stringContaining('stop that, and import again after 2026-11-21T13:00'),
      },
    ])
    expect((await ledger.usage.listBuckets({ limit: 10 })).items).toEqual([])
  })

  it('tells how early a buyer had access, where the table of buyers does not', async () => {
    const ledger = await aLedger()
    await ledger.run({ ...table('sample-esc.json'), metering: meteringOf('metering-esc-export.jsonl') })
    expect((await ledger.all())[0]!.accessStart).toBe(1763634471636)
  })
})

describe('an imported buyer of a product that reports zeros', () => {
  it('has none in hours that the old system metered', async () => {
    const product = { ...LEGACY, dimensions: [aDimension({ key: 'users', reportZero: true })] }
    const ledger = await aLedger([product])
    await ledger.run(table('sample-2025-scan.json'))
    const { usage, subscriptions } = ledger
    const deps = { usage, subscriptions, catalog: createProductCatalog([product]) }
    expect(await reportSilence(deps, NOW + HOUR)).toBe(0)
    await reportSilence(deps, NOW + 2.5 * HOUR)
    const { items } = await usage.listRecords({ limit: 100 })
    const acme = (await ledger.all()).find(({ customerIdentifier }) => customerIdentifier === 'ifAPi5AcF3')!
    // The first hour that is wholly ours.
    expect(items.filter(({ subscription }) => subscription === acme.id)).toMatchObject([
      { hour: NOW / HOUR + 1 },
    ])
  })
})

describe('whatever a file has in it', () => {
  const words = fc.constantFrom(
    'customerIdentifier',
    'licenseArn',
    'customerAWSAccountID',
    'customerAwsAccountId',
    'productCode',
    'created',
    'updated_at',
    'successfully_subscribed',
    'subscription_expired',
    'subscription_action',
    'status',
    'entitlement',
    'contactEmail',
    'tenantId',
    'plan',
    'accessStart',
    'accessEnd',
    'agreementId',
    'Items',
    'Item',
    '__proto__',
    'constructor',
  )
  const values = fc.oneof(
    fc.constantFrom(
      ...['1', '2', '3'].map(licenseArn),
      `license/${licenseTail(licenseArn('1'))}`,
      '111122223333',
      '222233334444',
      'ifAPi5AcF3',
      'demo',
      LICENSED.productCode,
      '1751356800000',
      '2026-01-01T00:00:00Z',
      'active',
      'expired',
      'pending',
      'unsubscribe-pending',
      'ada@acme.example',
      'agmt-1',
      'agmt-2',
      true,
      false,
      null,
      '',
    ),
    fc.jsonValue(),
    fc.string(),
  )
  const typed = (value: unknown) =>
    typeof value === 'string' ? { S: value } : typeof value === 'boolean' ? { BOOL: value } : value
  const item = fc
    .array(fc.tuple(words, values, fc.boolean()), { maxLength: 12 })
    .map((entries) =>
      Object.fromEntries(entries.map(([name, value, wrap]) => [name, wrap ? typed(value) : value])),
    )
  const rows = fc.array(fc.oneof({ weight: 9, arbitrary: item }, { weight: 1, arbitrary: fc.jsonValue() }), {
    maxLength: 8,
  })
  const text = fc.oneof(
    rows.map((list) => JSON.stringify(list)),
    rows.map((list) => JSON.stringify({ Items: list })),
    rows.map((list) => list.map((one) => JSON.stringify({ Item: one })).join('\n')),
    fc.string(),
  )

  it('it is imported or set aside, and never makes two subscriptions of one license', async () => {
    await fc.assert(
      fc.asyncProperty(text, text, fc.boolean(), async (first, second, tell) => {
        const ledger = await aLedger()
        for (const content of [first, second, first]) {
          let read: Read
          try {
            read = subscribersOf(content)
          } catch (error) {
            expect(error).toMatchObject({ code: 'request.invalid' })
            continue
          }
          const dry = await ledger.run(read, { dryRun: true, tell })
          const before = await ledger.all()
          const report = await ledger.run(read, { tell })
          const after = await ledger.all()
          expect(after.length - before.length).toBe(report.imported.length)
          expect(report.imported).toHaveLength(dry.imported.length)
          expect(report.problems).toEqual(dry.problems)
          expectSound(after)
        }
        closing.pop()?.()
      }),
      { numRuns: 150 },
    )
  })

  function expectSound(subscriptions: readonly Subscription[]) {
    const tails = subscriptions.map(({ licenseArn: arn }) => licenseTail(arn!))
    expect(new Set(tails).size).toBe(tails.length)
    for (const { accessStart, accessEnd, finalWindowEnd, status, ...s } of subscriptions) {
      expect(s.customerAwsAccountId).toMatch(/^\d{12}$/)
      expect(isLive({ ...s, status } as Subscription)).toBe(accessEnd === undefined)
      if (accessEnd === undefined) continue
      expect(accessStart).toBeLessThanOrEqual(accessEnd)
      expect(finalWindowEnd).toBe(accessEnd + HOUR)
      expect(finalWindowEnd).toBeLessThanOrEqual(NOW)
    }
  }
})
