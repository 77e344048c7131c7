import { expect, it, onTestFinished } from 'vitest'
import { aFolder } from './a-folder.ts'
import { marketplaceAt } from './marketplace.ts'
import { ask, eventually, startTollkeeper, tollkeeper } from './processes.ts'

async function aSeller() {
  const folder = aFolder()
  const server = await startTollkeeper(['dev', '--port', '0', '--simulator-port', '0', '--json'], {
    cwd: folder,
  })
  onTestFinished(() => server.stop())
  const { url, storefront, key } = server.ready as { url: string; storefront: string; key: string }
  const place = { cwd: folder, env: { TOLLKEEPER_AWS_ENDPOINT: storefront } }
  const subscription = (...args: string[]) => tollkeeper(['subscription', ...args], place)
  return {
    url,
    storefront,
    key,
    marketplace: marketplaceAt(storefront),
    audit: () => tollkeeper(['usage', 'audit'], place),
    /** What it prints; it must succeed. */
    async says(...args: string[]): Promise<string> {
      const { code, out, err } = await subscription(...args)
      expect([code, err]).toEqual([0, ''])
      return out
    },
    /** The one line that it fails with. */
    async fails(...args: string[]): Promise<string> {
      const { code, out, err } = await subscription(...args)
      expect([code, out]).toEqual([1, ''])
      expect(err).toMatch(/^tollkeeper: [^\n]+\n$/)
      return err
    },
  }
}

it('asks a buyer on AWS Marketplace for a cancellation, and shows on one page what came of it', async () => {
  const { storefront, marketplace, says, fails } = await aSeller()
  // On a busy machine a start may lag, and whoever registers then is told to come back.
  await eventually('a buyer registers', () =>
    marketplace.subscribe('Blue Harbor').catch((error: Error) => {
      if (!error.message.startsWith('registration: 503')) throw error
    }),
  )
  const { subscriptions } = JSON.parse(await says('list', '--channel', 'aws', '--json'))
  const id: string = subscriptions[0].id
  expect(await says('show', id)).toMatch(
    /: demo, pending\n\nRegistered on .*AWS Marketplace has not said yet that access starts\.\nNext: /,
  )
  await marketplace.advance('2m')
  await eventually('AWS says that access starts', async () => (await says('show', id)).includes(', active\n'))

  expect(await fails('suspend', id)).toContain('AWS Marketplace alone suspends its own buyers')
  expect(await fails('cancel-request', id, '--reason', 'BORED')).toContain('TEST_AGREEMENT')
  const asked = await says('cancel-request', id, '--reason', 'TEST_AGREEMENT', '--description', 'A test')
  const request =
    /^(acr-\w+) is PENDING_APPROVAL: the buyer decides; without an answer AWS approves it on/.exec(asked)?.[1]
  expect(await says('cancel-request', id, '--reason', 'TEST_AGREEMENT')).toContain(request)
  expect(await says('show', id)).toContain(', active\n')

  await ask(`${storefront}/_control/cancellation-requests/${request}/approve`, { body: {} })
  await marketplace.advance('2m')
  const page = await eventually('AWS says that it ended', async () => {
    const shown = await says('show', id)
    return shown.includes(', cancelling\n') && shown
  })
  expect(page).toMatch(
    /Ended on .* UTC \(cancelled\): the buyer has no access\.\nNext: AWS takes its final usage/,
  )
  const history = await says('history', id)
  for (const line of [
    / AWS +Purchase Agreement Ended - Proposer \(CANCELLED\)/,
    / cli:\w+ +subscription\.request_cancellation: request acr-/,
    / AWS +License Updated - Manufacturer/,
    / aws +opened, pending/,
  ])
    expect(history).toMatch(line)
  expect(await fails('cancel-request', id, '--reason', 'OTHER')).toContain(`${id} ended on `)
  expect(await fails('activate', id)).toContain('only one that is pending')
})

it('opens a free subscription whose usage is counted and never sent to AWS, and ends it', async () => {
  const { url, key, marketplace, says, fails, audit } = await aSeller()
  expect(await fails('create', '--channel', 'aws', '--tenant', 'lab')).toContain('only the buyer accepts')
  expect(await fails('create', '--channel', 'free')).toContain('tenantId')
  const { subscription } = JSON.parse(await says('create', '--channel', 'free', '--tenant', 'lab', '--json'))
  const { id } = subscription
  expect(await says('create', '--channel', 'free', '--tenant', 'lab')).toContain(`${id} is there already`)
  expect(await fails('create', '--channel', 'direct', '--tenant', 'lab')).toContain(
    'has another subscription',
  )

  const use = async (correlationId: string) =>
    ask(`${url}/meter`, {
      body: {
        dimension: 'api_requests',
        usageTime: new Date(await marketplace.now()).toISOString(),
        correlationId,
        tenantId: 'lab',
      },
      key,
    })
  expect(await use('one')).toMatchObject({ status: 'accepted' })
  expect(await says('suspend', id)).toBe(`${id} is suspended.\n`)
  expect(await says('show', id)).toContain('Suspended by you: the buyer has no access.')
  expect(await says('resume', id)).toBe(`${id} is active.\n`)
  expect(await use('two')).toMatchObject({ status: 'accepted' })
  expect(await says('end', id)).toContain(`${id} is cancelling; its final usage is counted until`)
  await expect(use('three')).rejects.toThrow(/410/)

  await marketplace.advance('2h')
  const usage = () =>
    ask<{ dimensions: Record<string, { quantity?: string }>[] }>(
      `${url}/marketplace/subscriptions/${id}/usage`,
      { key },
    )
  const { dimensions } = await eventually('all of it is closed', async () => {
    const read = await usage()
    return read.dimensions[0]?.waiting === undefined && read
  })
  expect(dimensions).toMatchObject([
    {
      dimension: 'api_requests',
      measured: { quantity: '3' },
      included: { quantity: '2' },
      unbillable: { quantity: '1' },
    },
  ])
  expect(await marketplace.ledger()).toEqual([])
  await eventually('it is over', async () => (await says('show', id)).includes(', cancelled\n'))
  expect(await says('list', '--channel', 'free', '--status', 'cancelled')).toContain(id)
  expect(await fails('change', id, '--tenant', 'other')).toContain(`${id} ended on `)
  expect((await audit()).code).toBe(0)
})
