/** What a failed item tells a person. */
export interface FindingText {
  readonly expected: string
  readonly seen: string
  /** Where to look: a setting, a command, a page. */
  readonly look: string
}

/** An item of the checklist did not hold. */
export class Finding extends Error {
  readonly expected: string
  readonly seen: string
  readonly look: string

  constructor({ expected, seen, look }: FindingText) {
    super(`expected ${expected}, saw ${seen}`)
    this.name = 'Finding'
    this.expected = expected
    this.seen = seen
    this.look = look
  }
}

/** @throws {Finding} unless it holds */
export function expectThat(holds: boolean, finding: FindingText): asserts holds {
  if (!holds) throw new Finding(finding)
}

/** @throws {Finding} unless both are the same, compared as JSON */
export function expectSame(
  what: string,
  { expected, seen, look }: { readonly expected: unknown; readonly seen: unknown; readonly look: string },
): void {
  const [wanted, found] = [shown(expected), shown(seen)]
  if (wanted !== found) throw new Finding({ expected: `${what} ${wanted}`, seen: found, look })
}

const SHOWN_LENGTH_MAX = 300

/** A value in one line. */
export function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value, writeBigInt) ?? String(value))
  const line = text.replace(/\s+/g, ' ')
  return line.length > SHOWN_LENGTH_MAX ? `${line.slice(0, SHOWN_LENGTH_MAX - 1)}…` : line
}

function writeBigInt(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}
