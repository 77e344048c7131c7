/** The part of JSON Schema that the server's own document uses. What is not here is refused, so that no type is guessed. */
export interface Schema {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly allOf?: readonly Schema[]
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | Schema
  readonly description?: string
}

const REF = '#/components/schemas/'

/** A schema as a TypeScript type; objects take several lines, indented by `indent`. */
export function typeOf(schema: Schema, indent = ''): string {
  if (schema.$ref !== undefined) {
    if (!schema.$ref.startsWith(REF)) throw new Error(`a reference to elsewhere: ${schema.$ref}`)
    return schema.$ref.slice(REF.length)
  }
  if (schema.const !== undefined) return literal(schema.const)
  if (schema.enum !== undefined) return union(schema.enum.map(literal))
  const alternatives = schema.anyOf ?? schema.oneOf
  if (alternatives !== undefined) return union(alternatives.map((each) => typeOf(each, indent)))
  if (schema.allOf !== undefined) return schema.allOf.map((each) => typeOf(each, indent)).join(' & ')
  if (Array.isArray(schema.type)) {
    return union(schema.type.map((type: string) => typeOf({ ...schema, type }, indent)))
  }
  switch (schema.type) {
    case 'string':
    case 'boolean':
    case 'null':
      return schema.type
    case 'number':
    case 'integer':
      return 'number'
    case 'array': {
      const item = typeOf(schema.items ?? {}, indent)
      return /^[\w.]+$/.test(item) ? `readonly ${item}[]` : `ReadonlyArray<${item}>`
    }
    case 'object':
      return objectType(schema, indent)
    case undefined:
      return 'unknown'
    default:
      throw new Error(`no type is known for ${JSON.stringify(schema.type)}`)
  }
}

function objectType(
  { properties = {}, required = [], additionalProperties }: Schema,
  indent: string,
): string {
  const inner = `${indent}  `
  const names = Object.keys(properties)
  const more =
    typeof additionalProperties === 'object'
      ? typeOf(additionalProperties, inner)
      : additionalProperties === true || names.length === 0
        ? 'unknown'
        : undefined
  if (names.length === 0) return `Readonly<Record<string, ${more}>>`
  const lines = names.map((name) => {
    const property = properties[name]!
    const isRequired = required.includes(name)
    const type = typeOf(property, inner)
    return `${doc(property.description, inner)}${inner}readonly ${propertyName(name)}${isRequired ? '' : '?'}: ${isRequired ? type : union([type, 'undefined'])}\n`
  })
  // Beside named properties an index has to admit their types as well.
  if (more !== undefined) lines.push(`${inner}readonly [name: string]: unknown\n`)
  return `{\n${lines.join('')}${indent}}`
}

export function propertyName(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : literal(name)
}

/** A comment above what follows; nothing where nothing is said. */
export function doc(text: string | undefined, indent = ''): string {
  return text === undefined || text === '' ? '' : `${indent}/** ${text.replaceAll('*/', '* /')} */\n`
}

export function union(types: readonly string[]): string {
  return [...new Set(types)].join(' | ')
}

export function literal(value: unknown): string {
  return typeof value === 'string'
    ? `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
    : JSON.stringify(value)
}
