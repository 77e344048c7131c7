import ValidatorSelector from '@fastify/ajv-compiler'
import type { FastifySchemaCompiler } from 'fastify'

type ValidatorFactory = ValidatorSelector.BuildCompilerFromPool
/** What the factory returns takes a route; its own type says that it takes a schema. */
type Compile = FastifySchemaCompiler<object>

/**
 * Queries, paths and headers are text: `limit=10` means the number. A body says what it means: `null` is not 0, and `"false"`
 * not a switch, so nothing of it is taken for something else.
 *
 * Names of headers in schemas are in lower case: with validators of its own, Fastify leaves them as they are.
 */
export function partValidators(): ValidatorFactory {
  const factory = ValidatorSelector()
  return (externalSchemas, options) => {
    const build = (coerceTypes: boolean) =>
      factory(externalSchemas, {
        ...options,
        customOptions: { ...options?.customOptions, coerceTypes },
      } as Parameters<ValidatorFactory>[1]) as unknown as Compile
    // Each is made when the first schema needs it: many routes have no body.
    let ofText: Compile | undefined
    let ofBodies: Compile | undefined
    const compile: Compile = (route) => {
      if (route.httpPart === 'body') {
        ofBodies ??= build(false)
        return ofBodies(route)
      }
      ofText ??= build(true)
      return ofText(route)
    }
    return compile as unknown as ReturnType<ValidatorFactory>
  }
}
