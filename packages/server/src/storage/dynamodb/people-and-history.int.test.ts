import { peopleAndHistoryContract } from '../contract/people-and-history.contract.ts'
import { aDynamoTable, describeOnDynamo } from './dynamodb.fixture.ts'
import { subscriberStores } from './subscribers.fixture.ts'

describeOnDynamo('subscribers', () => {
  peopleAndHistoryContract('DynamoDB', async () => subscriberStores(await aDynamoTable()))
})
