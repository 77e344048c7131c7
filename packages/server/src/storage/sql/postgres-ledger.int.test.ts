import { ledgerContracts } from '../contract/all.contract.ts'
import { FEW } from '../contract/contract-runs.ts'
import { usePostgres } from './postgres.fixture.ts'

ledgerContracts('PostgreSQL', usePostgres().openStores, FEW)
