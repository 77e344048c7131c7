import type { Wire } from '../attributes.ts'
import { createExpression, toFound } from '../changes.ts'
import { createPatience } from '../patience.ts'
import { type Requests, sendRepeatably } from '../requests.ts'
import type { Item } from '../table.ts'

const PATIENCE_MS = 60_000

/** Which items: by the beginning of their keys, or by a whole one. */
export interface Where {
  readonly pk?: string
  readonly pkPrefix?: string
  readonly sk?: string
  readonly skPrefix?: string
}

/** One page of all items of a table, in an order that stays as it is while nobody writes. */
export async function scanPage(
  requests: Requests,
  table: string,
  where: Where,
  cursor: string | undefined,
): Promise<{ readonly items: readonly Item[]; readonly next: string | undefined }> {
  const expression = createExpression()
  const { name, value } = expression
  const conditions = [
    ...(where.pk === undefined ? [] : [`${name('pk')} = ${value({ S: where.pk })}`]),
    ...(where.sk === undefined ? [] : [`${name('sk')} = ${value({ S: where.sk })}`]),
    ...(where.pkPrefix === undefined ? [] : [`begins_with(${name('pk')}, ${value({ S: where.pkPrefix })})`]),
    ...(where.skPrefix === undefined ? [] : [`begins_with(${name('sk')}, ${value({ S: where.skPrefix })})`]),
  ]
  const answer = await sendRepeatably(
    requests,
    'Scan',
    {
      TableName: table,
      ConsistentRead: true,
      FilterExpression: conditions.join(' AND '),
      ...expression.parts(),
      ...(cursor !== undefined && { ExclusiveStartKey: JSON.parse(cursor) as Wire }),
    },
    createPatience(PATIENCE_MS),
  )
  return {
    items: (answer.Items ?? []).flatMap((wire) => toFound(wire).item ?? []),
    next: answer.LastEvaluatedKey === undefined ? undefined : JSON.stringify(answer.LastEvaluatedKey),
  }
}

export async function* scanAll(requests: Requests, table: string, where: Where): AsyncGenerator<Item> {
  let cursor: string | undefined
  do {
    const page = await scanPage(requests, table, where, cursor)
    yield* page.items
    cursor = page.next
  } while (cursor !== undefined)
}
