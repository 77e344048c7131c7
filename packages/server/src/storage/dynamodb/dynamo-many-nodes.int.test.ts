import { manyNodesContract } from '../contract/many-nodes.contract.ts'
import { describeOnDynamo, openDynamoForTest } from './dynamodb.fixture.ts'

describeOnDynamo('many nodes', () => {
  manyNodesContract('DynamoDB', openDynamoForTest)
})
