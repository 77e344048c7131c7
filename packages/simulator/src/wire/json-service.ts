import { randomUUID } from 'node:crypto'
import type { VirtualClock } from '../clock/virtual-clock.ts'
import type { DeliveryInside } from '../delivery/delivery.ts'
import type { DeliveryOperation, Fault, FaultBook } from '../faults/faults.ts'
import { AwsError } from '../marketplace/aws-error.ts'
import type { CallLog } from './call-log.ts'
import type { AwsReply } from './handle-aws.ts'

/** One authenticated call of a service that carries notifications: SQS or EventBridge. */
export interface ServiceRequest {
  /** `AmazonSQS.ReceiveMessage`, `AWSEvents.PutEvents`, … */
  readonly target: string
  readonly body: string
  readonly region: string
  /** Where the caller reached us, e.g. `http://127.0.0.1:4010`: URLs of queues begin with it. */
  readonly origin: string
  /** Aborted when the caller is gone: nothing must be received for nobody. */
  readonly signal?: AbortSignal
}

export interface ServiceDoor {
  readonly clock: VirtualClock
  readonly delivery: DeliveryInside
  readonly faults: FaultBook
  readonly calls: CallLog
  readonly sellerAccountId: () => string
}

export type Input = Readonly<Record<string, unknown>>

/** A JSON service as AWS writes them. */
export interface JsonService {
  /** What `X-Amz-Target` begins with. */
  readonly prefix: string
  /** The service that credentials must be scoped to. */
  readonly scope: string
  readonly contentType: string
  /** Namespace of its error codes in `__type`, where it writes one. */
  readonly namespace: string
  readonly internalError: string
  readonly operations: readonly string[]
  /** @throws {AwsError} */
  perform(operation: string, input: Input, call: ServiceCall): Promise<object> | object
  /** More headers of an error. */
  errorHeaders?(error: AwsError): Record<string, string>
  /** Whether the call is worth a line in the log. */
  isLogged?(operation: string, output: object): boolean
}

export interface ServiceCall extends ServiceDoor {
  readonly request: ServiceRequest
  /** For `unprocessed` faults: whether an entry is to fail. */
  readonly fails: () => boolean
}

const SLOW_DEFAULT_MS = 1_000

/** Answers one call; never throws. Faults are as of the marketplace's operations, for those that name this one. */
export async function answerService(
  service: JsonService,
  door: ServiceDoor,
  request: ServiceRequest,
): Promise<AwsReply> {
  const operation = request.target.slice(service.prefix.length)
  const fault = door.faults.isEmpty
    ? undefined
    : door.faults.strike(operation as DeliveryOperation, () => undefined)
  const { reply, outcome, isLogged } = await answer(service, door, request, operation, fault)
  if (isLogged || fault !== undefined) {
    door.calls.add({
      at: door.clock.now(),
      operation: service.operations.includes(operation) ? operation : 'Unknown',
      region: request.region,
      outcome,
      ...(fault !== undefined && { fault: fault.kind }),
    })
  }
  return reply
}

interface Answered {
  readonly reply: AwsReply
  readonly outcome: string
  readonly isLogged: boolean
}

async function answer(
  service: JsonService,
  door: ServiceDoor,
  request: ServiceRequest,
  operation: string,
  fault: Fault | undefined,
): Promise<Answered> {
  const refuse = (error: AwsError): Answered => ({
    reply: serviceError(service, error),
    outcome: error.code,
    isLogged: true,
  })
  const internalError = () => refuse(new AwsError(service.internalError, 'Internal error, as ordered', 500))
  const take = async (): Promise<Answered & { reply: Extract<AwsReply, { kind: 'answer' }> }> => {
    const fails = () => fault?.kind === 'unprocessed' && door.faults.chance(fault.share ?? 1)
    try {
      const output = await service.perform(operation, readInput(request.body), { ...door, request, fails })
      return {
        reply: { kind: 'answer', status: 200, headers: headersOf(service), body: JSON.stringify(output) },
        outcome: 'ok',
        isLogged: service.isLogged?.(operation, output) ?? true,
      }
    } catch (error) {
      const known =
        error instanceof AwsError ? error : new AwsError(service.internalError, String(error), 500)
      return { reply: serviceError(service, known), outcome: known.code, isLogged: true }
    }
  }
  switch (fault?.kind) {
    case undefined:
    case 'unprocessed':
      return take()
    case 'throttle':
      return refuse(new AwsError('ThrottlingException', 'Rate exceeded'))
    case 'refuse':
      return refuse(new AwsError(fault.error ?? 'AccessDeniedException', 'Refused, as ordered'))
    case 'html503':
      return {
        reply: {
          kind: 'answer',
          status: 503,
          headers: { 'content-type': 'text/html' },
          body: '<html></html>',
        },
        outcome: 'html503',
        isLogged: true,
      }
    case 'cutBefore':
      return { reply: { kind: 'cut' }, outcome: 'cut', isLogged: true }
    case 'cutAfter':
      await take()
      return { reply: { kind: 'cut' }, outcome: 'cut', isLogged: true }
    case 'internalError':
      if (fault.taken === true) await take()
      return internalError()
    case 'slow': {
      const taken = fault.taken === false ? internalError() : await take()
      if (taken.reply.kind === 'cut') return taken
      return { ...taken, reply: { ...taken.reply, delayMs: fault.delayMs ?? SLOW_DEFAULT_MS } }
    }
    case 'truncatedBody': {
      const taken = await take()
      const { body } = taken.reply
      return { ...taken, reply: { ...taken.reply, body: body.slice(0, body.length >> 1) } }
    }
  }
}

export function serviceError(service: JsonService, error: AwsError): Extract<AwsReply, { kind: 'answer' }> {
  return {
    kind: 'answer',
    status: error.status,
    headers: { ...headersOf(service), ...service.errorHeaders?.(error) },
    body: JSON.stringify({ __type: `${service.namespace}${error.code}`, message: error.message }),
  }
}

function headersOf({ contentType }: JsonService): Record<string, string> {
  return { 'content-type': contentType, 'x-amzn-requestid': randomUUID() }
}

function readInput(body: string): Input {
  let value: unknown
  try {
    value = body === '' ? {} : JSON.parse(body)
  } catch (error) {
    throw new AwsError('SerializationException', `The body is no JSON: ${(error as Error).message}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new AwsError('SerializationException', 'The body must be a JSON object')
  }
  return value as Input
}
