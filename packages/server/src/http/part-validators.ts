import ValidatorSelector from '@fastify/ajv-compiler'
import type { FastifySchemaCompiler } from 'fastify'
import { compileOnce } from './compile-once.ts'

type ValidatorFactory = ValidatorSelector.BuildCompilerFromPool
/** What the factory returns takes a route; its own type says that it takes a schema. */
type Compile = FastifySchemaCompiler<object>
type Route = Parameters<Compile>[0]
type Validate = ReturnType<Compile>
type External = Parameters<ValidatorFactory>[0]
type Options = Parameters<ValidatorFactory>[1]

/**
 * Queries, paths and headers are text: `limit=10` means the number. A body says what it means: `null` is not 0, and `"false"`
 * not a switch, so nothing of it is taken for something else.
 *
 * Names of headers in schemas are in lower case: with validators of its own, Fastify leaves them as they are.
 */
export function partValidators(): ValidatorFactory {
  const factory = ValidatorSelector()
  const compilerOf = (coerceTypes: boolean) =>
    compileOnce<Route, Validate, Options>(
      `validators ${coerceTypes}`,
      (externalSchemas, options) =>
        factory(
          externalSchemas as External,
          {
            ...options,
            customOptions: { ...options?.customOptions, coerceTypes },
          } as Options,
        ) as unknown as Compile,
    )
  const [ofText, ofBodies] = [compilerOf(true), compilerOf(false)]
  return (externalSchemas, options) => {
    const compileText = ofText(externalSchemas, options)
    const compileBody = ofBodies(externalSchemas, options)
    const compile: Compile = (route) => (route.httpPart === 'body' ? compileBody(route) : compileText(route))
    return compile as unknown as ReturnType<ValidatorFactory>
  }
}
