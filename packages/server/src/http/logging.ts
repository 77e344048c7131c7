import type { FastifyRequest } from 'fastify'
import type { LoggerOptions } from 'pino'

/**
 * For the logger that is passed to `createHttpApp`: what is secret never reaches a log line, nor does what names a
 * person. A request is its method and its route's pattern: addresses may hold anything.
 */
export const LOGGER_OPTIONS: LoggerOptions = {
  redact: {
    paths: [
      'authorization',
      'token',
      'secret',
      '*.authorization',
      '*.token',
      '*.secret',
      'body.key',
      '*.body.key',
      'headers.authorization',
      'headers.cookie',
      '*.headers.authorization',
      '*.headers.cookie',
      '["x-amzn-marketplace-token"]',
      '*["x-amzn-marketplace-token"]',
    ],
    censor: '[redacted]',
  },
  serializers: {
    req: (request: FastifyRequest) => ({ method: request.method, route: request.routeOptions?.url }),
  },
}

/** An error without secrets and personal data that it may quote, for the log. */
export function withoutSecret(error: unknown, ...secrets: readonly string[]): unknown {
  const forms = secrets
    .filter((secret) => secret !== '')
    .flatMap((secret) => [secret, encodeURIComponent(secret)])
  if (!(error instanceof Error) || forms.length === 0) return error
  const clean = (text: string) => forms.reduce((rest, form) => rest.replaceAll(form, '[redacted]'), text)
  const copy = new Error(clean(error.message))
  copy.name = error.name
  copy.stack = clean(error.stack ?? '')
  return copy
}
