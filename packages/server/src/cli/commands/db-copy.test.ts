import { expect, it } from 'vitest'
import {
  type DynamoStoreConfig,
  type PostgresStoreConfig,
  readStoreUrl,
  type StoreConfig,
} from '../../config/store.ts'
import { withSettingsOf } from './db-copy.ts'

const read = (url: string) => readStoreUrl(url, '/data') as StoreConfig

it('takes from configuration how a store is used, never who may use it', () => {
  const configured = {
    ...(read('postgres://app:old@db.example.com/ledger') as PostgresStoreConfig),
    poolMax: 3,
    statementTimeoutMs: 90_000,
  }
  const typed = read('postgres://admin:new@db.example.com/ledger?sslmode=verify-full')
  expect(withSettingsOf(configured, typed)).toEqual({ ...typed, poolMax: 3, statementTimeoutMs: 90_000 })
  const other = read('postgres://app:old@db.example.com/other')
  expect(withSettingsOf(configured, other)).toEqual(other)

  const table = read('dynamodb://eu-west-1/ledger?endpoint=http://127.0.0.1:8000') as DynamoStoreConfig
  const sharded = { ...table, shards: 8, transactionItems: 25 }
  const https = read('dynamodb://eu-west-1/ledger?endpoint=https://127.0.0.1:8000')
  expect(withSettingsOf(sharded, https)).toEqual({ ...https, shards: 8, transactionItems: 25 })
})
