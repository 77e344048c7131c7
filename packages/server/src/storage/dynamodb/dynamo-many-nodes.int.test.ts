import { manyNodesContract } from '../contract/many-nodes.contract.ts'
import { describeOnDynamo, openDynamoForTest } from './dynamodb.fixture.ts'

describeOnDynamo('several nodes', () => {
  manyNodesContract('DynamoDB', openDynamoForTest)
})
