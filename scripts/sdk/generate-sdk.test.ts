import { describe, expect, it } from 'vitest'
import { type Document, generateSdk } from './generate-sdk.ts'
import { typeOf } from './schema-types.ts'

const problem = { 400: { content: { 'application/problem+json': { schema: {} } } } }
const answer = (schema: object) => ({ content: { 'application/json': { schema } } })

const DOCUMENT: Document = {
  components: {
    schemas: { Thing: { type: 'object', required: ['id'], properties: { id: { type: 'string' } } } },
  },
  paths: {
    '/things/{thingId}': {
      get: {
        operationId: 'getThing',
        summary: 'One thing',
        parameters: [
          { in: 'path', name: 'thingId', required: true, schema: { type: 'string' } },
          { in: 'query', name: 'limit', required: true, schema: { type: 'integer', default: 5 } as object },
        ],
        responses: { 200: answer({ $ref: '#/components/schemas/Thing' }), ...problem },
        security: [{}],
      },
      post: {
        operationId: 'changeThing',
        parameters: [{ in: 'path', name: 'thingId', required: true, schema: { type: 'string' } }],
        requestBody: { content: { 'application/json': { schema: { type: ['object', 'null'] } } } },
        responses: { 200: answer({ type: 'array', items: { $ref: '#/components/schemas/Thing' } }) },
        security: [{}],
      },
    },
    '/page': { get: { operationId: 'getPage', responses: { 200: {} } } },
    ...Object.fromEntries(
      [
        'meter',
        'reportUsage',
        'validateQuota',
        'reserveQuota',
        'settleReservation',
        'releaseReservation',
        'trackUsage',
        'convertVisitor',
        'createSubscription',
      ].map((operationId) => [
        `/${operationId}`,
        { post: { operationId, responses: { 200: answer({}) }, security: [{}] } },
      ]),
    ),
  },
}

describe('the SDK’s generator', () => {
  it('makes a type, a method and a row of each operation for programs', () => {
    const text = generateSdk(DOCUMENT)
    expect(text).toContain('export interface Thing {\n  readonly id: string\n}')
    expect(text).toContain(
      'export interface GetThingParams {\n  readonly thingId: string\n  readonly limit?: number | undefined\n}',
    )
    expect(text).toContain('  getThing(params: GetThingParams, options?: CallOptions): Promise<Thing>')
    expect(text).toContain(
      '  changeThing(params: ChangeThingParams, body?: ChangeThingBody, options?: CallOptions): Promise<ChangeThingAnswer>',
    )
    expect(text).toContain(
      "getThing: { method: 'GET', path: '/things/{thingId}', repeat: 'always', query: ['limit'], input: 'params' }",
    )
    expect(text).toContain(
      "changeThing: { method: 'POST', path: '/things/{thingId}', repeat: 'never', input: 'both' }",
    )
    expect(text).not.toContain('getPage')
  })

  it('knows each operation that may be repeated', () => {
    expect(() => generateSdk({ ...DOCUMENT, paths: {} })).toThrow(
      'meter may be repeated, and is no operation',
    )
  })

  it.each([
    [{ enum: ['a', 1] }, "'a' | 1"],
    [{ const: "it's" }, "'it\\'s'"],
    [{ type: ['number', 'string'] }, 'number | string'],
    [{ anyOf: [{ type: 'integer' }, { type: 'number' }] }, 'number'],
    [{ type: 'array', items: { type: 'string' } }, 'readonly string[]'],
    [{ type: 'array', items: { enum: ['a', 'b'] } }, "ReadonlyArray<'a' | 'b'>"],
    [{ type: 'object', additionalProperties: { type: 'string' } }, 'Readonly<Record<string, string>>'],
    [{}, 'unknown'],
  ])('writes %j', (schema, type) => {
    expect(typeOf(schema)).toBe(type)
  })

  it('guesses no type', () => {
    expect(() => typeOf({ type: 'date' })).toThrow('no type is known')
    expect(() => typeOf({ $ref: 'other.json' })).toThrow('a reference to elsewhere')
  })
})
