import { hash } from 'node:crypto'
import SerializerSelector from '@fastify/fast-json-stringify-compiler'

type Serializer = SerializerSelector.Serializer

/** Of a process: by the schemas that may be referred to, and by the schema itself. */
const compiled = new Map<string, Map<string, Serializer>>()

/**
 * Compiles each schema of an answer once, however many routes and statuses give it: all of them know the same problems, and to
 * compile these for each was most of what a start took.
 */
export function sharedSerializers(): SerializerSelector.SerializerFactory {
  const factory = SerializerSelector()
  return (externalSchemas, options) => {
    const compile = factory(externalSchemas, options)
    const known = compiledBeside(JSON.stringify([externalSchemas, options]))
    return (route) => {
      const schema = JSON.stringify(route.schema)
      let serializer = known.get(schema)
      if (serializer === undefined) {
        serializer = compile(route)
        known.set(schema, serializer)
      }
      return serializer
    }
  }
}

function compiledBeside(context: string): Map<string, Serializer> {
  const name = hash('sha256', context)
  let known = compiled.get(name)
  if (known === undefined) {
    known = new Map()
    compiled.set(name, known)
  }
  return known
}
