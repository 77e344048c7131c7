import type { TSchema } from 'typebox'
import Value from 'typebox/value'
import { closestName } from '../domain/closest-name.ts'
import { type ConfigProblem, shown } from './config-error.ts'
import { asNode, type SchemaNode } from './schema-node.ts'
import { type Pointer, pathText, type Source, type Tree, valueAt } from './source.ts'

/** Adds a problem at a value, at its key, or at the variable that stands in its place. */
export function problemAt(
  source: Source,
  pointer: Pointer,
  message: string,
  at: 'key' | 'value' = 'value',
): ConfigProblem {
  const variable = source.overriddenBy(pointer)
  if (variable !== undefined) return { file: 'environment', line: 0, column: 0, path: variable, message }
  const place = at === 'key' ? source.placeOfKey(pointer) : source.place(pointer)
  return { file: source.name, ...place, path: pathText(pointer), message }
}

/**
 * Fills in defaults, takes digits for text where the schema says so, and checks the rest with the schema.
 *
 * @returns the value with its defaults, of the schema's type if there are no problems
 */
export function checkSchema(schema: TSchema, source: Source): { value: unknown; problems: ConfigProblem[] } {
  const root = asNode(schema)
  const value = prepare(root, source.tree, [], source)
  const problems: ConfigProblem[] = []
  for (const error of Value.Errors(schema, value)) {
    const pointer = pointerOf(error.instancePath, value)
    const node = schemaAt(root, pointer)
    if (error.keyword === 'additionalProperties') {
      const known = Object.keys(node?.properties ?? {})
      for (const name of error.params.additionalProperties) {
        const meant = closestName(name, known)
        problems.push(
          problemAt(
            source,
            [...pointer, name],
            `is not a setting: ${meant ? `did you mean \`${meant}\`?` : `known here: ${known.join(', ')}`}`,
            'key',
          ),
        )
      }
    } else if (error.keyword === 'required') {
      for (const name of error.params.requiredProperties) {
        const missing = problemAt(source, pointer, `is missing${hint(node?.properties?.[name])}`)
        problems.push({ ...missing, path: pathText([...pointer, name]) })
      }
    } else if (error.keyword !== 'boolean') {
      problems.push(
        problemAt(source, pointer, mustBe(node, valueAt(value, pointer), source.isSecret(pointer))),
      )
    }
  }
  return { value, problems: firstPerPlace(problems) }
}

/** One value may break several rules of the schema; a person needs to hear of it once. */
function firstPerPlace(problems: readonly ConfigProblem[]): ConfigProblem[] {
  const seen = new Set<string>()
  return problems.filter(({ path }) => !seen.has(path) && seen.add(path))
}

function mustBe(node: SchemaNode | undefined, value: unknown, secret: boolean): string {
  if (!node) return 'is not possible here'
  return `must be ${expected(node)}${secret ? '' : `, not ${shown(value)}`}${hint(node)}`
}

function hint(node: SchemaNode | undefined): string {
  return node?.description ? `: ${node.description}` : ''
}

/** What a value must be, in words. */
export function expected(node: SchemaNode): string {
  if (node.errorMessage) return node.errorMessage
  if (node.enum) return oneOf(node.enum.map(String))
  const { minimum, maximum, exclusiveMinimum, minLength, maxLength, maxItems } = node
  switch (node.type) {
    case 'integer':
    case 'number': {
      const kind = node.type === 'integer' ? 'a whole number' : 'a number'
      if (exclusiveMinimum !== undefined)
        return `${kind} above ${exclusiveMinimum}${maximum === undefined ? '' : `, at most ${maximum}`}`
      return minimum === undefined ? kind : `${kind} from ${minimum} to ${maximum}`
    }
    case 'boolean':
      return '`true` or `false`'
    case 'string':
      return maxLength === undefined ? 'text' : `text of ${minLength ?? 0} to ${maxLength} characters`
    case 'array':
      return maxItems === undefined ? 'a list' : `a list of at most ${maxItems}, none of them twice`
    default:
      return 'a mapping of names to values'
  }
}

function oneOf(words: readonly string[]): string {
  const quoted = words.map((word) => `\`${word}\``)
  return quoted.length < 2 ? quoted.join('') : `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}`
}

function prepare(node: SchemaNode, value: Tree | undefined, pointer: Pointer, source: Source): unknown {
  if (Array.isArray(value)) {
    const { items } = node
    return items ? value.map((item, index) => prepare(items, item, [...pointer, index], source)) : value
  }
  if (typeof value === 'object' && value !== null) {
    const result: Record<string, unknown> = {}
    for (const [key, item] of Object.entries(value)) {
      const property = propertyOf(node, key)
      // `server:` with nothing below it, or with its lines commented out, says nothing
      if (property && item === null) continue
      result[key] = property ? prepare(property, item, [...pointer, key], source) : item
    }
    for (const [key, property] of Object.entries(node.properties ?? {})) {
      if (Object.hasOwn(result, key) || property.default === undefined) continue
      result[key] = prepare(property, structuredClone(property.default) as Tree, [...pointer, key], source)
    }
    return result
  }
  if (node.numeric && typeof value === 'number') return source.numberText(pointer) ?? value
  if (typeof value === 'string' && source.isSecret(pointer)) return fromText(node, value)
  return value
}

/** A variable is always text; the schema says what it stands for. */
function fromText(node: SchemaNode, text: string): unknown {
  if ((node.type === 'integer' || node.type === 'number') && /^-?\d{1,15}(\.\d{1,15})?$/.test(text))
    return Number(text)
  if (node.type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true'
  return text
}

function propertyOf(node: SchemaNode, key: string): SchemaNode | undefined {
  if (node.properties && Object.hasOwn(node.properties, key)) return node.properties[key]
  return node.patternProperties ? Object.values(node.patternProperties)[0] : undefined
}

function schemaAt(root: SchemaNode, pointer: Pointer): SchemaNode | undefined {
  let node: SchemaNode | undefined = root
  for (const step of pointer) node = typeof step === 'number' ? node?.items : node && propertyOf(node, step)
  return node
}

/** A JSON pointer as steps: digits are a position only where there is a list. */
function pointerOf(text: string, root: unknown): Pointer {
  const pointer: (string | number)[] = []
  let value = root
  for (const part of text.split('/').slice(1)) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~')
    pointer.push(Array.isArray(value) ? Number(name) : name)
    value = valueAt(root, pointer)
  }
  return pointer
}
