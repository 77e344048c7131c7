import { ledgerContracts } from '../contract/all.contract.ts'
import { openSqliteForTest } from './sqlite.fixture.ts'

ledgerContracts('SQLite', openSqliteForTest)
