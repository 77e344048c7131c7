/** A value as it goes into a statement. */
export type SqlValue = string | number | bigint | Uint8Array | null
/** A row as it comes out: integers are `bigint`, whatever their size; true and false are `1n` and `0n`. */
export type Row = Record<string, string | bigint | Uint8Array | null>

/**
 * A transaction, as the stores use it. Statements are written so that SQLite and PostgreSQL both take them;
 * values are `?` in their order, or `?1`, `?2` where one stands more than once.
 */
export interface Sql {
  all(text: string, ...values: SqlValue[]): Promise<Row[]>
  get(text: string, ...values: SqlValue[]): Promise<Row | undefined>
  /** @returns how many rows changed */
  run(text: string, ...values: SqlValue[]): Promise<{ changes: number }>
  /**
   * Waits until no other transaction has this turn, and keeps it to its own end: what they number, they number in the order
   * in which they are committed.
   */
  takeTurn(name: 'events'): Promise<void>
  /** Something happened that `listen` is told of, once it is committed. */
  announce(): void
}

export interface StepOptions {
  /**
   * For a step that changes what usage is resolved to, or where it is booked: nothing is being taken in while it runs, and
   * it sees all that was.
   */
  readonly excludesIngest?: boolean
  /** Steps of the same turn run one after the other, in all processes: they all want the same, and would undo one another. */
  readonly turn?: 'sending'
  /** What it decides on, it has locked row by row (`FOR UPDATE`): it waits for others instead of being run again for them. */
  readonly locksRows?: boolean
}

export interface SqlDatabase {
  readonly engine: 'sqlite' | 'postgres'
  /** Where it is, for messages: never with a password. */
  readonly name: string
  /**
   * Runs a step as if it were alone: all of it is durable when it resolves, or none of it happened. A step may be run more
   * than once, where another got in its way: it changes nothing but the database.
   *
   * @throws {DomainError} `ledger.busy` where others hold what it needs for too long, or the database is not reached
   */
  transaction<T>(step: (sql: Sql) => Promise<T>, options?: StepOptions): Promise<T>
  /** Reads one consistent state, with all that has resolved before. It never waits for a writer, of this process or another. */
  read<T>(step: (sql: Sql) => Promise<T>): Promise<T>
  /** The same for a single statement, which needs no transaction. */
  get(text: string, ...values: SqlValue[]): Promise<Row | undefined>
  /** Reads one consistent snapshot for as long as it takes, without holding up anybody. */
  snapshot<T>(step: (sql: Sql) => Promise<T>): Promise<T>
  /** @returns what ends it */
  listen(listener: () => void): () => void
  close(): void | Promise<void>
}
