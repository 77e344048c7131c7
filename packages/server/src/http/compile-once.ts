import { hash } from 'node:crypto'

/** Of this process: by what else the schemas may refer to, and by the schema itself. */
const compiled = new Map<string, Map<string, unknown>>()

/**
 * Compiles each schema once in a process, however many routes and statuses have it: all of them know the same problems, and to
 * compile these for each was most of what a start took.
 *
 * @param kind - what it is compiled to
 * @param factory - as Fastify asks for it: given all that may be referred to, and the options
 */
export function compileOnce<Route extends { readonly schema?: unknown }, Made, Options>(
  kind: string,
  factory: (externalSchemas: unknown, options: Options) => (route: Route) => Made,
): (externalSchemas?: unknown, options?: Options) => (route: Route) => Made {
  return (externalSchemas, options) => {
    const known = compiledBeside(JSON.stringify([kind, externalSchemas, options]))
    let compile: ((route: Route) => Made) | undefined
    return (route) => {
      const schema = JSON.stringify(route.schema)
      if (!known.has(schema)) {
        compile ??= factory(externalSchemas, options as Options)
        known.set(schema, compile(route))
      }
      return known.get(schema) as Made
    }
  }
}

function compiledBeside(context: string): Map<string, unknown> {
  const name = hash('sha256', context)
  let known = compiled.get(name)
  if (known === undefined) {
    known = new Map()
    compiled.set(name, known)
  }
  return known
}
