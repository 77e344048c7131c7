import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { awsClientConfig } from '../../marketplace/aws-client.ts'
import { aDynamoPlace, aDynamoTable, describeOnDynamo, type Place } from './dynamodb.fixture.ts'
import { type Fault, withFaults } from './faults.fixture.ts'
import type { Requests } from './requests.ts'
import type { Item, Key, Table } from './table.ts'

const ITEMS = 4
const GRACE_MS = 30

const at = (pk: string, sk: string): Key => ({ pk, sk })
const keysOf = (pk: string) => Array.from({ length: ITEMS }, (_, n) => at(pk, String(n)))
const n = (item: Item | undefined): number => Number(item?.n ?? 0)

/** Half of the items it changes are there, half are made; one is deleted, one grows without being read, one only read. */
async function prepare(table: Table, pk: string): Promise<void> {
  await table.transaction(async (tx) => {
    for (const key of keysOf(pk).slice(0, ITEMS / 2)) tx.put({ ...key, n: 0 })
    tx.put({ ...at(pk, 'gone'), n: 0 })
    tx.put({ ...at(pk, 'sum'), n: 0 })
    tx.put({ ...at(pk, 'read'), n: 0 })
  })
}

function largeStep(table: Table, pk: string): Promise<void> {
  return table.transaction(async (tx) => {
    const items = await tx.getMany(keysOf(pk))
    for (const [index, key] of keysOf(pk).entries()) tx.put({ ...key, n: n(items[index]) + 1 })
    await tx.get(at(pk, 'read'))
    await tx.get(at(pk, 'gone'))
    tx.delete(at(pk, 'gone'))
    tx.add(at(pk, 'sum'), { amounts: { n: 1 }, set: { last: 'large' } })
  })
}

/** How often the step has happened; fails where it has in part. */
async function timesOf(table: Table, pk: string): Promise<number> {
  const items = await table.query({ pk })
  const found = new Map(items.map((item) => [item.sk, n(item)]))
  const counts = keysOf(pk).map(({ sk }) => found.get(sk) ?? 0)
  const times = counts[0]!
  const last = items.find(({ sk }) => sk === 'sum')?.last
  expect({ counts, sum: found.get('sum'), last, isGone: !found.has('gone') }).toEqual({
    counts: Array(ITEMS).fill(times),
    sum: times,
    last: times > 0 ? 'large' : undefined,
    isGone: times > 0,
  })
  return times
}

async function open(place: Place, decide: Parameters<typeof withFaults>[0]) {
  const faults = withFaults(decide)
  const table = await aDynamoTable({
    place,
    through: faults.through,
    transactionItems: 3,
    graceMs: GRACE_MS,
    patienceMs: 3_000,
    onLeft: () => {},
  })
  return { faults, table }
}

describeOnDynamo('a step that no transaction holds', () => {
  it.each(['dies before', 'dies after'] as const)(
    'happens whole or not at all, and stands in nobody’s way, where its process %s any of its writes',
    async (fault) => {
      const place = await aDynamoPlace()
      const sound = await open(place, () => undefined)
      let outcomes = ''
      for (let write = 1; ; write++) {
        const pk = `p${write}`
        await prepare(sound.table, pk)
        const { table, faults } = await open(place, (count) => (count === write ? fault : undefined))
        const outcome = await largeStep(table, pk).then(
          () => 'done',
          () => 'failed',
        )
        if (!faults.isDead) break
        // Who only reads sees one or the other at once; who writes clears away what is in his way.
        const times = await timesOf(sound.table, pk)
        outcomes += times
        if (outcome === 'done') expect(times).toBe(1)
        await largeStep(sound.table, pk)
        expect(await timesOf(sound.table, pk)).toBe(times + 1)
      }
      // Before the moment of the commit nothing, after it all.
      expect(outcomes).toMatch(/^0{4,}1{4,}$/)
    },
  )

  it('is finished by the next process that looks, also where nobody asks for its items', async () => {
    const place = await aDynamoPlace()
    const sound = await open(place, () => undefined)
    for (let write = 1; ; write++) {
      const pk = `p${write}`
      const { table, faults } = await open(place, (count) => (count === write ? 'dies after' : undefined))
      await table
        .transaction(async (tx) => {
          for (const key of keysOf(pk)) tx.put({ ...key, list: pk, listed: key.sk })
        })
        .catch(() => undefined)
      if (!faults.isDead) break
      await expect.poll(async () => (await sound.table.recover()) === 0, { interval: GRACE_MS }).toBe(true)
      const found = await sound.table.queryIndex('ListIndex', { pk })
      expect([0, ITEMS]).toContain(found.length)
      expect(found).toEqual(await sound.table.query({ pk }))
    }
  })

  it.each(['lost before', 'lost after'] as const)(
    'happens once where the answer to any of its writes is %s it took effect',
    async (fault) => {
      const place = await aDynamoPlace()
      const sound = await open(place, () => undefined)
      for (let write = 1; ; write++) {
        const pk = `p${write}`
        await prepare(sound.table, pk)
        const { table, faults } = await open(place, (count) => (count === write ? fault : undefined))
        await largeStep(table, pk)
        expect(await timesOf(sound.table, pk)).toBe(1)
        if (faults.writes < write) break
      }
    },
  )

  it('happens once where any of its writes is throttled, or meets another', async () => {
    const place = await aDynamoPlace()
    const sound = await open(place, () => undefined)
    for (const refusedAs of ['ThrottlingException', 'TransactionConflictException']) {
      const pk = refusedAs
      await prepare(sound.table, pk)
      const { table } = await open(place, (count) => (count % 3 === 0 ? { refusedAs } : undefined))
      await largeStep(table, pk)
      expect(await timesOf(sound.table, pk)).toBe(1)
    }
  })

  it('leaves nothing behind where it cannot be taken', async () => {
    const place = await aDynamoPlace()
    const sound = await open(place, () => undefined)
    await prepare(sound.table, 'p')
    const { table } = await open(place, (count) =>
      count === 3 ? { refusedAs: 'ValidationException' } : undefined,
    )
    await expect(largeStep(table, 'p')).rejects.toThrow('ValidationException')
    expect(await timesOf(sound.table, 'p')).toBe(0)
    expect(await sound.table.query({ pk: 'JOURNAL' })).toEqual([])
  })

  it.each(['before', 'after'])(
    'leaves none of its parts for ever, nor long, where its process dies %s the moment of the commit',
    async (when) => {
      const place = await aDynamoPlace()
      const sound = await open(place, () => undefined)
      let isDead = false
      const table = await aDynamoTable({
        place,
        transactionItems: 3,
        onLeft: () => {},
        through: (requests: Requests) => ({
          async send(name, input) {
            const isFlip = name === 'UpdateItem' && JSON.stringify(input).includes('"committed"')
            if (isFlip && when === 'after') await requests.send(name, input)
            isDead ||= isFlip
            if (isDead) throw new TypeError('died')
            return requests.send(name, input)
          },
        }),
      })
      const text = 'x'.repeat(200_000)
      const step = table.transaction(async (tx) => {
        for (const key of keysOf('p')) tx.put({ ...key, text })
      })
      await expect(step).rejects.toThrow('died')
      const [header] = await sound.table.query({ pk: 'JOURNAL' })
      const parts = () => sound.table.query({ pk: `JOURNAL#${header!.sk}` })
      const left = await parts()
      expect(left).toHaveLength(ITEMS)
      // Read at the machine's own time, as DynamoDB does.
      const inTwoMonths = BigInt(Math.floor(Date.now() / 1000) + 60 * 86_400)
      for (const { expiresAt } of left) expect(expiresAt).toBeGreaterThan(inTwoMonths)
      const recovered = async () => {
        await sound.table.recover()
        return (await parts()).length
      }
      await expect.poll(recovered, { interval: GRACE_MS }).toBe(0)
      expect(await sound.table.query({ pk: 'p' })).toHaveLength(when === 'after' ? ITEMS : 0)
    },
  )

  it('lets a process that was stopped for long find out that others have ended its step', async () => {
    const place = await aDynamoPlace()
    const sound = await open(place, () => undefined)
    await prepare(sound.table, 'p')
    let runs = 0
    const { table } = await open(place, () => undefined)
    const slow = withFaults(() => undefined)
    const paused = await aDynamoTable({
      place,
      transactionItems: 3,
      through: (requests: Requests) => ({
        send: async (name, input) => {
          // The moment of the commit: another process, which met its locks, was quicker.
          const isFlip = name === 'UpdateItem' && JSON.stringify(input).includes('"committed"')
          if (isFlip && runs++ === 0) await largeStep(table, 'p')
          return slow.through(requests).send(name, input)
        },
      }),
    })
    await largeStep(paused, 'p')
    expect(await timesOf(sound.table, 'p')).toBe(2)
  })
})

describeOnDynamo('a step in one transaction', () => {
  const increment = (table: Table, ...keys: Key[]) =>
    table.transaction(async (tx) => {
      for (const key of keys) tx.put({ ...key, n: n(await tx.get(key)) + 1 })
      tx.add(at('sum', 'x'), { amounts: { n: 1 } })
    })

  it.each<[string, Fault]>([
    ['whose answer is lost', 'lost after'],
    ['that never arrives', 'lost before'],
    ['that is throttled', { refusedAs: 'ProvisionedThroughputExceededException' }],
    ['that is too much for the account', { refusedAs: 'RequestLimitExceeded' }],
    [
      'that meets another',
      { refusedAs: 'TransactionCanceledException', reasons: ['None', 'TransactionConflict'] },
    ],
    [
      'of which an item is throttled',
      { refusedAs: 'TransactionCanceledException', reasons: ['ThrottlingError'] },
    ],
    ['that is still under way', { refusedAs: 'TransactionInProgressException' }],
    ['that a broken server answers', { refusedAs: 'InternalServerError', status: 500 }],
  ])('%s is sent again and happens once, without running anew', async (_, fault) => {
    let runs = 0
    const { table } = await open(await aDynamoPlace(), (count) => (count === 1 ? fault : undefined))
    await table.transaction(async (tx) => {
      runs++
      tx.put({ ...at('p', '1'), n: n(await tx.get(at('p', '1'))) + 1 })
      tx.add(at('sum', 'x'), { amounts: { n: 1 } })
    })
    expect((await table.getMany([at('p', '1'), at('sum', 'x')])).map(n)).toEqual([1, 1])
    expect(runs).toBe(1)
  })

  it('says that the ledger is busy where DynamoDB throttles for long, having written nothing', async () => {
    let isThrottled = true
    const throttle = { refusedAs: 'ThrottlingException' }
    const { table } = await open(await aDynamoPlace(), () => (isThrottled ? throttle : undefined))
    await expect(increment(table, at('p', '1'), at('p', '2'))).rejects.toMatchObject({ code: 'ledger.busy' })
    isThrottled = false
    expect(await table.query({ pk: 'p' })).toEqual([])
  })

  it('says what is wrong with a step that DynamoDB never takes', async () => {
    const reasons = ['None', 'ItemCollectionSizeLimitExceeded']
    const { table } = await open(await aDynamoPlace(), () => ({
      refusedAs: 'TransactionCanceledException',
      reasons,
    }))
    await expect(increment(table, at('p', '1'))).rejects.toThrow('item 1: ItemCollectionSizeLimitExceeded')
  })

  it('takes one item’s write for done by its version, and never guesses where others have written since', async () => {
    const place = await aDynamoPlace()
    const sound = await open(place, () => undefined)
    const put = (table: Table) =>
      table.transaction(async (tx) => tx.put({ ...at('p', '1'), n: n(await tx.get(at('p', '1'))) + 1 }))
    const lossy = await open(place, (count) => (count === 1 ? 'lost after' : undefined))
    await put(lossy.table)
    expect(n(await sound.table.get(at('p', '1')))).toBe(1)

    const overtaken = await aDynamoTable({
      place,
      through: (requests) => {
        let isFirst = true
        return {
          async send(name, input) {
            const answer = await requests.send(name, input)
            if (name !== 'PutItem' || !isFirst) return answer
            isFirst = false
            await put(sound.table)
            throw Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' })
          },
        }
      },
    })
    await expect(put(overtaken)).rejects.toMatchObject({
      code: 'ledger.busy',
      message: expect.stringContaining('was lost'),
    })
    expect(n(await sound.table.get(at('p', '1')))).toBe(3)
  })

  it('asks again for keys that a batch left unread', async () => {
    let batches = 0
    const table = await aDynamoTable({
      through: (requests) => ({
        async send(name, input) {
          if (name !== 'BatchGetItem') return requests.send(name, input)
          batches++
          const wanted = Object.entries(
            (input as { RequestItems: Record<string, { Keys: object[] }> }).RequestItems,
          )
          const [tableName, { Keys, ...rest }] = wanted[0]!
          const [taken, left] = [Keys.slice(0, 2), Keys.slice(2)]
          const answer = await requests.send(name, {
            RequestItems: { [tableName]: { ...rest, Keys: taken } },
          } as never)
          return left.length === 0
            ? answer
            : { ...answer, UnprocessedKeys: { [tableName]: { ...rest, Keys: left } } as never }
        },
      }),
    })
    await table.transaction(async (tx) => {
      for (const key of keysOf('p').slice(0, 3)) tx.put({ ...key, n: key.sk.length })
    })
    expect((await table.getMany(keysOf('p'))).map((item) => item !== undefined)).toEqual([
      ...Array(3).fill(true),
      ...Array(ITEMS - 3).fill(false),
    ])
    expect(batches).toBe(2)
  })

  it('happens once where the connection is cut after the engine has done it', async () => {
    const place = await aDynamoPlace()
    const cutting = await aCuttingProxy(place.client.endpoint!, (target) =>
      target.includes('TransactWriteItems'),
    )
    const endpoint = { mode: 'simulated', endpoint: cutting.endpoint, timeoutMs: 5_000 } as const
    const table = await aDynamoTable({ place: { ...place, client: awsClientConfig(endpoint, 'DynamoDB') } })
    await increment(table, at('p', '1'), at('p', '2'))
    expect(cutting.cuts()).toBe(1)
    expect((await table.getMany([at('p', '1'), at('p', '2'), at('sum', 'x')])).map(n)).toEqual([1, 1, 1])
  })
})

/** Passes requests on, and cuts the first whose operation is chosen after its answer has come. */
async function aCuttingProxy(engine: string, isChosen: (target: string) => boolean) {
  let cuts = 0
  const proxy = createServer((incoming, outgoing) => {
    const { port, hostname } = new URL(engine)
    const { method, headers } = incoming
    const onward = request({ port, hostname, method, headers }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk) => chunks.push(chunk))
      answer.on('end', () => {
        if (cuts === 0 && isChosen(String(headers['x-amz-target']))) {
          cuts++
          return outgoing.destroy()
        }
        outgoing.writeHead(answer.statusCode!, answer.headers).end(Buffer.concat(chunks))
      })
    })
    incoming.pipe(onward)
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    proxy.closeAllConnections()
    proxy.close()
  })
  return { endpoint: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, cuts: () => cuts }
}
