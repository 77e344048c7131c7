import { CompiledQuery, type Dialect, Kysely, type Migration, Migrator } from 'kysely'

/**
 * Brings a database to this version by what it has not seen yet. One that has seen more, of a later version, is left as it
 * is: during an upgrade both versions run.
 *
 * @param migrations - statements to run at once each, by a name that sorts after those of before
 * @returns the names of those that ran
 */
export async function runMigrations(
  dialect: Dialect,
  migrations: Readonly<Record<string, readonly string[]>>,
): Promise<readonly string[]> {
  const kysely = new Kysely<unknown>({ dialect })
  const known = Object.fromEntries(
    Object.entries(migrations).map(([name, statements]) => [name, migration(statements)]),
  )
  for (;;) {
    const seen = await seenBy(kysely)
    const later = Object.fromEntries(seen.filter((name) => !(name in known)).map((name) => [name, NOTHING]))
    const migrator = new Migrator({
      db: kysely,
      provider: { getMigrations: async () => ({ ...known, ...later }) },
      allowUnorderedMigrations: true,
    })
    const { error, results } = await migrator.migrateToLatest()
    if (error === undefined)
      return (results ?? [])
        .filter(({ status }) => status === 'Success')
        .map(({ migrationName }) => migrationName)
    // While this one waited for Kysely's lock, a later version may have come by: what it did is to be known, too.
    if ((await seenBy(kysely)).length === seen.length) throw error
  }
}

const NOTHING: Migration = { up: async () => {} }

function migration(statements: readonly string[]): Migration {
  return {
    async up(db) {
      for (const statement of statements) await db.executeQuery(CompiledQuery.raw(statement))
    },
  }
}

async function seenBy(kysely: Kysely<unknown>): Promise<readonly string[]> {
  const tables = await kysely.introspection.getTables({ withInternalKyselyTables: true })
  if (!tables.some(({ name }) => name === 'kysely_migration')) return []
  const { rows } = await kysely.executeQuery<{ name: string }>(
    CompiledQuery.raw('SELECT name FROM kysely_migration'),
  )
  return rows.map(({ name }) => name)
}
