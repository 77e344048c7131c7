import { FEW, subscriptionContracts } from '../contract/all.contract.ts'
import { usePostgres } from './postgres.fixture.ts'

subscriptionContracts('PostgreSQL', usePostgres().openStores, FEW)
