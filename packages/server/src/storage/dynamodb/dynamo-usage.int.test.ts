import { vi } from 'vitest'
import { usageContracts } from '../contract/all.contract.ts'
import { FEW } from '../contract/contract-runs.ts'
import { describeOnDynamo, openDynamoForTest } from './dynamodb.fixture.ts'

// Hundreds of hours, each of many requests to an engine that all suites share.
vi.setConfig({ testTimeout: 300_000 })

describeOnDynamo('every contract', () => {
  usageContracts('DynamoDB', openDynamoForTest, FEW)
})
