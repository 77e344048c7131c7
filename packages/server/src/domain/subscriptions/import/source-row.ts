/** One row of a table as it came, whatever it was exported with. */
export interface SourceRow {
  /** Where a person finds it: `row 3`, `line 12`. */
  readonly where: string
  /** By their names as they came. Numbers of more than 15 digits are text. */
  readonly attributes: Readonly<Record<string, unknown>>
}

/** A row, or a part of it, that a person has to look at. */
export interface RowProblem {
  readonly where: string
  readonly reason: string
}

/**
 * A row's attributes by names that do not depend on who wrote them: `customerAWSAccountID`, `customerAwsAccountId` and
 * `customer_aws_account_id` are one.
 */
export interface Attributes {
  /** The first of these names that has a value. */
  text(...names: readonly string[]): string | undefined
  flag(...names: readonly string[]): boolean | undefined
  value(...names: readonly string[]): unknown
  /** All different texts under these names. */
  texts(...names: readonly string[]): readonly string[]
}

/** Longer ones are mistakes, or somebody's attempt. */
const TEXT_LENGTH_MAX = 2_000

export function readAttributes({ attributes }: SourceRow): Attributes {
  const values = new Map<string, unknown[]>()
  for (const [name, value] of Object.entries(attributes)) {
    const key = plainName(name)
    values.set(key, [...(values.get(key) ?? []), value])
  }
  const all = (names: readonly string[]) => names.flatMap((name) => values.get(plainName(name)) ?? [])
  const texts = (names: readonly string[]) => [...new Set(all(names).flatMap((value) => textOf(value) ?? []))]
  return {
    text: (...names) => texts(names)[0],
    texts: (...names) => texts(names),
    flag: (...names) => {
      for (const value of all(names)) {
        const flag = flagOf(value)
        if (flag !== undefined) return flag
      }
      return undefined
    },
    value: (...names) => all(names).find((value) => value !== undefined && value !== null && value !== ''),
  }
}

export function plainName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '')
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value)
  if (typeof value !== 'string') return undefined
  const text = value.trim()
  return text === '' || text.length > TEXT_LENGTH_MAX ? undefined : text
}

function flagOf(value: unknown): boolean | undefined {
  if (typeof value === 'boolean') return value
  const text = textOf(value)?.toLowerCase()
  if (text === 'true' || text === '1' || text === 'yes') return true
  return text === 'false' || text === '0' || text === 'no' ? false : undefined
}
