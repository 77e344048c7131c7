import { describe, expect, it } from 'vitest'
import { parsePostgresUrl } from './postgres-url.ts'

const URL = 'postgres://tollkeeper:p%40ss%2Fword@db.example.com:6432/ledger'

it('reads who, where and what; its name has no credentials', () => {
  expect(parsePostgresUrl(URL)).toMatchObject({
    user: 'tollkeeper',
    password: 'p@ss/word',
    host: 'db.example.com',
    port: 6432,
    database: 'ledger',
    name: 'postgres://db.example.com:6432/ledger',
  })
  expect(parsePostgresUrl('postgresql://me@[::1]/ledger')).toMatchObject({
    host: '::1',
    port: 5432,
    ssl: false,
  })
  expect(parsePostgresUrl('postgres:///ledger?host=/var/run/postgresql&user=me')).toMatchObject({
    user: 'me',
    host: '/var/run/postgresql',
    ssl: false,
  })
})

describe('TLS', () => {
  it('checks certificate and name of a server elsewhere, unless it is told how to', () => {
    expect(parsePostgresUrl(URL).ssl).toEqual({ rejectUnauthorized: true })
    expect(parsePostgresUrl(`${URL}?sslmode=verify-full`).ssl).toEqual({ rejectUnauthorized: true })
    expect(parsePostgresUrl(`${URL}?sslmode=require`).ssl).toMatchObject({ rejectUnauthorized: false })
    expect(parsePostgresUrl(`${URL}?sslmode=disable`).ssl).toBe(false)
    expect(parsePostgresUrl('postgres://me@127.0.0.1/ledger').ssl).toBe(false)
  })

  it('believes a named root alone, in every mode', () => {
    const root = import.meta.filename
    for (const mode of ['require', 'verify-ca', 'verify-full'])
      expect(parsePostgresUrl(`${URL}?sslmode=${mode}&sslrootcert=${root}`).ssl).toMatchObject({
        rejectUnauthorized: true,
        ca: expect.stringContaining('believes a named root alone'),
      })
  })

  it.each(['prefer', 'allow', 'on'])(
    'refuses sslmode=%s, which might send the password in the clear',
    (mode) => {
      expect(() => parsePostgresUrl(`${URL}?sslmode=${mode}`)).toThrow(
        'unknown or would fall back to plain text',
      )
    },
  )
})

it('says what is wrong without the password', () => {
  for (const url of ['postgres://me:s3cret@db/', 'postgres://me:s3cret@db:x/ledger', `${URL}?s3cret=1&x=2`]) {
    const read = () => parsePostgresUrl(url.replace('p%40ss%2Fword', 's3cret'))
    expect(read).toThrow(TypeError)
    expect(read).not.toThrow(/:s3cret/)
  }
})
