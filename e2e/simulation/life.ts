import type { SqlDatabase } from '../../packages/server/src/storage/sql/database.ts'
import type { SqliteDatabase } from '../../packages/server/src/storage/sql/sqlite.ts'
import type { EventWriter } from '../../packages/server/src/storage/sql/usage-store.ts'

/** The process is gone: nothing that it still had to do happens. */
export class Crash extends Error {
  constructor() {
    super('the process was killed')
    this.name = 'Crash'
  }
}

/** One process's life: it may end between any two steps that reach the disk or AWS. */
export interface Life {
  readonly dead: boolean
  /** Dies at the `steps`-th point from now. */
  arm(steps: number): void
  disarm(): void
  /** A place at which the process may die. */
  point(): void
  /** A place at which other processes may do something. */
  pause(): Promise<void>
}

export function createLife(others: () => Promise<void>): Life {
  let dead = false
  let fuse: number | undefined
  return {
    get dead() {
      return dead
    },
    arm: (steps) => {
      fuse = steps
    },
    disarm: () => {
      fuse = undefined
    },
    point() {
      if (!dead && fuse !== undefined && fuse-- <= 0) dead = true
      if (dead) throw new Crash()
    },
    pause: others,
  }
}

/** A step that reaches the disk: the process may die before it, just before its commit, or just after. */
async function mortally<T>(life: Life, commit: (beforeCommit: () => void) => Promise<T>): Promise<T> {
  await life.pause()
  life.point()
  const result = await commit(() => life.point())
  life.point()
  return result
}

/** The database as a mortal process sees it: it may die before a transaction, inside it, or just after its commit. */
export function mortalDatabase(database: SqlDatabase, life: Life): SqlDatabase {
  return {
    engine: database.engine,
    name: database.name,
    close: () => database.close(),
    listen: (listener) => database.listen(listener),
    get: (text, ...values) => (life.dead ? Promise.reject(new Crash()) : database.get(text, ...values)),
    read: (step) => {
      if (life.dead) return Promise.reject(new Crash())
      return database.read(step)
    },
    snapshot: (step) => database.snapshot(step),
    transaction: (step, options) =>
      mortally(life, (beforeCommit) =>
        database.transaction(async (sql) => {
          const result = await step(sql)
          beforeCommit()
          return result
        }, options),
      ),
  }
}

export function mortalSqlite(database: SqliteDatabase, life: Life): SqliteDatabase {
  const { handle, file } = database
  return {
    ...mortalDatabase(database, life),
    engine: 'sqlite',
    handle,
    file,
    close: () => database.close(),
    transactionSync: (step) =>
      mortally(life, (beforeCommit) =>
        database.transactionSync(() => {
          const result = step()
          beforeCommit()
          return result
        }),
      ),
  }
}

/** What takes usage in by transactions of its own: the process may die before one or just after it. */
export function mortalWriter(writer: EventWriter, life: Life): EventWriter {
  return { ...writer, record: (...call) => mortally(life, () => writer.record(...call)) }
}
