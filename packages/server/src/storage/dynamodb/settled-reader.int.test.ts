import { expect, it } from 'vitest'
import { aDynamoPlace, aDynamoTable, describeOnDynamo } from './dynamodb.fixture.ts'
import { settledReader } from './settled-reader.ts'

const key = (number: number) => ({ pk: `item-${number}`, sk: '-' })

/** As DynamoDB says that a transaction is at one of the items. */
function conflict(): Error {
  return Object.assign(new Error('Transaction cancelled'), {
    name: 'TransactionCanceledException',
    CancellationReasons: [{ Code: 'TransactionConflict' }],
  })
}

describeOnDynamo('reading what is settled', () => {
  it('gives items in the order of their keys, however many, and says which are missing', async () => {
    const table = await aDynamoTable()
    const numbers = Array.from({ length: 25 }, (_, number) => number)
    await table.transaction(async (tx) => {
      for (const number of numbers) if (number % 7 !== 3) tx.put({ ...key(number), number })
    })
    const found = await settledReader(table).getMany([...numbers, 0].map(key))
    expect(found.map((item) => item?.number)).toEqual(
      [...numbers, 0].map((number) => (number % 7 === 3 ? undefined : BigInt(number))),
    )
  })

  it('waits while a transaction is being written to one of them', async () => {
    let turnedDown = 0
    const place = await aDynamoPlace()
    const table = await aDynamoTable({
      place,
      through: (requests) => ({
        send: (name, input) => {
          if (name !== 'TransactGetItems' || turnedDown === 2) return requests.send(name, input)
          turnedDown++
          return Promise.reject(conflict())
        },
      }),
    })
    await table.transaction(async (tx) => tx.put({ ...key(1), number: 1 }))
    expect(await settledReader(table).get(key(1))).toMatchObject({ number: 1n })
    expect(turnedDown).toBe(2)
  })
})
