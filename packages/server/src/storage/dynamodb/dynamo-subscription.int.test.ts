import { FEW, subscriptionContracts } from '../contract/all.contract.ts'
import { describeOnDynamo, openDynamoForTest } from './dynamodb.fixture.ts'

describeOnDynamo('every contract', () => {
  subscriptionContracts('DynamoDB', openDynamoForTest, FEW)
})
