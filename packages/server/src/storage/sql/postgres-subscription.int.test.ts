import { subscriptionContracts } from '../contract/all.contract.ts'
import { FEW } from '../contract/contract-runs.ts'
import { usePostgres } from './postgres.fixture.ts'

subscriptionContracts('PostgreSQL', usePostgres().openStores, FEW)
