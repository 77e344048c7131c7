import { usageContracts } from '../contract/all.contract.ts'
import { openSqliteForTest } from './sqlite.fixture.ts'

usageContracts('SQLite', openSqliteForTest)
