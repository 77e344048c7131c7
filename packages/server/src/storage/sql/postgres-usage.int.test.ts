import { FEW, usageContracts } from '../contract/all.contract.ts'
import { usePostgres } from './postgres.fixture.ts'

usageContracts('PostgreSQL', usePostgres().openStores, FEW)
