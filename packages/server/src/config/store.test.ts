import { expect, it } from 'vitest'
import { isOnThisMachine, readStoreUrl, type StoreConfig } from './store.ts'

const read = (url: string) => readStoreUrl(url, '/data')
const isHere = (url: string) => isOnThisMachine(read(url) as StoreConfig)

it('resolves the path of a SQLite file', () => {
  expect(read('sqlite:./ledger.db')).toMatchObject({ kind: 'sqlite', file: '/data/ledger.db' })
  expect(read('sqlite::memory:')).toMatchObject({ kind: 'sqlite', file: ':memory:' })
})

it('shows a PostgreSQL store without its password', () => {
  const store = read('postgres://me:s3cret@db.example.com:5433/ledger?sslmode=verify-full')
  expect(store).toMatchObject({
    kind: 'postgres',
    name: 'postgres://db.example.com:5433/ledger',
    poolMax: 10,
    connectTimeoutMs: 10_000,
    statementTimeoutMs: 30_000,
  })
})

it('reads region, table and endpoint of a DynamoDB store', () => {
  // A table of the same name on another engine is another; an endpoint may hold a password, its host does not.
  expect(read('dynamodb://eu-west-1/ledger?endpoint=http://127.0.0.1:8000')).toMatchObject({
    kind: 'dynamodb',
    name: 'dynamodb://eu-west-1/ledger?endpoint=127.0.0.1:8000',
    region: 'eu-west-1',
    table: 'ledger',
    endpoint: 'http://127.0.0.1:8000',
    transactionItems: 10,
    shards: 2,
  })
  expect(read('dynamodb://eu-west-1/ledger')).toMatchObject({
    name: 'dynamodb://eu-west-1/ledger',
    endpoint: undefined,
    transactionItems: 100,
    shards: 4,
  })
})

it.each([
  'dynamodb://table',
  'dynamodb://eu-west-1/',
  'dynamodb://eu-west-1/a b',
  'postgres:///ledger',
  'postgres://db.example.com/',
  'postgres://[',
])('says what %s must be', (url) => {
  expect(read(url)).toMatch(/^must /)
})

it('knows which stores are on this machine', () => {
  expect(isHere('sqlite:./ledger.db')).toBe(true)
  expect(isHere('postgres://me@127.0.0.1/ledger')).toBe(true)
  expect(isHere('postgres://me@localhost:5433/ledger')).toBe(true)
  expect(isHere('postgres:///ledger?host=/var/run/postgresql')).toBe(true)
  expect(isHere('postgres://me@db.example.com/ledger')).toBe(false)
  expect(isHere('postgres://me@127.0.0.1/ledger?host=db.example.com')).toBe(false)
  expect(isHere('dynamodb://us-east-1/ledger')).toBe(false)
  expect(isHere('dynamodb://us-east-1/ledger?endpoint=http://localhost:8000')).toBe(true)
  expect(isHere('dynamodb://us-east-1/ledger?endpoint=https://dynamodb.us-east-1.amazonaws.com')).toBe(false)
})
