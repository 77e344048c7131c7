import { pino } from 'pino'
import { createRefusalLog } from '../domain/subscriptions/refusal-log.ts'
import { createHttpApp } from './app.ts'

/** The API as an OpenAPI 3.1 document, without a server to ask. */
export async function describeApi(version: string): Promise<unknown> {
  const app = await createHttpApp({
    ingest: unreachable(),
    usage: unreachable(),
    usageAccounts: unreachable(),
    subscriptions: unreachable(),
    buyers: unreachable(),
    history: unreachable(),
    manage: unreachable(),
    requestCancellation: unreachable(),
    register: unreachable(),
    completeRegistration: unreachable(),
    tickets: unreachable(),
    cases: unreachable(),
    notifications: unreachable(),
    refusals: createRefusalLog({ audit: unreachable(), clock: unreachable() }),
    checkAccess: unreachable(),
    quota: unreachable(),
    visitors: unreachable(),
    entitlements: unreachable(),
    entitlementRefreshMs: 0,
    outbox: unreachable(),
    sinks: [],
    mailbox: unreachable(),
    keys: unreachable(),
    limits: unreachable(),
    apiKeys: unreachable(),
    audit: unreachable(),
    catalog: unreachable(),
    manageProducts: unreachable(),
    health: unreachable(),
    clock: unreachable(),
    mode: 'simulated',
    metrics: unreachable(),
    mayChange: unreachable(),
    ready: unreachable(),
    logger: pino({ level: 'silent' }),
    version,
    overloadDelayMs: 0,
  })
  const document = app.swagger()
  await app.close()
  return document
}

/** A port that no route is asked through: describing calls nothing. */
function unreachable<T extends object>(): T {
  const complain = (): never => {
    throw new Error('describing the API calls nothing')
  }
  return new Proxy(complain, { get: complain, apply: complain }) as unknown as T
}
