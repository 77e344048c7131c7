import { randomUUID } from 'node:crypto'
import { type DynamoPlace, openDynamoClient } from './client.ts'
import { deleteTable } from './table-definition.ts'

/**
 * A name for a table beside one, which is made when it is opened.
 *
 * @param remove - deletes it with all that is in it
 */
export function createScratchTable(place: DynamoPlace): {
  readonly table: string
  remove(): Promise<void>
} {
  const table = `${place.table}-rehearsal-${randomUUID().slice(0, 8)}`
  return {
    table,
    async remove() {
      const client = await openDynamoClient(place)
      try {
        await deleteTable(client, table)
      } finally {
        client.close()
      }
    },
  }
}
