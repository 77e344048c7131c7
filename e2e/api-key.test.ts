import { expect, it, onTestFinished } from 'vitest'
import { aFolder } from './a-folder.ts'
import { ask, eventually, startTollkeeper, tollkeeper } from './processes.ts'

it('makes, lists, rotates and revokes keys of users from the command line, also beside a running server', async () => {
  const folder = aFolder()
  const server = await startTollkeeper(['dev', '--port', '0', '--simulator-port', '0', '--json'], {
    cwd: folder,
  })
  onTestFinished(() => server.stop())
  const { url, storefront, key: service } = server.ready as { url: string; storefront: string; key: string }
  const place = { cwd: folder, env: { TOLLKEEPER_AWS_ENDPOINT: storefront } }
  const says = async (...args: string[]) => {
    const { code, out, err } = await tollkeeper(['api-key', ...args], place)
    expect([code, err]).toEqual([0, ''])
    return out
  }
  const fails = async (...args: string[]) => {
    const { code, out, err } = await tollkeeper(['api-key', ...args], place)
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(/^tollkeeper: [^\n]+\n$/)
    return err
  }
  // On a busy machine a start may lag.
  const opened = await eventually('a workspace is opened', () =>
    ask<{ buyer: string }>(`${url}/marketplace/subscriptions`, {
      key: service,
      body: { channel: 'free', tenantId: 'blue-harbor' },
    }).catch((error: Error) => {
      if (!error.message.includes('503')) throw error
      return undefined
    }),
  )

  const made = await says('create', '--tenant', 'blue-harbor', '--user', 'u-1', '--scope', 'read', 'write')
  const [secret, , words] = made.split('\n')
  expect(secret).toMatch(/^tka_/)
  expect(words).toMatch(/^Key apk_\S+ of buy_\S+ \(demo; read, write\)\. Keep the secret/)
  const { keys } = JSON.parse(await says('list', '--user', 'u-1', '--json'))
  expect(keys).toMatchObject([{ buyer: opened.buyer, scopes: ['read', 'write'], state: 'active' }])
  const { id } = keys[0]
  const rotated = JSON.parse(await says('rotate', id, '--overlap', '0', '--expires', '90d', '--json'))
  expect(rotated).toMatchObject({ state: 'active', replaces: { id, state: 'expired' } })
  expect(await fails('rotate', id)).toContain(`was replaced by ${rotated.id}: rotate that one`)
  expect(await says('revoke', rotated.id)).toBe(`Revoked ${rotated.id}.\n`)
  const list = await says('list')
  expect(list).toMatch(new RegExp(`${rotated.id} .* revoked `))
  for (const hidden of [secret!, rotated.key]) expect(list).not.toContain(hidden)
  expect(await ask(`${url}/keys/${rotated.id}`, { key: service })).toMatchObject({ state: 'revoked' })

  expect(await fails('create', '--user', 'u-1')).toContain('say whose it is')
  expect(await fails('create', '--tenant', 'nobody')).toContain('no such buyer')
  expect(await fails('create', '--buyer', opened.buyer, '--scope', 'No')).toContain('"No" is none')
  expect(await fails('create', '--buyer', opened.buyer, '--expires', 'soon')).toContain(
    '--expires soon is no time',
  )
  expect(await fails('list', '--product', 'nothing')).toContain('there are demo')
  expect(await fails('revoke', 'apk_none')).toContain('no key apk_none')
})
