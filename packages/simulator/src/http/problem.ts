import { SimulatorError, type SimulatorErrorCode } from '../errors.ts'
import type { HttpResponse } from './message.ts'

/** A request that HTTP itself forbids: wrong method, wrong media type, another site's. */
export class HttpError extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.name = 'HttpError'
    this.status = status
  }
}

/** The one place where a code meets a status; a new code without one does not compile. */
const STATUS = {
  invalid: 400,
  not_found: 404,
  conflict: 409,
  state_file: 500,
} satisfies Record<SimulatorErrorCode, number>

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad request',
  403: 'Forbidden',
  404: 'Not found',
  405: 'Method not allowed',
  409: 'Conflict',
  413: 'Too large',
  415: 'Unsupported media type',
  421: 'Misdirected request',
  500: 'Internal error',
}

export function problemOf(error: unknown): { status: number; title: string; detail: string } {
  if (error instanceof HttpError) return problem(error.status, error.message)
  if (error instanceof SimulatorError) return problem(STATUS[error.code], error.message)
  return problem(500, 'The simulator failed; this is a bug of its own.')
}

function problem(status: number, detail: string) {
  return { status, title: TITLES[status] ?? 'Error', detail }
}

/** RFC 9457. */
export function problemResponse(error: unknown): HttpResponse {
  const { status, title, detail } = problemOf(error)
  return {
    status,
    headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store' },
    body: `${JSON.stringify({ type: 'about:blank', title, status, detail })}\n`,
  }
}
