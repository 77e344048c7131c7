import { describe, expect, it } from 'vitest'
import { createCatalogReader } from '../../config/catalog-reader.ts'
import { PLAIN_PLAN, type Plan } from '../../domain/plans/plan.ts'
import { declareProducts } from '../../domain/products/declare-products.ts'
import { createLiveCatalog } from '../../domain/products/live-catalog.ts'
import { createManageProducts } from '../../domain/products/manage-products.ts'
import type { Product } from '../../domain/products/product.ts'
import type { Stores } from '../../domain/stores.ts'
import { createManageSubscriptions } from '../../domain/subscriptions/manage-subscription.ts'
import { closeDueBuckets } from '../../domain/usage/close-due-buckets.ts'
import { createIngestUsage, type UsageReport } from '../../domain/usage/ingest-usage.ts'
import { aClock, aDimension, aProduct, aSubscription, utc } from './fixtures.ts'
import type { OpenStores } from './open-stores.ts'
import { aWholeProduct } from './whole-ledger.ts'

const NOW = utc('2026-11-21T10:30')
const HOUR = 3_600_000
const MADE = {
  id: 'made',
  productCode: 'made0code0of0twenty0five0',
  dimensions: [{ key: 'calls' }],
  plans: [{ id: 'free', audience: 'registered', limits: [{ dimension: 'calls', quantity: 100 }] }],
}

const aPlan = (id: string, values: Partial<Plan> = {}): Plan => ({ ...PLAIN_PLAN, id, title: id, ...values })
const limited = (quantity: number): Partial<Plan> => ({
  limits: [{ dimension: 'requests', quantity, window: 'month', onExceed: 'block' }],
})

/** One process on a ledger, with what its configuration declares. */
function aNode(stores: Stores, declared: readonly Product[], clock: ReturnType<typeof aClock>) {
  const catalog = createLiveCatalog({ store: stores.catalogStore, declared, clock })
  const manage = createManageProducts({
    catalog,
    store: stores.catalogStore,
    reader: createCatalogReader('us-east-1', 'simulated'),
    checkDimensions: stores.checkDimensions,
    adopt: ({ productCode, id }) => stores.cases.adopt(productCode, id),
    configuration: 'tollkeeper.yaml',
    clock,
  })
  return {
    ...stores,
    catalog,
    manage,
    clock,
    put: (plan: string, body: object, from?: number) =>
      manage.putPlan(declared[0]?.id ?? 'made', { id: plan, body, from }, 'key:test'),
    async start() {
      await declareProducts(stores.catalogStore, declared, clock.now())
      await catalog.refresh()
    },
  }
}

async function report(
  node: ReturnType<typeof aNode>,
  used: Pick<UsageReport, 'dimension' | 'quantity' | 'reference'>,
): Promise<void> {
  const limits = { acceptBackMs: 7 * 24 * HOUR, acceptAheadMs: 300_000 }
  const time = node.clock.now()
  const outcomes = await createIngestUsage({ ...node, limits })([{ ...used, id: `at ${time}`, time }])
  expect(outcomes).toMatchObject([{ status: 'accepted' }])
}

/** What is true of products and plans on every store, in every process. */
export function catalogStoreContract(name: string, open: OpenStores): void {
  describe(`${name}: products and plans`, () => {
    /** Processes with their configurations on one ledger. */
    const start = async (...configurations: (readonly Product[])[]) => {
      const ledger = Symbol('ledger')
      const clock = aClock(NOW)
      const nodes = []
      for (const declared of configurations) nodes.push(aNode(await open(ledger), declared, clock))
      return { clock, nodes: nodes as [ReturnType<typeof aNode>, ...ReturnType<typeof aNode>[]] }
    }

    it('are written down as configuration declares them, once, and read back as they were', async () => {
      const { nodes } = await start([aWholeProduct()], [aWholeProduct()])
      const [one, two] = nodes as [ReturnType<typeof aNode>, ReturnType<typeof aNode>]
      await one.start()
      const revision = await one.catalogStore.revision()
      await two.start()
      expect(await two.catalogStore.revision()).toBe(revision)
      const { products, plans } = two.catalog.versions()
      const { plans: declared, planVersions: _, ...body } = aWholeProduct()
      expect(products).toMatchObject([{ product: 'demo', version: 1, origin: 'config', body }])
      expect(plans.map((plan) => plan.body)).toEqual([...declared].sort((a, b) => (a.id < b.id ? -1 : 1)))
      expect(two.catalog.find('demo')?.plans).toEqual(declared)
      // As far back as it goes: an hour before this version was installed is closed by them, too.
      expect(two.catalog.planAt('demo', 'pro', 0)?.id).toBe('pro')
    })

    it('change from the start on that declares them differently, audited, and what was is not rewritten', async () => {
      const [before, after] = [100, 50].map((quantity) =>
        aProduct({ plans: [aPlan('pro', limited(quantity))] }),
      )
      const { clock, nodes } = await start([before!], [after!])
      const [one, two] = nodes as [ReturnType<typeof aNode>, ReturnType<typeof aNode>]
      await one.start()
      clock.set(NOW + HOUR)
      await two.start()
      const limitAt = (time: number) => two.catalog.planAt('demo', 'pro', time)?.limits[0]?.quantity
      expect([0, NOW, NOW + HOUR - 1, NOW + HOUR].map(limitAt)).toEqual([100, 100, 100, 50])
      await one.catalog.refresh()
      expect(one.catalog.find('demo')?.plans[0]?.limits[0]?.quantity).toBe(50)
      const { items } = await two.audit.list({ limit: 10, subject: 'demo/pro' })
      expect(items).toMatchObject([
        {
          action: 'plan.change',
          actor: 'config',
          before: { version: 1, limits: [{ quantity: 100 }] },
          after: { version: 2, from: '2026-11-21T11:30:00.000Z', limits: [{ quantity: 50 }] },
        },
        { action: 'plan.create' },
      ])
    })

    it('are retired when configuration has them no longer, kept by who is on them, and come back', async () => {
      const both = aProduct({ plans: [aPlan('basic'), aPlan('pro')] })
      const { clock, nodes } = await start([both], [aProduct({ plans: [aPlan('pro')] })], [both])
      const [one, two, three] = nodes as [
        ReturnType<typeof aNode>,
        ReturnType<typeof aNode>,
        ReturnType<typeof aNode>,
      ]
      await one.start()
      clock.set(NOW + HOUR)
      await two.start()
      const manage = createManageSubscriptions({ ...two, clock })
      const open = (plan: string) =>
        manage.open({ product: two.catalog.find('demo')!, channel: 'direct', plan, tenantId: plan }, 'test')
      expect(two.catalog.find('demo')?.plans.map(({ id, isRetired }) => [id, isRetired])).toEqual([
        ['basic', true],
        ['pro', false],
      ])
      await expect(open('basic')).rejects.toThrow('plan must be one of product demo: pro')
      clock.set(NOW + 2 * HOUR)
      await three.start()
      await two.catalog.refresh()
      expect((await open('basic')).subscription.plan).toBe('basic')
      expect(two.catalog.versions().plans.map(({ version, body }) => [body.id, version])).toEqual([
        ['basic', 1],
        ['basic', 2],
        ['basic', 3],
        ['pro', 1],
      ])
    })

    it('take effect at the time that they are dated to, in processes that only look at the clock', async () => {
      const { clock, nodes } = await start([aProduct()], [aProduct()])
      const [one, two] = nodes as [ReturnType<typeof aNode>, ReturnType<typeof aNode>]
      await one.put('team', { limits: [{ dimension: 'requests', quantity: 10 }] })
      await one.put('team', { limits: [{ dimension: 'requests', quantity: 20 }] }, NOW + HOUR)
      const limit = (node: typeof one) => node.catalog.find('demo')?.plans[0]?.limits[0]?.quantity
      expect(limit(one)).toBe(10)
      expect(two.catalog.find('demo')?.plans).toEqual([])
      await two.catalog.refresh()
      expect(limit(two)).toBe(10)
      clock.set(NOW + HOUR)
      expect([limit(one), limit(two)]).toEqual([20, 20])
      expect(two.catalog.planAt('demo', 'team', NOW - 1)).toBeUndefined()
      await expect(one.put('team', {}, NOW)).rejects.toThrow('from must not be before now')
    })

    it('close an hour by what they included in it, however late it is closed', async () => {
      const { clock, nodes } = await start([aProduct()], [aProduct()])
      const [one, two] = nodes as [ReturnType<typeof aNode>, ReturnType<typeof aNode>]
      const including = (units: number) => ({ included: [{ dimension: 'requests', units }] })
      await one.put('team', including(10))
      const { subscription } = await one.subscriptions.create(aSubscription({ plan: 'team' }), 'test')
      const reference = { subscriptionId: subscription.id }
      await report(one, { dimension: 'requests', quantity: 15, reference })
      clock.set(NOW + 40 * 60_000)
      await one.put('team', { included: [] })
      clock.set(NOW + HOUR)
      await two.catalog.refresh()
      await closeDueBuckets(two, clock.now())
      clock.set(NOW + 2 * HOUR)
      await report(one, { dimension: 'requests', quantity: 4, reference })
      clock.set(NOW + 4 * HOUR)
      await closeDueBuckets(two, clock.now())
      const { items } = await two.usage.listRecords({ limit: 10 })
      // Newest first: nothing is included any more; five of fifteen were not.
      expect(items.map(({ quantity }) => quantity)).toEqual([4, 5])
    })

    it('let the latest decision stand where a change that was dated ahead has not come', async () => {
      const { clock, nodes } = await start([aProduct()])
      const [node] = nodes
      await node.put('team', { title: 'One' })
      await node.put('team', { title: 'Two' }, NOW + HOUR)
      const { version } = await node.put('team', { title: 'One' })
      expect(version.version).toBe(3)
      clock.set(NOW + 2 * HOUR)
      expect(node.catalog.find('demo')?.plans[0]?.title).toBe('One')
      // The same again is the same.
      expect((await node.put('team', { title: 'One' })).version.version).toBe(3)
    })

    it('change on the day that a change was put off to, and on no other', async () => {
      const { clock, nodes } = await start([aProduct()], [aProduct()])
      const [one, two] = nodes as [ReturnType<typeof aNode>, ReturnType<typeof aNode>]
      await one.put('team', limited(10))
      await one.put('team', limited(20), NOW + HOUR)
      clock.set(NOW + 60_000)
      await one.put('team', limited(30), NOW + 3 * HOUR)
      await two.catalog.refresh()
      const limit = (node: typeof one) => node.catalog.find('demo')?.plans[0]?.limits[0]?.quantity
      const seen = [0, HOUR, 2 * HOUR, 3 * HOUR].map((passed) => {
        clock.set(NOW + Math.max(60_000, passed))
        return [limit(one), limit(two), two.catalog.planAt('demo', 'team', clock.now())?.limits[0]?.quantity]
      })
      expect(seen).toEqual([
        [10, 10, 10],
        [10, 10, 10],
        [10, 10, 10],
        [30, 30, 30],
      ])
    })

    it('are retired as what they are, and not as what was put off', async () => {
      const { nodes } = await start([aProduct()])
      const [node] = nodes
      await node.put('team', { title: 'One' })
      await node.put('team', { title: 'Two' }, NOW + HOUR)
      node.clock.set(NOW + 60_000)
      await node.put('team', { title: 'Three' }, NOW + 3 * HOUR)
      node.clock.set(NOW + 2 * HOUR)
      await node.manage.retirePlan('demo', 'team', 'test')
      expect(node.catalog.find('demo')?.plans).toMatchObject([{ title: 'One', isRetired: true }])
    })

    it('are changed by many at once without losing a change', async () => {
      const { nodes } = await start([aProduct()], [aProduct()], [aProduct()])
      await Promise.all(
        nodes.flatMap((node, index) => [
          node.put('team', { title: `Team ${index}` }),
          node.put(`plan-${index}`, {}),
        ]),
      )
      const [node] = nodes
      await node.catalog.refresh()
      const { plans } = node.catalog.versions()
      const ofTeam = plans.filter(({ body }) => body.id === 'team')
      expect(ofTeam.map(({ version }) => version)).toEqual([1, 2, 3])
      expect(new Set(ofTeam.map(({ body }) => body.title)).size).toBe(3)
      expect(node.catalog.find('demo')?.plans.map(({ id }) => id)).toHaveLength(4)
      expect(new Set(plans.map(({ position, body }) => `${position} ${body.id}`)).size).toBe(4)
    })

    it('are changed where they are declared, and nowhere else', async () => {
      const { nodes } = await start([aProduct({ plans: [aPlan('pro')] })])
      const [node] = nodes
      await node.start()
      for (const refused of [
        () => node.put('pro', { title: 'Mine' }),
        () => node.manage.retirePlan('demo', 'pro', 'test'),
      ])
        await expect(refused()).rejects.toMatchObject({
          code: 'plan.declared',
          message: 'plan pro of demo is declared in tollkeeper.yaml: change it there',
        })
      await expect(node.manage.putProduct('demo', { ...MADE, id: 'demo' }, 'test')).rejects.toMatchObject({
        code: 'product.declared',
      })
    })

    it('are changed nowhere else either where only another process has that configuration yet', async () => {
      const { nodes } = await start([aProduct({ plans: [aPlan('pro')] })], [], [aProduct()])
      const [one, two, three] = nodes as [
        ReturnType<typeof aNode>,
        ReturnType<typeof aNode>,
        ReturnType<typeof aNode>,
      ]
      const { productCode } = aProduct()
      const ours = { ...MADE, id: 'demo', productCode, plans: [] }
      await two.manage.createProduct(ours, 'test')
      const { change } = two.catalogStore
      /** It looked when the product was its own still. */
      const late = aNode(
        {
          ...two,
          catalogStore: {
            ...two.catalogStore,
            async change(decide) {
              await one.start()
              await change(decide)
            },
          },
        },
        [],
        two.clock,
      )
      for (const refused of [
        () => late.manage.putProduct('demo', { ...ours, title: 'Ours' }, 'test'),
        () => two.manage.createProduct(ours, 'test'),
      ])
        await expect(refused()).rejects.toMatchObject({ code: 'product.declared' })
      for (const refused of [
        () => three.put('pro', { title: 'Mine' }),
        () => three.manage.retirePlan('demo', 'pro', 'test'),
      ])
        await expect(refused()).rejects.toMatchObject({ code: 'plan.declared' })
    })

    it('are checked as configuration is', async () => {
      const { nodes } = await start([aProduct()])
      const [node] = nodes
      await node.put('visitor', { audience: 'anonymous' })
      await expect(node.put('guest', { audience: 'anonymous' })).rejects.toThrow(
        'audience can be `anonymous` of one plan in a product, but `visitor` is it, too',
      )
      await expect(
        node.put('pro', { limits: [{ dimension: 'scans', quantity: 1, onExceed: 'bill' }] }),
      ).rejects.toMatchObject({
        code: 'request.invalid',
        details: { problems: [{ path: 'limits[0].onExceed' }] },
      })
      await node.put('pro', {})
      await node.put('visitor', { audience: 'anonymous', upgradeTo: 'pro' })
      await expect(node.put('pro', { upgradeTo: 'visitor' })).rejects.toThrow('upgradeTo must lead up')
      await expect(node.manage.retirePlan('demo', 'pro', 'test')).rejects.toMatchObject({
        code: 'plan.needed',
      })
    })

    it('a product of the API is sold and metered in every process, without a restart', async () => {
      const { clock, nodes } = await start([], [])
      const [one, two] = nodes as [ReturnType<typeof aNode>, ReturnType<typeof aNode>]
      expect((await one.manage.createProduct(MADE, 'key:test')).created).toBe(true)
      expect((await one.manage.createProduct(MADE, 'key:test')).created).toBe(false)
      await expect(one.manage.createProduct({ ...MADE, title: 'Other' }, 'key:test')).rejects.toMatchObject({
        code: 'product.exists',
      })
      await two.catalog.refresh()
      const product = two.catalog.find(MADE.productCode)!
      expect(product.plans.map(({ id }) => id)).toEqual(['free'])
      const manage = createManageSubscriptions(two)
      const { subscription } = await manage.open(
        { product, channel: 'direct', plan: 'free', tenantId: 't' },
        'test',
      )
      const reference = { subscriptionId: subscription.id }
      await report(two, { dimension: 'calls', quantity: 3, reference })
      clock.set(NOW + 2 * HOUR)
      expect(await closeDueBuckets(one, clock.now())).toMatchObject({ closed: 1 })
      await one.checkDimensions(one.catalog)
    })

    it('a product of the API keeps what its dimensions are counted in, and no other’s name', async () => {
      const { nodes } = await start([aProduct()])
      const [node] = nodes
      await node.manage.createProduct(MADE, 'test')
      const put = (values: object) => node.manage.putProduct('made', { ...MADE, ...values }, 'test')
      await expect(put({ dimensions: [{ key: 'calls', scale: 2 }] })).rejects.toMatchObject({
        code: 'dimension.fixed',
      })
      // Neither does it come back as another.
      await put({ dimensions: [{ key: 'pages' }], plans: [] })
      await expect(put({ dimensions: [{ key: 'calls', aggregation: 'count' }] })).rejects.toMatchObject({
        code: 'dimension.fixed',
      })
      expect(node.catalog.find('made')?.plans).toMatchObject([{ id: 'free', isRetired: true }])
      const { productCode, listing } = aProduct()
      for (const taken of [{ productCode }, { listing }, { productCode: 'demo' }])
        await expect(put(taken)).rejects.toMatchObject({ code: 'product.exists' })
      const { items } = await node.audit.list({ limit: 10, subject: 'made' })
      expect(items.map(({ action }) => action)).toEqual(['product.change', 'product.create'])
    })

    it('a product of the API suits the plans that stay with it, now and when what is dated ahead has come', async () => {
      const { clock, nodes } = await start([])
      const [node] = nodes
      const dimensions = [{ key: 'calls' }, { key: 'pages' }]
      const contract = { ...MADE, pricing: 'contract-with-consumption', dimensions }
      const pro = { id: 'pro', grantedBy: 'pro', included: [{ dimension: 'calls', units: 5 }] }
      await node.manage.createProduct({ ...contract, plans: [pro] }, 'test')
      const { plans: _, ...without } = contract
      const put = (values: object) => node.manage.putProduct('made', { ...without, ...values }, 'test')
      const refusal = (plan: string, path: string) => ({
        code: 'request.invalid',
        details: { problems: [{ plan, path }] },
      })
      // Else what a contract paid for would be billed.
      await expect(put({ pricing: 'usage' })).rejects.toMatchObject(refusal('pro', 'grantedBy'))
      const onlyPages = { dimensions: [{ key: 'pages' }] }
      await expect(put(onlyPages)).rejects.toMatchObject(refusal('pro', 'included[0].dimension'))
      await node.put('pro', { ...pro, included: [] }, NOW + HOUR)
      await expect(put(onlyPages)).rejects.toMatchObject(refusal('pro', 'included[0].dimension'))
      clock.set(NOW + HOUR)
      await put(onlyPages)
      await put({ dimensions })
      const billed = { limits: [{ dimension: 'calls', quantity: 1, onExceed: 'bill' }] }
      await node.put('pro', { ...pro, ...billed }, NOW + 2 * HOUR)
      await node.put('team', billed, NOW + 2 * HOUR)
      await expect(put(onlyPages)).rejects.toMatchObject({
        details: {
          problems: [{ plan: 'pro' }, { plan: 'pro' }, { plan: 'team', path: 'limits[0].onExceed' }],
        },
      })
      expect(node.catalog.find('made')).toMatchObject({
        pricing: 'contract-with-consumption',
        dimensions: [{ key: 'calls' }, { key: 'pages' }],
      })
      // Who is on a retired plan is asked about by nobody here: to retire it was a decision of its own.
      await node.manage.retirePlan('made', 'pro', 'test')
      await node.manage.retirePlan('made', 'team', 'test')
      await put({ ...onlyPages, pricing: 'usage' })
    })

    it('a product that is declared suits the plans that the API made for it, or nobody starts with it', async () => {
      const gold = { dimensions: [aDimension({ key: 'requests' }), aDimension({ key: 'gold' })] }
      const { nodes } = await start([aProduct(gold)], [aProduct()], [aProduct({ plans: [aPlan('pro')] })])
      const [before, less, more] = nodes as [
        ReturnType<typeof aNode>,
        ReturnType<typeof aNode>,
        ReturnType<typeof aNode>,
      ]
      await before.start()
      await before.put('team', { included: [{ dimension: 'gold', units: 5 }] })
      for (const node of [less, more])
        await expect(node.start()).rejects.toThrow(
          'plan team of demo stays and does not suit: included[0].dimension must be a dimension of this product',
        )
      // As it was it goes on, whatever was written before there was this rule.
      await before.start()
      await less.put('team', {})
      await less.start()
      await more.start()
      expect(more.catalog.find('demo')?.plans.map(({ id }) => id)).toEqual(['pro', 'team'])
    })

    it('what is described at length is kept whole', async () => {
      const dimensions = Array.from({ length: 150 }, (_, index) =>
        aDimension({
          key: `d${index}`,
          metrics: Array.from({ length: 40 }, (_, n) => `${Math.sin(index + n)}`.repeat(4)),
        }),
      )
      const { nodes } = await start([aProduct({ dimensions })])
      const [node] = nodes
      await node.start()
      expect(node.catalog.versions().products[0]?.body.dimensions).toEqual(dimensions)
      const revision = await node.catalogStore.revision()
      await node.start()
      expect(await node.catalogStore.revision()).toBe(revision)
    })

    it('configuration takes a product of the API over, and not another under its name', async () => {
      const made = aProduct({ id: 'made', productCode: MADE.productCode, listing: 'made' })
      const { nodes } = await start([], [made], [{ ...made, id: 'renamed' }])
      const [one, two, three] = nodes as [
        ReturnType<typeof aNode>,
        ReturnType<typeof aNode>,
        ReturnType<typeof aNode>,
      ]
      await one.manage.createProduct({ ...MADE, dimensions: [], plans: [] }, 'test')
      await expect(three.start()).rejects.toMatchObject({ code: 'product.exists' })
      await two.start()
      expect(two.catalog.list()).toEqual([made])
      await expect(two.manage.createProduct(MADE, 'test')).rejects.toMatchObject({ code: 'product.declared' })
    })
  })
}
