import { FEW, ledgerContracts } from '../contract/all.contract.ts'
import { describeOnDynamo, openDynamoForTest } from './dynamodb.fixture.ts'

describeOnDynamo('every contract', () => {
  ledgerContracts('DynamoDB', openDynamoForTest, FEW)
})
