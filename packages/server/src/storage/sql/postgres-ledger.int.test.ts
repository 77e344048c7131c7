import { FEW, ledgerContracts } from '../contract/all.contract.ts'
import { usePostgres } from './postgres.fixture.ts'

ledgerContracts('PostgreSQL', usePostgres().openStores, FEW)
