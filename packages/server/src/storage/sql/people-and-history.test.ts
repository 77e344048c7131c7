import { peopleAndHistoryContract } from '../contract/people-and-history.contract.ts'
import { openSqliteStores } from './sqlite-stores.ts'

peopleAndHistoryContract('SQLite', () => openSqliteStores(':memory:'))
