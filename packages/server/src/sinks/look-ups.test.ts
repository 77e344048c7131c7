import type { LookupAddress } from 'node:dns'
import { expect, it } from 'vitest'
import { resolveAllowed } from './allowed-addresses.ts'
import { createLookUps } from './look-ups.ts'

const ADDRESS = [{ address: '93.184.215.14', family: 4 }]

/** A resolver that answers when it is told. */
function aResolver() {
  const pending = new Map<string, PromiseWithResolvers<readonly LookupAddress[]>>()
  const asked: string[] = []
  const lookUp = createLookUps((hostname) => {
    asked.push(hostname)
    const answer = Promise.withResolvers<readonly LookupAddress[]>()
    pending.set(hostname, answer)
    return answer.promise
  })
  /** Waits its patience out where it is told to. */
  const ask = (hostname: string) => {
    const patience = new AbortController()
    const found = lookUp(hostname, patience.signal)
    const outcome = found.then(
      () => 'found',
      ({ message }: Error) => message,
    )
    return { outcome, found, giveUp: () => patience.abort(new Error('given up')) }
  }
  const answer = async (hostname: string) => {
    pending.get(hostname)!.resolve(ADDRESS)
    await settled()
  }
  return { asked, ask, answer, pending, lookUp }
}

/** Whatever needs no more than promises has happened. */
const settled = () => new Promise<void>((done) => void setImmediate(done))

it('asks for two names at once, and for others when their turn comes', async () => {
  const { asked, ask, answer } = aResolver()
  const [a, , c] = ['a', 'b', 'c', 'd'].map(ask)
  expect(asked).toEqual(['a', 'b'])
  await answer('a')
  expect(await a!.found).toEqual(ADDRESS)
  expect(asked).toEqual(['a', 'b', 'c'])
  await answer('c')
  expect(await c!.outcome).toBe('found')
  expect(asked).toEqual(['a', 'b', 'c', 'd'])
})

it('does not begin what nobody waits for any more', async () => {
  const { asked, ask, answer } = aResolver()
  const [, , c, d] = ['a', 'b', 'c', 'd'].map(ask)
  c!.giveUp()
  expect(await c!.outcome).toBe('given up')
  await answer('a')
  await answer('d')
  expect(await d!.outcome).toBe('found')
  expect(asked).toEqual(['a', 'b', 'd'])
})

it('asks for a name once while its look-up is pending, and anew afterwards', async () => {
  const { asked, ask, answer } = aResolver()
  const [first, second] = [ask('a'), ask('a')]
  first.giveUp()
  expect(await first.outcome).toBe('given up')
  await answer('a')
  expect(await second.outcome).toBe('found')
  expect(asked).toEqual(['a'])
  ask('a')
  expect(asked).toEqual(['a', 'a'])
})

it('lets names that never answer hold up one another, and no other', async () => {
  const { asked, ask, answer } = aResolver()
  for (const name of ['dead', 'gone']) {
    const one = ask(name)
    one.giveUp()
    await one.outcome
  }
  // The resolver gave up as well.
  await answer('dead')
  await answer('gone')
  asked.splice(0)
  for (const name of ['dead', 'gone', 'alive']) ask(name)
  expect(asked).toEqual(['dead', 'alive'])
  await answer('alive')
  ask('alive')
  expect(asked).toEqual(['dead', 'alive', 'alive'])
  // One that answers somebody is like any other again.
  await answer('dead')
  expect(asked.at(-1)).toBe('gone')
  ask('dead')
  await answer('alive')
  expect(asked.at(-1)).toBe('dead')
})

it('hands on what the resolver says is wrong', async () => {
  const { ask, pending } = aResolver()
  const { outcome } = ask('a')
  pending.get('a')!.reject(new Error('ENOTFOUND'))
  expect(await outcome).toBe('ENOTFOUND')
})

it('begins nothing for who has given up before', async () => {
  const { asked, lookUp } = aResolver()
  const stopped = AbortSignal.abort(new Error('stopped'))
  const looking = resolveAllowed(
    new URL('https://api.example.com'),
    { policy: 'public', resolve: lookUp },
    stopped,
  )
  await expect(looking).rejects.toThrow('stopped')
  expect(asked).toEqual([])
  await settled()
})
