import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { iamPage, PERMISSIONS } from './iam-permissions.ts'

const SOURCES = join(import.meta.dirname, '..')

/** Actions are named after the client's service. */
const PREFIXES: Readonly<Record<string, string>> = {
  'client-marketplace-metering': 'aws-marketplace',
  'client-marketplace-entitlement-service': 'aws-marketplace',
  'client-marketplace-agreement': 'aws-marketplace',
  'client-sqs': 'sqs',
  'client-eventbridge': 'events',
  'client-dynamodb': 'dynamodb',
  'client-sts': 'sts',
}
/**
 * Whose identity it is, AWS tells everybody; the role to assume has its own section. Tables are deleted on this machine
 * alone, by rehearsals: at AWS nothing may delete the ledger's.
 */
const WITHOUT = ['sts:GetCallerIdentity', 'sts:AssumeRole', 'dynamodb:DeleteTable']

/** A transaction is permitted by what it does to each of its items. */
const PERMITTED_AS: Readonly<Record<string, readonly string[]>> = {
  'dynamodb:TransactGetItems': ['dynamodb:GetItem'],
  'dynamodb:TransactWriteItems': ['PutItem', 'UpdateItem', 'DeleteItem', 'ConditionCheckItem'].map(
    (action) => `dynamodb:${action}`,
  ),
}

function callsInTheCode(): string[] {
  const calls = new Set<string>()
  for (const file of globSync('**/*.ts', { cwd: SOURCES })) {
    if (/\.(test|fixture|contract)\.ts$/.test(file)) continue
    const text = readFileSync(join(SOURCES, file), 'utf8')
    const clients = [...text.matchAll(/'@aws-sdk\/(client-[a-z-]+)'/g)].map(([, name]) => name!)
    if (clients.length === 0) continue
    const [prefix, ...others] = new Set(clients.map((client) => PREFIXES[client] ?? client))
    expect(others, `${file} speaks to one service`).toEqual([])
    for (const [, command] of text.matchAll(/new (?:\w+\.)?([A-Z]\w+)Command\(/g))
      for (const action of PERMITTED_AS[`${prefix}:${command}`] ?? [`${prefix}:${command}`]) calls.add(action)
  }
  return [...calls].sort()
}

describe('the policy that is documented', () => {
  it('allows each call that the code makes, and no other', () => {
    const allowed = [...new Set(PERMISSIONS.flatMap(({ actions }) => actions))]
    expect(callsInTheCode().filter((call) => !WITHOUT.includes(call))).toEqual(allowed.toSorted())
  })

  it('names no action by a pattern', () => {
    for (const { actions } of PERMISSIONS)
      for (const action of actions) expect(action).toMatch(/^[a-z-]+:[A-Z][A-Za-z]+$/)
  })

  it('is JSON that AWS’s console takes, with an external id where a role is assumed', () => {
    const documents = [...iamPage().matchAll(/```json\n([\s\S]*?)\n```/g)].map(([, json]) =>
      JSON.parse(json!),
    )
    expect(documents).toHaveLength(6)
    for (const document of documents) expect(document).toMatchObject({ Version: '2012-10-17' })
    expect(JSON.stringify(documents[4])).toContain('sts:ExternalId')
  })

  it('has in the whole policy nothing that is to be taken away afterwards', () => {
    const [whole, ...others] = [...iamPage().matchAll(/```json\n([\s\S]*?)\n```/g)].map(([, json]) => json!)
    expect(
      PERMISSIONS.filter(({ when }) => when.includes('take it away')).map(({ sid }) => sid),
    ).toHaveLength(3)
    for (const { sid, when } of PERMISSIONS) {
      const isPassing = when.includes('take it away')
      expect([sid, whole!.includes(`"${sid}"`)]).toEqual([sid, !isPassing])
      expect([sid, others.some((document) => document.includes(`"${sid}"`))]).toEqual([sid, isPassing])
    }
  })
})
