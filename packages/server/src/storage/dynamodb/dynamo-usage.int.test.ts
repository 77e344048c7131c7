import { FEW, usageContracts } from '../contract/all.contract.ts'
import { describeOnDynamo, openDynamoForTest } from './dynamodb.fixture.ts'

describeOnDynamo('every contract', () => {
  usageContracts('DynamoDB', openDynamoForTest, FEW)
})
