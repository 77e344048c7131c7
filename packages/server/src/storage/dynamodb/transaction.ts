import assert from 'node:assert'
import { added, type Change, type Found, type Increase, isRefused, type Planned } from './changes.ts'
import {
  type Addition,
  AdditionRefused,
  type IndexName,
  type Item,
  type Key,
  type Range,
  type Refusal,
  type Table,
  type Transaction,
} from './table.ts'

/** Reads of the table as it is now, with the versions. */
export interface VersionedReader {
  getMany(keys: readonly Key[]): Promise<readonly Found[]>
  getSettled(keys: readonly Key[]): Promise<readonly Found[]>
  query(range: Range): Promise<readonly (Found & { readonly item: Item })[]>
  queryIndex(index: IndexName, range: Range): Promise<readonly (Found & { readonly item: Item })[]>
}

/** A transaction, and what its step came to. */
export interface Step extends Transaction {
  /** One for each item that the commit writes or checks. */
  plan(): readonly Planned[]
  /** Is all that it read by `get` still so? */
  isCurrent(): Promise<boolean>
  /** What is to be done once it is committed. */
  works(): readonly ((table: Table) => Promise<unknown>)[]
}

/** What one run of a step has read and wants to write, item by item. */
export function createStep(reader: VersionedReader, shards: number): Step {
  const seen = new Map<string, Found>()
  const checked = new Map<string, Key>()
  const works: ((table: Table) => Promise<unknown>)[] = []
  const changes = new Map<string, { readonly key: Key; readonly change: Change }>()
  const refusals = new Map<string, { readonly key: Key; readonly refuseIf: Refusal[]; mustExist: boolean }>()

  /** The first reading counts: a step sees each item in one version only. */
  function see(key: Key, found: Found): Found {
    const id = idOf(key)
    const known = seen.get(id)
    if (known !== undefined) return known
    seen.set(id, found)
    return found
  }

  async function read(keys: readonly Key[], get = reader.getMany): Promise<(Item | undefined)[]> {
    const unseen = keys.filter((key) => !seen.has(idOf(key)) && !isWritten(key))
    const found = await get(unseen)
    for (const [index, key] of unseen.entries()) see(key, found[index]!)
    return keys.map((key) => view(key))
  }

  /** Is what it will be known without reading it? */
  function isWritten(key: Key): boolean {
    const kind = changes.get(idOf(key))?.change.kind
    return kind === 'put' || kind === 'delete'
  }

  function view(key: Key): Item | undefined {
    const id = idOf(key)
    const change = changes.get(id)?.change
    if (change?.kind === 'put') return change.item
    if (change?.kind === 'delete') return undefined
    const item = seen.get(id)?.item
    return change?.kind === 'add' ? added(key, item, change.addition) : item
  }

  function check(key: Key): void {
    checked.set(idOf(key), key)
  }

  function refuse(key: Key, refuseIf: readonly Refusal[], mustExist: boolean): void {
    if (refuseIf.length === 0 && !mustExist) return
    if (isWritten(key)) {
      const item = view(key)
      if (isRefused({ refuseIf, mustExist }, item)) throw new AdditionRefused(key, item)
      return
    }
    const known = refusals.get(idOf(key)) ?? { key, refuseIf: [], mustExist: false }
    known.refuseIf.push(...refuseIf)
    known.mustExist ||= mustExist
    refusals.set(idOf(key), known)
  }

  function change(key: Key, change: Change): void {
    changes.set(idOf(key), { key: { pk: key.pk, sk: key.sk }, change })
  }

  return {
    async get(key) {
      const [item] = await read([key])
      check(key)
      return item
    },
    async getMany(keys) {
      const items = await read(keys)
      for (const key of keys) check(key)
      return items
    },
    shards,
    peek: async (key) => (await read([key]))[0],
    peekSettled: (keys) => read(keys, reader.getSettled),
    async query(range) {
      const own = [...changes.values()].filter(({ key }) => key.pk === range.pk && isWithin(key.sk, range))
      const limit = range.limit === undefined ? undefined : range.limit + own.length
      const items = new Map<string, Item>()
      for (const found of await reader.query({ ...range, limit })) {
        const { item } = see(found.item, found)
        if (item !== undefined) items.set(item.sk, item)
      }
      for (const { key } of own) {
        const item = view(key)
        if (item === undefined) items.delete(key.sk)
        else items.set(key.sk, item)
      }
      const sorted = [...items.values()].sort((a, b) => compareKeys(a.sk, b.sk))
      if (range.reverse === true) sorted.reverse()
      return sorted.slice(0, range.limit)
    },
    async queryIndex(index, range) {
      const found = await reader.queryIndex(index, range)
      for (const one of found) see(one.item, one)
      return found.map(({ item }) => item)
    },
    guard: check,
    check: (key, refuseIf) => refuse(key, refuseIf, true),
    put(item) {
      const id = idOf(item)
      assert(
        changes.get(id)?.change.kind !== 'add' || seen.has(id),
        `${item.pk} / ${item.sk} is put where the same step added to it unread`,
      )
      change(item, { kind: 'put', item })
    },
    delete: (key) => change(key, { kind: 'delete' }),
    add(key, addition) {
      refuse(key, addition.refuseIf ?? [], addition.mayCreate === false)
      const before = changes.get(idOf(key))?.change
      if (before?.kind === 'put' || before?.kind === 'delete') {
        change(key, { kind: 'put', item: added(key, view(key), addition) })
      } else {
        change(key, { kind: 'add', addition: together(before, addition) })
      }
    },
    afterwards: (work) => void works.push(work),
    works: () => works,
    plan: () => planOf(seen, checked, changes, refusals),
    async isCurrent() {
      const keys = [...checked.entries()].filter(([id]) => seen.has(id))
      const now = await reader.getMany(keys.map(([, key]) => key))
      return keys.every(
        ([id], index) => JSON.stringify(seen.get(id)?.expected) === JSON.stringify(now[index]?.expected),
      )
    },
  }
}

function planOf(
  seen: ReadonlyMap<string, Found>,
  checked: ReadonlyMap<string, Key>,
  changes: ReadonlyMap<string, { readonly key: Key; readonly change: Change }>,
  refusals: ReadonlyMap<
    string,
    { readonly key: Key; readonly refuseIf: Refusal[]; readonly mustExist: boolean }
  >,
): Planned[] {
  const planned: Planned[] = []
  if (changes.size === 0) return planned
  for (const id of new Set([...changes.keys(), ...checked.keys(), ...refusals.keys()])) {
    const change = changes.get(id)?.change ?? { kind: 'check' as const }
    const { refuseIf, mustExist } = refusals.get(id) ?? { refuseIf: [], mustExist: false }
    const found = seen.get(id)?.expected
    // What was neither read nor checked may be anything for an addition and a deletion, and must be missing for a put.
    const expected =
      checked.has(id) || change.kind === 'put'
        ? (found ?? 'missing')
        : change.kind === 'delete'
          ? found
          : undefined
    const key = changes.get(id)?.key ?? checked.get(id) ?? refusals.get(id)!.key
    planned.push({ key, expected, refuseIf, mustExist, change })
  }
  return planned
}

function together(before: Change | undefined, { amounts, initial, set }: Addition): Increase {
  if (before?.kind !== 'add') return { amounts, initial, set }
  const sums: Record<string, bigint | number> = { ...before.addition.amounts }
  for (const [name, amount] of Object.entries(amounts)) sums[name] = BigInt(sums[name] ?? 0) + BigInt(amount)
  return {
    amounts: sums,
    initial: { ...initial, ...before.addition.initial },
    set: { ...before.addition.set, ...set },
  }
}

export function isWithin(sk: string, { prefix, from, to }: Omit<Range, 'pk'>): boolean {
  return (
    (prefix === undefined || sk.startsWith(prefix)) &&
    (from === undefined || compareKeys(sk, from) >= 0) &&
    (to === undefined || compareKeys(sk, to) <= 0)
  )
}

/** As DynamoDB orders text: by its bytes in UTF-8. */
function compareKeys(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

/** A key as one text. Sort keys have no such character. */
export function idOf({ pk, sk }: Key): string {
  return `${pk}\u0000${sk}`
}
