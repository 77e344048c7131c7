import { usageContracts } from '../contract/all.contract.ts'
import { FEW, MANY } from '../contract/contract-runs.ts'
import { usePostgres } from './postgres.fixture.ts'

usageContracts('PostgreSQL', usePostgres().openStores, { ...FEW, forgotten: MANY.forgotten })
