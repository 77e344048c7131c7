import { DomainError } from '../../domain/error.ts'
import type { Dimension } from '../../domain/products/product.ts'
import type { AggregationPeriod } from '../../domain/usage/aggregation.ts'
import { BASE_UNITS_PER_UNIT_MAX } from '../../domain/usage/quantity.ts'
import { decimalsOf, plainDecimal } from './decimal-text.ts'
import type { Fields } from './log-line.ts'

/** More than AWS takes by default for one product (24), less than would make a report unreadable. */
export const DIMENSIONS_MAX = 100

const SCALE_MAX = 6
const AGGREGATIONS = ['count', 'sum', 'max', 'unique'] as const
/** AWS's dimension keys. */
const KEY = /^[A-Za-z0-9_.-]{1,100}$/
const PRICE = /^(?:0|[1-9]\d{0,11})(?:\.\d{1,12})?$/
const EXAMPLE = '--dimension requests=count or --dimension egress_mb=sum:bytes/1000000'

/** A dimension and the field of the log that it counts. */
export interface DimensionSpec {
  readonly dimension: Dimension
  /** None for `count`. */
  readonly field: string | undefined
}

export interface DimensionOptions {
  /** `NAME=count|sum:FIELD|max:FIELD[@PERIOD]|unique:FIELD[@PERIOD][/UNIT]`, one for each `--dimension`. */
  readonly dimensions: readonly string[]
  /** `NAME=0.002`: US dollars for one billed unit. */
  readonly prices?: readonly string[]
  /** `NAME=2`: decimals that the field's values may have. Where it is not said, the log tells. */
  readonly scales?: readonly string[]
}

/** What `--dimension`, `--price` and `--scale` say. The scales that they leave open, the log decides. */
export interface DimensionPlan {
  readonly specs: readonly DimensionSpec[]
  /** Names of the dimensions whose scale is to be taken from the log. */
  readonly openScales: ReadonlySet<string>
}

/**
 * Reads `--dimension`, `--price` and `--scale`. `FIELD` may be a dotted path. `@hour`, `@day` or `@month` after
 * it is the period over which `max` and `unique` are taken: a month if not said, as AWS bills by the month.
 * `/UNIT` is how many reported units make a billed one.
 *
 * @throws {DomainError} `request.invalid`, one line that says what to write instead
 */
export function parseDimensionPlan(options: DimensionOptions): DimensionPlan {
  if (options.dimensions.length === 0) throw invalid(`say what to bill, e.g. ${EXAMPLE}`)
  if (options.dimensions.length > DIMENSIONS_MAX) throw invalid(`at most ${DIMENSIONS_MAX} dimensions`)
  const parsed = options.dimensions.map(parseDimension)
  const names = parsed.map((spec) => spec.dimension.key)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined)
    throw invalid(`--dimension ${twice} is given twice: give each dimension its own name`)
  const prices = parseSettings('--price', '0.002', options.prices ?? [], names, (value) =>
    PRICE.test(value)
      ? value
      : invalid(`must be US dollars for one unit in plain digits, e.g. 0.002, not ${show(value)}`),
  )
  const scales = parseSettings('--scale', '2', options.scales ?? [], names, (value) =>
    /^[0-6]$/.test(value) ? Number(value) : invalid(`must be 0 to ${SCALE_MAX} decimals, not ${show(value)}`),
  )
  const specs = parsed.map((spec) => {
    const { key } = spec.dimension
    const scale = scales.get(key) ?? 0
    if (scale > scaleMax(spec.dimension.unitSize))
      throw invalid(
        `--scale ${key}=${scale} is too fine for its unit of ${spec.dimension.unitSize}: at most ${scaleMax(spec.dimension.unitSize)}`,
      )
    if (scale > 0 && !hasQuantity(spec))
      throw invalid(`--scale ${key} is of no use: ${spec.dimension.aggregation} counts whole things`)
    return { ...spec, dimension: { ...spec.dimension, scale, price: prices.get(key) } }
  })
  const openScales = specs.filter((spec) => hasQuantity(spec) && !scales.has(spec.dimension.key))
  return { specs, openScales: new Set(openScales.map((spec) => spec.dimension.key)) }
}

/** Finds the scales that a plan leaves open, in a pass over the log before any usage is reported. */
export interface ScaleFinder {
  see(fields: Fields): void
  /** The plan's dimensions with as many decimals as the values seen have, as far as their units allow. */
  specs(): readonly DimensionSpec[]
}

export function createScaleFinder(plan: DimensionPlan): ScaleFinder {
  const open = plan.specs.filter((spec) => plan.openScales.has(spec.dimension.key))
  const found = new Map<string, number>()
  return {
    see(fields) {
      for (const { dimension, field } of open) {
        const text = field === undefined ? undefined : fields[field]
        if (text === undefined) continue
        const plain = plainDecimal(text)
        if (typeof plain !== 'string') continue
        const decimals = decimalsOf(plain)
        if (decimals > (found.get(dimension.key) ?? 0)) found.set(dimension.key, decimals)
      }
    },
    specs: () =>
      plan.specs.map((spec) => {
        const decimals = found.get(spec.dimension.key)
        if (decimals === undefined) return spec
        const scale = Math.min(decimals, scaleMax(spec.dimension.unitSize))
        return { ...spec, dimension: { ...spec.dimension, scale } }
      }),
  }
}

function hasQuantity(spec: DimensionSpec): boolean {
  return spec.dimension.aggregation === 'sum' || spec.dimension.aggregation === 'max'
}

function scaleMax(unitSize: bigint): number {
  let scale = 0
  while (scale < SCALE_MAX && unitSize * 10n ** BigInt(scale + 1) <= BASE_UNITS_PER_UNIT_MAX) scale++
  return scale
}

function parseDimension(text: string): DimensionSpec {
  const equals = text.indexOf('=')
  if (equals === -1) throw invalid(`--dimension ${show(text)} has no "=": write e.g. ${EXAMPLE}`)
  const key = text.slice(0, equals)
  const option = `--dimension ${show(text)}`
  if (!KEY.test(key))
    throw invalid(`${option}: a name is 1 to 100 letters, digits or _ . - (AWS's dimension key)`)
  const match = /^([a-z]*)(?::(.*?))?(?:\/([^/]*))?$/s.exec(text.slice(equals + 1))
  const aggregation = AGGREGATIONS.find((name) => name === match?.[1])
  if (!match || aggregation === undefined)
    throw invalid(`${option}: after "=" write count, sum:FIELD, max:FIELD or unique:FIELD`)
  const { field, per } = parseField(option, aggregation, match[2])
  return {
    dimension: {
      key,
      name: key,
      aggregation,
      per,
      scale: 0,
      unitSize: parseUnit(option, match[3]),
      holdAbove: undefined,
      onDeadline: 'release',
      remainder: 'forgive',
      reportZero: false,
      price: undefined,
      metrics: [],
      meteredBy: 'product',
    },
    field,
  }
}

function parseField(
  option: string,
  aggregation: (typeof AGGREGATIONS)[number],
  text: string | undefined,
): { field: string | undefined; per: AggregationPeriod } {
  if (aggregation === 'count') {
    if (text !== undefined) throw invalid(`${option}: count takes no field: every event is one`)
    return { field: undefined, per: 'hour' }
  }
  const match = /^(.*?)(?:@(hour|day|month))?$/s.exec(text ?? '')
  const field = match?.[1] ?? ''
  if (field === '') throw invalid(`${option}: say which field, e.g. ${aggregation}:bytes`)
  const period = match?.[2]
  if (aggregation === 'sum') {
    if (period !== undefined)
      throw invalid(`${option}: only max and unique have a period: leave out @${period}`)
    return { field, per: 'hour' }
  }
  return { field, per: period === 'hour' || period === 'day' ? period : 'month' }
}

function parseUnit(option: string, text: string | undefined): bigint {
  if (text === undefined) return 1n
  if (!/^[1-9]\d{0,9}$/.test(text) || BigInt(text) > BASE_UNITS_PER_UNIT_MAX)
    throw invalid(
      `${option}: after "/" write how many make one billed unit, a whole number from 1 to ${BASE_UNITS_PER_UNIT_MAX}`,
    )
  return BigInt(text)
}

/** Reads `NAME=VALUE` options. `read` returns the value, or the error that says what is wrong with it. */
function parseSettings<T extends string | number>(
  option: string,
  example: string,
  texts: readonly string[],
  names: readonly string[],
  read: (value: string) => T | DomainError,
): ReadonlyMap<string, T> {
  const settings = new Map<string, T>()
  for (const text of texts) {
    const equals = text.indexOf('=')
    if (equals === -1)
      throw invalid(`${option} ${show(text)} has no "=": write e.g. ${option} ${names[0]}=${example}`)
    const name = text.slice(0, equals)
    if (!names.includes(name))
      throw invalid(`${option} ${show(text)}: no such dimension; there is ${names.join(', ')}`)
    if (settings.has(name)) throw invalid(`${option} ${name} is given twice`)
    const value = read(text.slice(equals + 1))
    if (value instanceof DomainError) throw invalid(`${option} ${name} ${value.message}`)
    settings.set(name, value)
  }
  return settings
}

function show(text: string): string {
  return JSON.stringify(text.length <= 80 ? text : `${text.slice(0, 80)}…`)
}

function invalid(message: string): DomainError {
  return new DomainError('request.invalid', message)
}
