import type { OutboxStores } from '../contract/outbox-harness.ts'
import { outboxStoreContract } from '../contract/outbox-store.contract.ts'
import { listAlarms } from './alarms.ts'
import { appendDomainEvent, transactionThatTells } from './domain-events.ts'
import { aDynamoTable, describeOnDynamo } from './dynamodb.fixture.ts'
import { createDynamoOutboxStore } from './outbox.ts'

const RUNS = 15

describeOnDynamo('the outbox', () => {
  const open = async (): Promise<OutboxStores> => {
    const table = await aDynamoTable()
    return {
      outbox: createDynamoOutboxStore(table),
      usage: { listAlarms: (limit) => listAlarms(table, limit) },
      append: (event) => transactionThatTells(table, (tx) => appendDomainEvent(tx, event)),
    }
  }
  outboxStoreContract('DynamoDB', open, RUNS)
})
