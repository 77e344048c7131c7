import { subscriptionContracts } from '../contract/all.contract.ts'
import { openSqliteForTest } from './sqlite.fixture.ts'

subscriptionContracts('SQLite', openSqliteForTest)
