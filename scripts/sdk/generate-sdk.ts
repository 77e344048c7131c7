import { doc, literal, propertyName, type Schema, typeOf, union } from './schema-types.ts'

interface Parameter {
  readonly in: 'path' | 'query' | 'header'
  readonly name: string
  readonly required?: boolean
  readonly description?: string
  readonly schema: Schema
}

type Content = Readonly<Record<string, { readonly schema?: Schema }>>

interface Operation {
  readonly operationId: string
  readonly summary?: string
  readonly description?: string
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly required?: boolean; readonly content: Content }
  readonly responses: Readonly<Record<string, { readonly content?: Content }>>
  readonly security?: readonly unknown[]
}

export interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly webhooks?: Readonly<Record<string, { readonly post: Operation }>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}

const JSON_TYPE = 'application/json'
/** Asked without a key, and for programs all the same. All else without one is for browsers, AWS or Prometheus. */
const PUBLIC = ['getHealth', 'getReadiness']

/**
 * What may be sent again where no answer came, besides GET, PUT and DELETE. An operation that is not here is sent once.
 * - `always`: what it does is known by what is in the body: the events' own ids, a reservation's, a visitor's, running totals
 * - `id`: where the body has an id, or only looks
 * - `header`: where it has an idempotency key
 */
const REPEATABLE: Readonly<Record<string, 'always' | 'id' | 'header'>> = {
  meter: 'always',
  reportUsage: 'always',
  validateQuota: 'id',
  reserveQuota: 'id',
  settleReservation: 'always',
  releaseReservation: 'always',
  convertVisitor: 'always',
  trackUsage: 'always',
  createSubscription: 'header',
}

/** TypeScript for the SDK: a type for each schema, an interface of all operations, and how each is asked. */
export function generateSdk(document: Document): string {
  const schemas = Object.entries(document.components.schemas)
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, operation]) => isForPrograms(operation))
      .map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  )
  for (const name of Object.keys(REPEATABLE)) {
    if (!operations.some(({ operation }) => operation.operationId === name)) {
      throw new Error(`${name} may be repeated, and is no operation: look at REPEATABLE`)
    }
  }
  return [
    `// Generated from the OpenAPI document by \`npm run generate\`. Change the routes, not this file.
import type { CallOptions } from '../client/call.ts'
`,
    ...schemas.map(([name, schema]) => declaration(name, schema)),
    ...operations.flatMap(({ operation }) => operationTypes(operation)),
    webhookTypes(document.webhooks ?? {}),
    `export interface Operations {\n${operations.map(({ operation }) => signature(operation)).join('')}}\n`,
    `export type Repeat = 'always' | 'id' | 'header' | 'never'\n`,
    `/** How an operation is asked. \`query\` and \`headers\` name its parameters that are no part of the path. */
export interface HowToAsk {
  readonly method: string
  readonly path: string
  readonly repeat: Repeat
  readonly query?: readonly string[]
  readonly headers?: readonly string[]
  /** What its method takes before the options. */
  readonly input: 'none' | 'params' | 'body' | 'both'
}

export const OPERATIONS: Readonly<Record<keyof Operations, HowToAsk>> = {
${operations.map(({ method, path, operation }) => tableRow(method, path, operation)).join('')}}
`,
  ].join('\n')
}

function isForPrograms({ operationId, security, responses }: Operation): boolean {
  const answersJson = Object.entries(responses).some(
    ([status, { content }]) => status.startsWith('2') && content?.[JSON_TYPE] !== undefined,
  )
  return answersJson && (security !== undefined || PUBLIC.includes(operationId))
}

function declaration(name: string, schema: Schema): string {
  const type = typeOf(schema)
  const isInterface = schema.type === 'object' && type.startsWith('{')
  return `${doc(schema.description)}export ${isInterface ? `interface ${name} ${type}` : `type ${name} = ${type}`}\n`
}

function operationTypes(operation: Operation): string[] {
  const name = capitalized(operation.operationId)
  const { parameters = [] } = operation
  const types: string[] = []
  if (parameters.length > 0) {
    const properties = Object.fromEntries(
      parameters.map(({ name, schema, description }) => [
        name,
        { ...schema, ...(description !== undefined && { description }) },
      ]),
    )
    const required = parameters.filter(isNeeded).map(({ name }) => name)
    types.push(declaration(`${name}Params`, { type: 'object', properties, required }))
  }
  const body = bodyOf(operation)
  if (body !== undefined && body.$ref === undefined) types.push(declaration(`${name}Body`, body))
  const answer = answersOf(operation)
  const [only] = answer
  if (answer.length > 1 || (only !== undefined && only.$ref === undefined)) {
    types.push(declaration(`${name}Answer`, answer.length === 1 ? only! : { anyOf: answer }))
  }
  return types
}

function signature(operation: Operation): string {
  const name = capitalized(operation.operationId)
  const { parameters = [], summary, description } = operation
  const said = [summary === undefined ? '' : `${summary.replace(/([^.?!])$/, '$1.')}`, description].filter(
    Boolean,
  )
  const body = bodyOf(operation)
  const isOptional = !parameters.some(isNeeded)
  const given = [
    ...(parameters.length > 0 ? [`params${isOptional && body === undefined ? '?' : ''}: ${name}Params`] : []),
    ...(body === undefined
      ? []
      : [`body${isNullable(body) ? '?' : ''}: ${body.$ref === undefined ? `${name}Body` : typeOf(body)}`]),
    'options?: CallOptions',
  ]
  const answers = answersOf(operation)
  const [only] = answers
  const answer = answers.length === 1 && only!.$ref !== undefined ? typeOf(only!) : `${name}Answer`
  return `${doc(said.join('\n   *\n   * '), '  ')}  ${propertyName(operation.operationId)}(${given.join(', ')}): Promise<${answer}>\n`
}

function tableRow(method: string, path: string, operation: Operation): string {
  const { operationId, parameters = [] } = operation
  const names = (where: 'query' | 'header') => {
    const found = parameters.filter((each) => each.in === where).map(({ name }) => literal(name))
    const field = where === 'query' ? 'query' : 'headers'
    return found.length === 0 ? '' : ` ${field}: [${found.join(', ')}],`
  }
  const repeat = REPEATABLE[operationId] ?? (method === 'POST' ? 'never' : 'always')
  const hasBody = bodyOf(operation) !== undefined
  const input = parameters.length > 0 ? (hasBody ? 'both' : 'params') : hasBody ? 'body' : 'none'
  return `  ${propertyName(operationId)}: { method: '${method}', path: '${path}', repeat: '${repeat}',${names('query')}${names('header')} input: '${input}' },\n`
}

function webhookTypes(webhooks: NonNullable<Document['webhooks']>): string {
  const names: string[] = []
  const types = Object.entries(webhooks).map(([, { post }]) => {
    const name = `${capitalized(post.operationId.replace(/^on/, ''))}Event`
    names.push(name)
    return declaration(name, {
      ...bodyOf(post)!,
      ...(post.summary !== undefined && { description: post.summary }),
    })
  })
  return [
    ...types,
    `/** What Tollkeeper posts to your webhooks. */\nexport type WebhookEvent = ${union(names)}\n`,
  ].join('\n')
}

function bodyOf({ requestBody }: Operation): Schema | undefined {
  return requestBody?.content[JSON_TYPE]?.schema
}

/** The types of all answers that are no problem; what a 200 and a 201 share is said once. */
function answersOf({ responses }: Operation): Schema[] {
  const schemas = Object.entries(responses)
    .filter(([status]) => status.startsWith('2'))
    .flatMap(([, { content }]) => content?.[JSON_TYPE]?.schema ?? [])
  return schemas.filter((schema, index) => schemas.findIndex((other) => same(schema, other)) === index)
}

function same(one: Schema, other: Schema): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

/** The document calls what has a default required, as it always has a value on the other side. */
function isNeeded({ required, schema }: Parameter): boolean {
  return required === true && !('default' in schema)
}

function isNullable({ type }: Schema): boolean {
  return Array.isArray(type) && type.includes('null')
}

function capitalized(name: string): string {
  return `${name.charAt(0).toUpperCase()}${name.slice(1)}`
}
