import type { TSchema } from 'typebox'

/** A schema as plain data: the parts of JSON Schema that ours are made of. */
export interface SchemaNode {
  readonly type?: string | readonly string[]
  readonly enum?: readonly unknown[]
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean
  readonly items?: SchemaNode
  readonly default?: unknown
  readonly description?: string
  readonly errorMessage?: string
  readonly numeric?: boolean
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly minItems?: number
  readonly maxItems?: number
}

export function asNode(schema: TSchema): SchemaNode {
  return schema
}
