import type { Reader, Table } from './table.ts'

/**
 * Reads for what is kept as long as an epoch stands: who has seen an epoch sees all that was changed with it. Ranges are
 * read as ever.
 */
export function settledReader(table: Table): Reader {
  return {
    get: async (key) => (await table.getSettled([key]))[0],
    getMany: (keys) => table.getSettled(keys),
    query: (range) => table.query(range),
    queryIndex: (index, range) => table.queryIndex(index, range),
  }
}
