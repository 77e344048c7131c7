import type pg from 'pg'

/** As a server says it that lets nobody in yet. */
const CANNOT_CONNECT_NOW = '57P03'

/**
 * A server that only follows another takes no writes, and what it shows may be old. After a failover a name may lead to one for a
 * while: a connection to it is refused, so that the next one finds the server that has taken over.
 */
export async function refuseStandby(client: pg.ClientBase): Promise<void> {
  const { rows } = await client.query<{ standby: unknown }>('SELECT pg_is_in_recovery()::int AS standby')
  if (Number(rows[0]!.standby) === 0) return
  throw Object.assign(new Error('it is a standby, which takes no changes'), { code: CANNOT_CONNECT_NOW })
}
