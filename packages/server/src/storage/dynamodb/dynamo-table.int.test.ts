import { expect, it } from 'vitest'
import { aDynamoPlace, aDynamoTable, describeOnDynamo } from './dynamodb.fixture.ts'
import { AdditionRefused, type Item, type Key, type Table } from './table.ts'

const at = (sk: string, pk = 'p'): Key => ({ pk, sk })
const increment = (table: Table, key: Key) =>
  table.transaction(async (tx) => {
    const item = await tx.get(key)
    tx.put({ ...key, n: ((item?.n as bigint | undefined) ?? 0n) + 1n })
  })

describeOnDynamo('a table on DynamoDB', () => {
  it('gives back what was put, and leaves out what is undefined or an empty set', async () => {
    const table = await aDynamoTable()
    const item = {
      ...at('1'),
      text: 'ä',
      empty: '',
      big: 123456789012345678901234567890n,
      small: -3,
      yes: true,
      bytes: new Uint8Array([1, 2]),
      names: new Set(['b', 'a']),
      parts: ['x', 1n, { deep: false }],
      nothing: undefined,
      none: new Set<string>(),
    }
    await table.transaction(async (tx) => tx.put(item))
    const { nothing, none, ...kept } = item
    expect(await table.get(at('1'))).toEqual({ ...kept, small: -3n })
    expect(await table.getMany([at('2'), at('1'), at('1')])).toMatchObject([
      undefined,
      { yes: true },
      { yes: true },
    ])
  })

  it('lets every one of many who change an item at once see the change before', async () => {
    const table = await aDynamoTable()
    await Promise.all(Array.from({ length: 8 }, () => increment(table, at('1'))))
    expect(await table.get(at('1'))).toMatchObject({ n: 8n })
  })

  it('runs a step again when something that it only read was changed', async () => {
    const table = await aDynamoTable()
    await increment(table, at('read'))
    let runs = 0
    await table.transaction(async (tx) => {
      const read = await tx.get(at('read'))
      if (runs++ === 0) await increment(table, at('read'))
      tx.put({ ...at('written'), copy: read?.n })
    })
    expect(runs).toBe(2)
    expect(await table.get(at('written'))).toMatchObject({ copy: 2n })
  })

  it('runs a step again when something that it found missing was made meanwhile', async () => {
    const table = await aDynamoTable()
    let runs = 0
    await table.transaction(async (tx) => {
      const read = await tx.get(at('read'))
      if (runs++ === 0) await increment(table, at('read'))
      tx.put({ ...at('written'), was: read !== undefined })
    })
    expect(await table.get(at('written'))).toMatchObject({ was: true })
  })

  it('believes no error of a step that read what was changed meanwhile', async () => {
    const table = await aDynamoTable()
    let runs = 0
    const step = table.transaction(async (tx) => {
      const read = await tx.get(at('read'))
      if (runs++ === 0) await increment(table, at('read'))
      if (read === undefined) throw new Error('it is not there')
      return read.n
    })
    expect(await step).toBe(1n)
  })

  it('lets many add at once without one of them running again', async () => {
    const table = await aDynamoTable()
    let runs = 0
    const add = () =>
      table.transaction(async (tx) => {
        runs++
        tx.add(at('sum'), { amounts: { n: 2, m: -1 }, initial: { status: 'open' } })
      })
    await Promise.all(Array.from({ length: 20 }, add))
    expect(await table.get(at('sum'))).toMatchObject({ n: 40n, m: -20n, status: 'open' })
    expect(runs).toBe(20)
  })

  it('sets attributes of an item that grows all the time, in a small step and in a large one', async () => {
    const place = await aDynamoPlace()
    const other = await aDynamoTable({ place })
    const grow = () =>
      other.transaction(async (tx) =>
        tx.add(at('sum'), { amounts: { n: 1 }, initial: { status: 'open', kept: 'old' } }),
      )
    await grow()
    let grown = 1
    const table = await aDynamoTable({
      place,
      patienceMs: 2_000,
      through: (requests) => ({
        async send(name, input) {
          // Just before each transaction, and before the locks of a journal.
          const isNoted = name === 'PutItem' && JSON.stringify(input).includes('prepared')
          if (name === 'TransactWriteItems' || isNoted) {
            await grow()
            grown++
          }
          return requests.send(name, input)
        },
      }),
    })
    for (const [large, epoch] of [
      [false, 7],
      [true, 8],
    ] as const) {
      await table.transaction(async (tx) => {
        expect(await tx.peek(at('sum'))).toMatchObject({ status: 'open' })
        const initial = { status: 'new', fresh: epoch }
        tx.add(at('sum'), { amounts: {}, set: { status: `at ${epoch}` }, mayCreate: false })
        tx.add(at('sum'), { amounts: { m: 1 }, initial, set: { epoch } })
        expect(await tx.peek(at('sum'))).toMatchObject({ status: `at ${epoch}`, epoch })
        tx.put({ ...at(`beside ${epoch}`) })
        if (large) for (let n = 0; n < 12; n++) tx.put({ ...at(`${n}`) })
      })
      const item = { status: `at ${epoch}`, epoch: BigInt(epoch), fresh: 7n, kept: 'old', n: BigInt(grown) }
      expect(await table.get(at('sum'))).toMatchObject(item)
      await table.transaction(async (tx) => tx.add(at('sum'), { amounts: {}, set: { status: 'open' } }))
    }
    expect(await table.get(at('sum'))).toMatchObject({ m: 2n, n: BigInt(grown) })
    const missing = table.transaction(async (tx) =>
      tx.add(at('none'), { amounts: {}, set: { epoch: 1 }, mayCreate: false }),
    )
    await expect(missing).rejects.toBeInstanceOf(AdditionRefused)
  })

  it('refuses an addition for what it names, with the item as it is, and writes nothing of its step', async () => {
    const table = await aDynamoTable()
    await table.transaction(async (tx) => tx.put({ ...at('sum'), status: 'closed', epoch: 5 }))
    const refusals = [
      { attribute: 'status', isNot: 'open' },
      { attribute: 'epoch', isAbove: 4 },
      { attribute: 'epoch', isPresent: true as const },
    ]
    for (const refusal of refusals) {
      const step = table.transaction(async (tx) => {
        tx.add(at('sum'), { amounts: { n: 1 }, refuseIf: [refusal] })
        tx.put({ ...at('beside') })
      })
      await expect(step).rejects.toMatchObject({ key: at('sum'), item: { status: 'closed' } })
      await expect(step).rejects.toBeInstanceOf(AdditionRefused)
    }
    expect(await table.get(at('beside'))).toBeUndefined()
    const allowed = [
      { attribute: 'status', isNot: 'closed' },
      { attribute: 'epoch', isAbove: 5 },
      { attribute: 'other', isPresent: true as const },
      { attribute: 'other', isNot: 'x' },
    ]
    await table.transaction(async (tx) => tx.add(at('sum'), { amounts: { n: 1 }, refuseIf: allowed }))
    expect(await table.get(at('sum'))).toMatchObject({ n: 1n })
  })

  it('makes no item by an addition that may not create one, nor where a check asks for one', async () => {
    const table = await aDynamoTable()
    const add = table.transaction(async (tx) => tx.add(at('none'), { amounts: { n: 1 }, mayCreate: false }))
    await expect(add).rejects.toMatchObject({ key: at('none'), item: undefined })
    const check = table.transaction(async (tx) => {
      tx.check(at('none'), [])
      tx.put({ ...at('beside') })
    })
    await expect(check).rejects.toBeInstanceOf(AdditionRefused)
    expect(await table.getMany([at('none'), at('beside')])).toEqual([undefined, undefined])
  })

  it('shows a step what it has written itself', async () => {
    const table = await aDynamoTable()
    await table.transaction(async (tx) => {
      for (const sk of ['a', 'b', 'c']) tx.put({ ...at(sk), n: 1 })
    })
    await table.transaction(async (tx) => {
      tx.put({ ...at('bb'), n: 2 })
      tx.add(at('a'), { amounts: { n: 4 } })
      expect(await tx.get(at('c'))).toMatchObject({ n: 1n })
      tx.delete(at('c'))
      expect(await tx.get(at('c'))).toBeUndefined()
      expect((await tx.query({ pk: 'p' })).map(({ sk, n }) => [sk, Number(n)])).toEqual([
        ['a', 5],
        ['b', 1],
        ['bb', 2],
      ])
      expect((await tx.query({ pk: 'p', limit: 2, reverse: true })).map(({ sk }) => sk)).toEqual(['bb', 'b'])
      expect((await tx.query({ pk: 'p', prefix: 'b' })).map(({ sk }) => sk)).toEqual(['b', 'bb'])
      expect((await tx.query({ pk: 'p', from: 'aa', to: 'b' })).map(({ sk }) => sk)).toEqual(['b'])
      expect(await tx.query({ pk: 'p', from: 'z', to: 'a' })).toEqual([])
    })
    expect((await table.query({ pk: 'p' })).map(({ sk }) => sk)).toEqual(['a', 'b', 'bb'])
  })

  it('follows all pages of a range, and all items of a large read', async () => {
    const table = await aDynamoTable({ transactionItems: 5 })
    const keys = Array.from({ length: 30 }, (_, n) => at(String(n).padStart(3, '0')))
    for (const key of keys)
      await table.transaction(async (tx) => tx.put({ ...key, text: 'x'.repeat(90_000) }))
    expect(await table.query({ pk: 'p' })).toHaveLength(30)
    expect(await table.query({ pk: 'p', limit: 25 })).toHaveLength(25)
    let pages = 0
    for await (const page of table.pages({ pk: 'p' })) if (page.length > 0) pages++
    expect(pages).toBeGreaterThan(1)
    const many = Array.from({ length: 250 }, (_, n) => at(String(n).padStart(3, '0')))
    expect((await table.getMany(many)).filter((item) => item !== undefined)).toHaveLength(30)
  })

  it('finds whole items by an index, in its order', async () => {
    const table = await aDynamoTable()
    const listed = (sk: string, sort: string): Item => ({
      ...at(sk),
      list: 'L',
      listed: sort,
      more: `of ${sk}`,
    })
    await table.transaction(async (tx) => {
      for (const [sk, sort] of ['xc', 'yb', 'za'].map((pair) => [...pair] as [string, string]))
        tx.put(listed(sk, sort))
    })
    const found = await table.queryIndex('ListIndex', { pk: 'L', limit: 2 })
    expect(found.map(({ more }) => more)).toEqual(['of z', 'of y'])
    const entries = []
    for await (const page of table.entries('ListIndex', { pk: 'L', reverse: true })) entries.push(...page)
    expect(entries).toEqual([
      { ...at('x'), sort: 'c' },
      { ...at('y'), sort: 'b' },
      { ...at('z'), sort: 'a' },
    ])
  })

  it('takes a step that no transaction holds whole', async () => {
    const table = await aDynamoTable()
    await increment(table, at('gone'))
    await table.transaction(async (tx) => {
      await tx.get(at('gone'))
      tx.delete(at('gone'))
      tx.add(at('sum'), { amounts: { n: 3 }, initial: { status: 'open' } })
      await tx.get(at('checked'))
      for (let n = 0; n < 20; n++) tx.put({ ...at(String(n)), n, text: 'x'.repeat(60_000) })
    })
    expect(await table.getMany([at('gone'), at('checked'), at('sum')])).toMatchObject([
      undefined,
      undefined,
      { n: 3n, status: 'open' },
    ])
    expect(await table.getMany(Array.from({ length: 20 }, (_, n) => at(String(n))))).toMatchObject(
      Array.from({ length: 20 }, (_, n) => ({ n: BigInt(n) })),
    )
    expect(await table.query({ pk: 'JOURNAL' })).toEqual([])
  })

  it('keeps counts exact where large and small steps meet', async () => {
    const table = await aDynamoTable()
    const keys = Array.from({ length: 12 }, (_, n) => at(String(n)))
    const large = () =>
      table.transaction(async (tx) => {
        const items = await tx.getMany(keys)
        for (const [n, key] of keys.entries()) tx.put({ ...key, n: ((items[n]?.n as bigint) ?? 0n) + 1n })
        tx.add(at('sum'), { amounts: { n: 1 } })
      })
    const small = () => table.transaction(async (tx) => tx.add(at('sum'), { amounts: { n: 1 } }))
    await Promise.all([large(), small(), large(), increment(table, keys[0]!), small(), large()])
    expect((await table.getMany(keys)).map((item) => item?.n)).toEqual([4n, ...Array(11).fill(3n)])
    expect(await table.get(at('sum'))).toMatchObject({ n: 5n })
  })
})
