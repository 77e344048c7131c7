import { AwsError } from '../marketplace/aws-error.ts'
import { EVENTBRIDGE } from './events.ts'
import type { AwsReply } from './handle-aws.ts'
import {
  answerService,
  type JsonService,
  type ServiceDoor,
  type ServiceRequest,
  serviceError,
} from './json-service.ts'
import { SQS } from './sqs.ts'

const SERVICES: readonly JsonService[] = [SQS, EVENTBRIDGE]

/** The service that an `X-Amz-Target` is for, among those that carry notifications. */
export function findService(target: string): JsonService | undefined {
  return SERVICES.find(({ prefix }) => target.startsWith(prefix))
}

/** Answers one call of SQS or EventBridge. Never throws. */
export async function handleService(door: ServiceDoor, request: ServiceRequest): Promise<AwsReply> {
  const service = findService(request.target)
  if (service !== undefined) return answerService(service, door, request)
  return serviceError(
    EVENTBRIDGE,
    new AwsError('UnknownOperationException', 'Neither SQS nor EventBridge has it'),
  )
}
