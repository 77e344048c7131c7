import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const BIN = join(import.meta.dirname, '../../bin/tollkeeper-simulator.js')
const folder = mkdtempSync(join(tmpdir(), 'simulator-cli-'))
let running: ChildProcess
let url: string

function run(...args: string[]): Promise<{ code: number | string; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [BIN, ...args], (error, out, err) =>
      resolve({ code: error?.code ?? 0, out, err }),
    )
  })
}

beforeAll(async () => {
  running = spawn(process.execPath, [
    BIN,
    'start',
    '--port',
    '0',
    '--frozen',
    '--start-at',
    '2026-11-20T12:00:00Z',
    '--json',
  ])
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: running.stdout! }).once('line', resolve)
    running.once('exit', () => reject(new Error('the simulator did not start')))
  })
  url = JSON.parse(line).url
})
afterAll(() => {
  running.kill()
  rmSync(folder, { recursive: true, force: true })
})

describe('commands to a running simulator', () => {
  it('read and move its clock', async () => {
    expect((await run('clock', '--url', url)).out).toBe('2026-11-20T12:00:00.000Z  (frozen)\n')
    expect((await run('clock', 'advance', '1h', '--url', url)).out).toContain('13:00:00')
    expect(
      JSON.parse((await run('clock', 'set', '2026-12-01T00:00:00Z', '--url', url, '--json')).out),
    ).toMatchObject({
      now: '2026-12-01T00:00:00.000Z',
    })
  })

  it('order faults, list and clear them', async () => {
    expect(
      (await run('fault', 'slow', '--times', '3', '--no-taken', '--delay', '20', '--url', url)).out,
    ).toMatch(/slow +any +3/)
    expect(JSON.parse((await run('fault', 'list', '--url', url, '--json')).out).faults).toMatchObject([
      { kind: 'slow', times: 3, taken: false, delayMs: 20 },
    ])
    expect((await run('fault', 'clear', '--url', url)).out).toBe('No faults are ordered.\n')
  })

  it('send notifications somewhere, hold them, let them go and show what became of them', async () => {
    expect((await run('destinations', '--url', url)).out).toBe('Notifications go to nobody.\n')
    const file = join(folder, 'destinations.json')
    writeFileSync(file, JSON.stringify({ rules: [{ name: 'all', target: { queue: 'marketplace' } }] }))
    expect((await run('destinations', 'set', file, '--url', url)).out).toMatch(
      /rule all +marketplace +active/,
    )
    const held = await run(
      'notifications',
      'fault',
      'hold',
      '--type',
      'License Updated - Manufacturer',
      '--url',
      url,
    )
    expect(held.out).toMatch(/hold +License Updated - Manufacturer +no limit +0/)
    await fetch(`${url}/_control/subscriptions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ productCode: 'demoapi0usage0license0001' }),
    })
    await run('clock', 'advance', '2m', '--url', url)
    const waited = (await run('notifications', 'flush', '--url', url)).out
    expect(waited).toMatch(/Purchase Agreement Created - Proposer +sub-1 +delivered \(1×\)/)
    expect(waited).toMatch(/License Updated - Manufacturer +sub-1 +held/)
    await run('notifications', 'release', '--url', url)
    await run('notifications', 'flush', '--url', url)
    const { notifications } = JSON.parse((await run('notifications', '--url', url, '--json')).out)
    expect(notifications).toMatchObject([
      { deliveries: [{ state: 'delivered' }] },
      { deliveries: [{ state: 'delivered' }] },
    ])
    const again = await run('notifications', 'redeliver', notifications[0].id, '--url', url)
    expect([again.code, again.err]).toEqual([0, ''])
    expect((await run('notifications', 'fault', 'list', '--url', url)).out).toBe(
      'No faults of notifications are ordered.\n',
    )
  })

  it('show the ledger and the bill', async () => {
    expect((await run('ledger', '--url', url)).out).toBe('No usage was accepted yet.\n')
    expect(JSON.parse((await run('bill', '--url', url, '--json')).out)).toMatchObject({
      total: '0',
      lines: [],
    })
  })
})

describe('a command that cannot be done', () => {
  const config = (text: string) => {
    const path = join(folder, 'config.json')
    writeFileSync(path, text)
    return path
  }
  const cases: [string, () => string[], string][] = [
    ['a port that is none', () => ['start', '--port', 'x'], '--port must be a number from 0 to 65535'],
    ['a port in use', () => ['start', '--port', new URL(url).port], 'is in use'],
    ['a time that is none', () => ['start', '--start-at', 'noon'], '--start-at must be a time'],
    [
      'a configuration that is not there',
      () => ['start', '--config', join(folder, 'none.json')],
      'no such file',
    ],
    ['a configuration that is no JSON', () => ['start', '--config', config('{')], 'config.json: '],
    ['an unknown setting', () => ['start', '--config', config('{"settings":{"x":1}}')], 'unknown setting x'],
    ['a wrong seed', () => ['start', '--config', config('{"seed":"1"}')], 'seed must be a whole number'],
    ['a state file in no folder', () => ['start', '--state', join(folder, 'no/state')], 'cannot be used'],
    [
      'a destination on another machine',
      () => [
        'start',
        '--config',
        config('{"deliverTo":{"rules":[{"name":"a","target":{"url":"http://example.com"}}]}}'),
      ],
      'must be on this machine',
    ],
    [
      'a notification that is not there',
      () => ['notifications', 'redeliver', 'nope', '--url', url],
      'no destination is done with a notification nope',
    ],
    [
      'destinations that are not there',
      () => ['destinations', 'set', join(folder, 'none.json'), '--url', url],
      'no such file',
    ],
    ['an unknown fault', () => ['fault', 'explode', '--url', url], "'explode' is invalid"],
    ['a wrong duration', () => ['clock', 'advance', 'soon', '--url', url], 'a duration is written like'],
    [
      'nobody who answers',
      () => ['bill', '--url', 'http://127.0.0.1:9'],
      'no simulator answers at http://127.0.0.1:9',
    ],
    ['a URL that is none', () => ['bill', '--url', 'here'], 'here is no URL'],
    ['an unknown command', () => ['explode'], 'unknown command'],
  ]

  it.each(cases)('%s is one line, and an exit code', async (_name, args, message) => {
    const { code, out, err } = await run(...args())
    expect([code, out]).toEqual([1, ''])
    expect(err).toContain(message)
    expect(
      err
        .trimEnd()
        .split('\n')
        .filter((line) => !line.startsWith('(')).length,
    ).toBe(1)
  })
})
