import assert from 'node:assert/strict'
import Database from 'better-sqlite3'

/** What SQLite is asked to do in this process, seen from below the product. */
export interface SqliteWatch {
  /** Transactions that were committed since the start. */
  commits(): number
  /** @throws where a connection that may write could lose what it acknowledged */
  assertDurable(): void
}

const FULL = 2

/** Call before the first connection is opened. */
export function watchSqlite(): SqliteWatch {
  const handles = new Set<Database.Database>()
  let commits = 0
  const { pragma, exec } = Database.prototype
  Database.prototype.pragma = function (this: Database.Database, ...given: Parameters<typeof pragma>) {
    handles.add(this)
    return pragma.apply(this, given)
  }
  Database.prototype.exec = function (this: Database.Database, text: string) {
    if (text === 'COMMIT') commits++
    return exec.call(this, text)
  }
  return {
    commits: () => commits,
    assertDurable() {
      const open = [...handles].filter((handle) => handle.open && !handle.readonly)
      assert(open.length > 0, 'no connection was seen: is the driver another one?')
      for (const handle of open) {
        assert.equal(handle.memory, false, 'the ledger is in memory')
        assert.equal(pragma.call(handle, 'journal_mode', { simple: true }), 'wal')
        assert.equal(pragma.call(handle, 'synchronous', { simple: true }), FULL)
      }
    },
  }
}
