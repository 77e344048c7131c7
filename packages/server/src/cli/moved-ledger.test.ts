import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { openLedger } from '../compose.ts'
import { loadConfig } from '../config.ts'
import { aClock, utc } from '../storage/contract/fixtures.ts'
import { apiKeyCommand } from './commands/api-key.ts'
import { auditCommands } from './commands/audit.ts'
import { deliveryCommand } from './commands/delivery.ts'
import { eventCommand } from './commands/event.ts'
import { keyCommand } from './commands/key.ts'
import { planCommand } from './commands/plan.ts'
import { productCommand } from './commands/product.ts'
import { subscriptionCommand } from './commands/subscription.ts'
import { usageCommand } from './commands/usage.ts'

const COMMANDS = [
  usageCommand,
  subscriptionCommand,
  deliveryCommand,
  eventCommand,
  keyCommand,
  apiKeyCommand,
  productCommand,
  planCommand,
  auditCommands,
]

/** What changes the ledger, and arguments that it takes. */
const CHANGES: Readonly<Record<string, readonly string[]>> = {
  'usage submit': [],
  'usage import': ['PLAN'],
  'usage hold release': ['sub_1', 'requests', '2026-11-21T07:00Z'],
  'usage hold lower': ['sub_1', 'requests', '2026-11-21T07:00Z', '--units', '1'],
  'usage hold waive': ['sub_1', 'requests', '2026-11-21T07:00Z'],
  'usage pause': ['demo'],
  'usage resume': ['demo'],
  'usage resolve': ['rec_1', 'accepted'],
  'subscription create': ['--channel', 'free'],
  'subscription change': ['sub_1', '--plan', 'pro'],
  'subscription end': ['sub_1'],
  'subscription suspend': ['sub_1'],
  'subscription resume': ['sub_1'],
  'subscription activate': ['sub_1'],
  'subscription successor': ['sub_1', 'sub_2'],
  'subscription cancel-request': ['sub_1', '--reason', 'OTHER'],
  'subscription sync': [],
  'subscription import': ['PLAN'],
  'subscription revoke': ['demo', '--confirm'],
  'delivery replay': ['evt_1'],
  'key create': ['--name', 'x'],
  'key revoke': ['key_1'],
  'api-key create': ['--buyer', 'buy_1'],
  'api-key rotate': ['apk_1'],
  'api-key revoke': ['apk_1'],
  'plan set': ['demo', 'pro', '--file', 'PLAN'],
  'plan retire': ['demo', 'pro'],
}

/** What reads it. */
const READS = [
  'api-key list',
  'audit list',
  'delivery list',
  'event list',
  'key list',
  'plan history',
  'product health',
  'product list',
  'plan list',
  'product show',
  'subscription history',
  'subscription list',
  'subscription show',
  'usage audit',
  'usage compare',
  'usage explain',
  'usage hold list',
  'usage status',
]

let folder: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tollkeeper-moved-'))
  const file = join(folder, 'tollkeeper.yaml')
  writeFileSync(file, 'mode: simulated\nstore:\n  url: sqlite:./ledger.db\n')
  writeFileSync(join(folder, 'plan.json'), '{"title": "Pro"}')
  const clock = aClock(utc('2026-11-21T10:30'))
  const ledger = await openLedger(loadConfig({ file, cwd: folder, env: {} }), clock)
  const copy = { id: 'copy_1', to: 'elsewhere', isFinished: false }
  await ledger.guard.hold({ reason: 'the ledger is being copied', copy }, 'test', clock.now())
  await ledger.close()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function leavesOf(command: Command, path: readonly string[] = []): [string, Command][] {
  const here = [...path, command.name()]
  if (command.commands.length === 0) return [[here.join(' '), command]]
  return command.commands.flatMap((one) => leavesOf(one, here))
}

const leaves = () => new Map(COMMANDS.flatMap((make) => leavesOf(make())))

/** @returns what it says when it fails; undefined where it does not */
async function failureOf(name: string, given: readonly string[]): Promise<string | undefined> {
  const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  const shown = vi.spyOn(process.stdout, 'write').mockReturnValue(true)
  try {
    const args = given.map((arg) => (arg === 'PLAN' ? join(folder, 'plan.json') : arg))
    const config = ['--config', join(folder, 'tollkeeper.yaml')]
    await leaves()
      .get(name)!
      .parseAsync([...args, ...config], { from: 'user' })
    return process.exitCode === undefined ? undefined : said.mock.calls.join('')
  } finally {
    process.exitCode = undefined
    said.mockRestore()
    shown.mockRestore()
  }
}

it('knows of each command whether it changes the ledger', () => {
  expect([...leaves().keys()].sort()).toEqual([...Object.keys(CHANGES), ...READS].sort())
})

it.each(Object.entries(CHANGES))('refuses `%s` on a ledger that is being moved', async (name, args) => {
  expect(await failureOf(name, args)).toMatch(/is being moved to another store, or was/)
})

it('still reads it, shows what would be, and lets it go on', async () => {
  for (const [name, ...args] of [
    ['usage status'],
    ['api-key list', '--buyer', 'buy_1'],
    ['usage submit', '--dry-run'],
    ['usage resolve', 'ledger'],
    ['key create', '--name', 'x'],
  ] as const)
    expect([name, await failureOf(name, args)]).toEqual([name, undefined])
})
