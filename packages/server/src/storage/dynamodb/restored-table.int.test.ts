import type { DescribeTableCommand } from '@aws-sdk/client-dynamodb'
import { expect, it, onTestFinished } from 'vitest'
import { aDimension, aProduct, utc } from '../contract/fixtures.ts'
import { startLedger } from '../contract/ledger-harness.ts'
import { openDynamoClient } from './client.ts'
import { openDynamoStores } from './dynamo-stores.ts'
import { aDynamoPlace, describeOnDynamo, type Place } from './dynamodb.fixture.ts'
import { EXPIRES_AT, ensureTable, tableDefinition, tableWarnings } from './table-definition.ts'

const SETTINGS = { transactionItems: 10, shards: 2, isAtAws: false }
const productThatHolds = (units: bigint) =>
  aProduct({ dimensions: [aDimension(), aDimension({ key: 'held', holdAbove: { units } })] })

describeOnDynamo('a table that was restored', () => {
  async function openLedger(place: Place, now: number, holdAbove = 5n) {
    const stores = await openDynamoStores(place, SETTINGS)
    onTestFinished(() => stores.close())
    await stores.claimLedger({ mode: 'simulated', accountId: undefined })
    return startLedger(async () => stores, productThatHolds(holdAbove), now)
  }

  /** As DynamoDB restores: every item as it was, in another table. Its original goes on to bill what is open and held. */
  async function aRestoredTable(holdAbove = 5n): Promise<Place> {
    const place = await aDynamoPlace()
    const ledger = await openLedger(place, utc('2026-11-21T09:20'), holdAbove)
    const guard = await ledger.guardLedger(ledger.clock.now())
    expect(guard.waiting()).toBeUndefined()
    const buyer = await ledger.subscribe()
    await ledger.report(buyer, 'h', 50, { dimension: 'held' })
    ledger.clock.set(utc('2026-11-21T10:16'))
    await ledger.close()
    await ledger.report(buyer, 'a', 100)
    ledger.clock.set(utc('2026-11-21T11:20'))
    await ledger.close()
    await ledger.report(buyer, 'b', 5)
    await guard.beat(ledger.clock.now())

    const restored = await aDynamoPlace()
    const client = await openDynamoClient(place)
    const { ScanCommand } = await import('@aws-sdk/client-dynamodb')
    const { Items = [] } = await client.sdk.send(new ScanCommand({ TableName: place.table }))
    for (const Item of Items) await client.send('PutItem', { TableName: restored.table, Item })
    client.close()
    return restored
  }

  it('waits for a person, and takes the DuplicateRecord of what the lost table sent for its own', async () => {
    const place = await aRestoredTable()
    const ledger = await openLedger(place, utc('2026-11-21T12:30'))
    const guard = await ledger.guardLedger(ledger.clock.now())
    expect(guard.waiting()).toMatchObject({ reason: expect.stringContaining('restored') })
    const again = await ledger.guardLedger(ledger.clock.now())
    expect(again.waiting()).toEqual(guard.waiting())
    await guard.release('cli:somebody', ledger.clock.now())
    await again.refresh()
    expect(again.waiting()).toBeUndefined()
    expect((await ledger.guardLedger(ledger.clock.now())).waiting()).toBeUndefined()

    await ledger.close()
    ledger.aws.next.push('DuplicateRecord')
    await ledger.submit()
    expect((await ledger.records()).map(({ quantity, state }) => [quantity, state]).sort()).toEqual([
      [100, 'assumed'],
      [5, 'assumed'],
    ])
    expect(await ledger.audit()).toMatchObject({ balanced: true })
  })

  it('goes on doubting the hours of a restore after a later one', async () => {
    const ledger = await openLedger(await aRestoredTable(500n), utc('2026-11-21T12:30'), 500n)
    const guard = await ledger.guardLedger(ledger.clock.now())
    await guard.release('cli:somebody', ledger.clock.now())
    await ledger.close()
    await ledger.submit()
    ledger.clock.set(utc('2026-11-21T14:10'))
    await guard.beat(ledger.clock.now())
    await guard.hold({ reason: 'restored once more' }, 'cli:somebody', ledger.clock.now())
    await guard.release('cli:somebody', ledger.clock.now())
    // What the lost table had taken in and billed, reported again.
    const [buyer] = await ledger.subscriptions.list({ limit: 1 })
    await ledger.report(buyer!, 'c', 7, { time: utc('2026-11-21T12:20') })
    ledger.clock.set(utc('2026-11-21T15:30'))
    await ledger.close()
    ledger.aws.next.push('DuplicateRecord')
    await ledger.submit()
    const records = await ledger.records()
    expect(records.find(({ quantity }) => quantity === 7)).toMatchObject({ state: 'assumed' })
  })

  it('leaves in doubt what the lost table may have sent and AWS takes no more', async () => {
    const ledger = await openLedger(await aRestoredTable(), utc('2026-11-23T12:10'))
    const guard = await ledger.guardLedger(ledger.clock.now())
    await guard.release('cli:somebody', ledger.clock.now())
    await ledger.close()
    await ledger.submit()
    ledger.clock.set(utc('2026-11-23T13:20'))
    await ledger.close()
    await ledger.submit()
    expect(ledger.aws.calls).toEqual([])
    expect(
      (await ledger.records()).map(({ dimension, quantity, state }) => [dimension, quantity, state]).sort(),
    ).toEqual([
      ['held', 50, 'in_doubt'],
      ['requests', 100, 'in_doubt'],
      ['requests', 5, 'in_doubt'],
    ])
    expect(await ledger.audit()).toMatchObject({ balanced: true })
  })
})

describeOnDynamo('the table itself', () => {
  it('is made once, whoever comes first, and each has an id of its own', async () => {
    const { table, ...place } = await aDynamoPlace()
    const client = await openDynamoClient({ ...place, table })
    onTestFinished(() => client.close())
    const known = await ensureTable(client, table)
    expect(known).toEqual({ id: expect.stringMatching(/./), wasCreated: false })
    const other = await aDynamoPlace()
    expect((await ensureTable(client, other.table)).id).not.toBe(known.id)
  })

  it('warns where nothing expires, as in one that was restored', async () => {
    const { table, ...place } = await aDynamoPlace()
    const client = await openDynamoClient({ ...place, table })
    onTestFinished(() => client.close())
    const setExpiry = async (Enabled: boolean) => {
      const { UpdateTimeToLiveCommand } = await import('@aws-sdk/client-dynamodb')
      const TimeToLiveSpecification = { Enabled, AttributeName: EXPIRES_AT }
      await client.sdk.send(new UpdateTimeToLiveCommand({ TableName: table, TimeToLiveSpecification }))
    }
    // The test engine knows no backups.
    const send = (command: DescribeTableCommand) =>
      command.constructor.name === 'DescribeContinuousBackupsCommand' ? {} : client.sdk.send(command)
    const atAws = Object.assign({ ...client }, { sdk: Object.assign(Object.create(client.sdk), { send }) })
    const said = async () => (await tableWarnings(atAws, table)).filter((text) => text.includes(EXPIRES_AT))
    expect(await said()).toEqual([])
    await setExpiry(false)
    expect(await said()).toEqual([expect.stringContaining(`the table ${table} deletes nothing`)])
  })

  it('is refused where the name is another application’s', async () => {
    const place = await aDynamoPlace()
    const client = await openDynamoClient(place)
    onTestFinished(() => client.close())
    const { CreateTableCommand, DeleteTableCommand } = await import('@aws-sdk/client-dynamodb')
    const TableName = `${place.table}-other`
    const { GlobalSecondaryIndexes: [first] = [], ...definition } = tableDefinition(TableName)
    const indexed = first!.KeySchema!.map(({ AttributeName }) => AttributeName)
    await client.sdk.send(
      new CreateTableCommand({
        ...definition,
        AttributeDefinitions: definition.AttributeDefinitions!.filter(({ AttributeName }) =>
          ['pk', 'sk', ...indexed].includes(AttributeName),
        ),
        GlobalSecondaryIndexes: [first!],
      }),
    )
    onTestFinished(async () => void (await client.sdk.send(new DeleteTableCommand({ TableName }))))
    await expect(ensureTable(client, TableName)).rejects.toMatchObject({
      code: 'ledger.mode_mismatch',
      message: expect.stringContaining('AWSAccountIndex'),
    })
  })
})
