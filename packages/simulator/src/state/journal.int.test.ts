import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createVirtualClock } from '../clock/virtual-clock.ts'
import { createSimulator, type Simulator } from '../simulator.ts'
import { aProduct, aRecord, meter, statuses, utc } from '../test-values.ts'

let folder: string
let file: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'simulator-'))
  file = join(folder, 'state.jsonl')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function open(clock = createVirtualClock({ start: utc('12:30'), running: false })): Promise<Simulator> {
  return createSimulator({
    clock,
    stateFile: file,
    products: [aProduct()],
    settings: { licenseDelayMs: 0, throttling: false },
  })
}

describe('state in a file', () => {
  it('is all there after a restart: records, tokens, settings, clock', async () => {
    const first = await open()
    const subscription = first.marketplace.subscribe({ productCode: 'prodcode1', startAt: utc('00:00') })
    first.marketplace.updateSettings({ identicalResend: 'duplicateRecord' })
    const split = [{ AllocatedUsageQuantity: 5, Tags: [{ Key: 'team', Value: 'a' }] }]
    await meter(first, [aRecord(subscription, { UsageAllocations: split })])
    first.marketplace.cancel(subscription.id)
    first.clock.advance(60_000)
    const before = [
      first.marketplace.ledger().records,
      first.marketplace.listSubscriptions(),
      first.marketplace.bill(),
    ]
    await first.close()

    const second = await createSimulator({ stateFile: file })
    const { marketplace } = second
    expect([marketplace.ledger().records, marketplace.listSubscriptions(), marketplace.bill()]).toEqual(
      before,
    )
    expect([second.clock.now(), second.clock.running]).toEqual([utc('12:31'), false])
    expect(marketplace.listProducts()).toHaveLength(1)
    expect(await statuses(second, [aRecord(subscription, { UsageAllocations: split })])).toEqual([
      'DuplicateRecord',
    ])
    const next = marketplace.subscribe({ productCode: 'prodcode1' })
    expect(next.licenseArn).not.toBe(subscription.licenseArn)
    await second.close()
  })

  it('drops a last line that was cut off, and goes on behind the whole ones', async () => {
    const first = await open()
    const subscription = first.marketplace.subscribe({ productCode: 'prodcode1', startAt: utc('00:00') })
    await meter(first, [aRecord(subscription)])
    await first.close()
    appendFileSync(file, '{"kind":"usage","region":"us-ea')
    const second = await open()
    expect(second.marketplace.recordCount).toBe(1)
    await meter(second, [aRecord(subscription, { Dimension: 'users' })])
    await second.close()
    const third = await open()
    expect(third.marketplace.recordCount).toBe(2)
    await third.close()
  })

  it.each([
    ['not json\n', 'line 1: it is no JSON'],
    ['something else entirely', 'not a state file'],
    ['{"format":"other"}\n', 'not a state file'],
    ['{"format":"tollkeeper-simulator","version":9,"seed":1}\n', 'it has version 9'],
    [
      '{"format":"tollkeeper-simulator","version":1,"seed":1}\n{"kind":"magic"}\n',
      'line 2: its kind is unknown',
    ],
    ['{"format":"tollkeeper-simulator","version":1,"seed":1}\n{"kind":"usage"}\n', 'line 2'],
  ])('refuses a damaged file (%j) in one line, and leaves it as it is', async (content, message) => {
    writeFileSync(file, content)
    const attempt = open()
    await expect(attempt).rejects.toThrow(message)
    await expect(attempt).rejects.not.toThrow('\n')
    expect(readFileSync(file, 'utf8')).toBe(content)
  })

  it('takes nothing that it cannot write down', async () => {
    const simulator = await open()
    const subscription = simulator.marketplace.subscribe({ productCode: 'prodcode1', startAt: utc('00:00') })
    await simulator.close()
    expect(await meter(simulator, [aRecord(subscription)])).toMatchObject({
      status: 500,
      body: { __type: 'InternalServiceErrorException' },
    })
    expect(simulator.marketplace.recordCount).toBe(0)
    const again = await open()
    expect(again.marketplace.recordCount).toBe(0)
    await again.close()
  })

  it('refuses a file in use, or in a folder that is not there', async () => {
    const first = await open()
    await expect(open()).rejects.toThrow('is in use by process')
    await first.close()
    await expect(createSimulator({ stateFile: join(folder, 'no/where.jsonl') })).rejects.toThrow(
      'cannot be used',
    )
  })

  it('holds each record that was answered Success before a kill -9', async () => {
    const bin = join(import.meta.dirname, '../../bin/tollkeeper-simulator.js')
    const child = spawn(process.execPath, [bin, 'start', '--port', '0', '--state', file, '--json'], {
      stdio: 'pipe',
    })
    const exited = once(child, 'exit')
    const [line] = await new Promise<string[]>((resolve) => {
      createInterface({ input: child.stdout }).once('line', (text) => resolve([text]))
    })
    const { url } = JSON.parse(line ?? '{}')
    const post = async (path: string, body: object) =>
      (
        await fetch(`${url}${path}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        })
      ).json()
    await fetch(`${url}/_control/settings`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ licenseDelayMs: 0, throttling: false, futureTimestamps: 'accept' }),
    })
    const { licenseArn, accountId } = (await post('/_control/subscriptions', {
      productCode: 'demoapi0usage0license0001',
    })) as { licenseArn: string; accountId: string }
    const { epochMs } = (await (await fetch(`${url}/_control/clock`)).json()) as { epochMs: number }

    let succeeded = 0
    const send = async (from: number) => {
      for (let hour = from; ; hour += 4) {
        const Timestamp = Math.ceil(epochMs / 1000) + hour * 3600
        const response = await fetch(url, {
          method: 'POST',
          headers: signedHeaders('AWSMPMeteringService.BatchMeterUsage'),
          body: JSON.stringify({
            UsageRecords: [
              {
                Timestamp,
                LicenseArn: licenseArn,
                CustomerAWSAccountId: accountId,
                Dimension: 'users',
                Quantity: 1,
              },
            ],
          }),
        })
        const { Results } = (await response.json()) as { Results: { Status: string }[] }
        if (Results[0]?.Status === 'Success') succeeded++
        if (succeeded === 200) child.kill('SIGKILL')
      }
    }
    await Promise.allSettled([0, 1, 2, 3].map(send))
    await exited
    expect(succeeded).toBeGreaterThanOrEqual(200)
    const again = await createSimulator({ stateFile: file })
    expect(again.marketplace.recordCount).toBeGreaterThanOrEqual(succeeded)
    expect(again.marketplace.recordCount).toBeLessThanOrEqual(succeeded + 4)
    await again.close()
  })
})

function signedHeaders(target: string): Record<string, string> {
  const date = new Date().toISOString().replace(/[-:]|\.\d{3}/g, '')
  const scope = `${date.slice(0, 8)}/us-east-1/aws-marketplace/aws4_request`
  return {
    'content-type': 'application/x-amz-json-1.1',
    'x-amz-target': target,
    'x-amz-date': date,
    authorization: `AWS4-HMAC-SHA256 Credential=AKID/${scope}, SignedHeaders=host;x-amz-date, Signature=${'0'.repeat(64)}`,
  }
}
