import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { aFolder } from './a-folder.ts'
import { ask, eventually, ROOT, startTollkeeper, tollkeeper } from './processes.ts'

it('changes plans from the command line, which a server that runs follows within seconds, and reads the examples', async () => {
  const folder = aFolder()
  const example = join(ROOT, 'examples/plans/tiered-api.yaml')
  writeFileSync(join(folder, 'tollkeeper.yaml'), `${readFileSync(example, 'utf8')}\nserver: { port: 0 }\n`)
  const server = await startTollkeeper(['dev', '--port', '0', '--simulator-port', '0', '--json'], {
    cwd: folder,
  })
  onTestFinished(() => server.stop())
  const { url, storefront, key } = server.ready as { url: string; storefront: string; key: string }
  const place = { cwd: folder, env: { TOLLKEEPER_AWS_ENDPOINT: storefront } }
  const says = async (...args: string[]) => {
    const { code, out, err } = await tollkeeper(args, place)
    expect([code, err]).toEqual([0, ''])
    return out
  }
  const fails = async (...args: string[]) => {
    const { code, out, err } = await tollkeeper(args, place)
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(/^tollkeeper: [^\n]+\n$/)
    return err
  }
  const plansThere = () => ask<{ items: { id: string }[] }>(`${url}/products/tiered-api/plans`, { key })

  expect(await says('product', 'list')).toMatch(/tiered-api +Tiered API +\S+ +usage +1 +4 +config/)
  expect(await says('product', 'show', 'tiered-api')).toMatch(/anonymous .* 10 api_calls\/lifetime +15 days/)
  expect(JSON.parse(await says('plan', 'history', 'tiered-api', 'pro', '--json')).versions).toMatchObject([
    { version: 1, from: 0, origin: 'config', body: { limits: [{ quantity: 600 }, { quantity: 10_000 }] } },
  ])
  expect((await plansThere()).items).toHaveLength(4)

  writeFileSync(join(folder, 'team.yaml'), 'title: Team\nlimits: [{ dimension: api_calls, quantity: 500 }]\n')
  const set = ['plan', 'set', 'tiered-api', 'team', '--file', 'team.yaml']
  expect(await says(...set)).toMatch(/^Version 1 of plan team holds from \S+Z on\.\n$/)
  await eventually('the server knows it', async () =>
    (await plansThere()).items.some(({ id }) => id === 'team') ? true : undefined,
  )
  expect(await says('plan', 'list', 'tiered-api')).toMatch(/team +Team +paid +500 api_calls\/month/)
  expect(await says('plan', 'retire', 'tiered-api', 'team')).toBe(
    'Retired plan team: nobody gets it any more.\n',
  )
  expect(await says('plan', 'history', 'tiered-api', 'team')).toMatch(/\n +2 .* retired\n$/)

  expect(await fails('product', 'show', 'nothing')).toContain('there are tiered-api')
  expect(await fails('plan', 'retire', 'tiered-api', 'pro')).toContain('is declared in ')
  expect(await fails('plan', 'history', 'tiered-api', 'nothing')).toContain('nothing is written down')
  expect(await fails('plan', 'set', 'tiered-api', 'x', '--file', 'missing.yaml')).toContain('ENOENT')
  writeFileSync(join(folder, 'bad.yaml'), 'limits: [{ dimension: api_calls, quantity: many }]\n')
  expect(await fails('plan', 'set', 'tiered-api', 'x', '--file', 'bad.yaml')).toContain(
    'limits[0].quantity must be a whole number of at most 15 digits, or `unlimited`',
  )
  expect(await fails(...set, '--from', '2020-01-01T00:00:00Z')).toContain('from must not be before now')
})
