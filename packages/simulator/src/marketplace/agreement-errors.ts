import { AwsError } from './aws-error.ts'

/** HTTP statuses of the Agreement service, whose errors are REST-like (SDK 3.1162.0). Unlisted ones have 400. */
const STATUS: Readonly<Record<string, number>> = {
  AccessDeniedException: 403,
  ConflictException: 409,
  InternalServerException: 500,
  ResourceNotFoundException: 404,
  ServiceQuotaExceededException: 402,
  ThrottlingException: 429,
}

type ResourceType = 'Agreement' | 'AgreementCancellationRequest'

export function agreementError(code: string, message: string, details = {}): AwsError {
  return new AwsError(code, message, STATUS[code] ?? 400, details)
}

/** @param reason - one of AWS's `ValidationExceptionReason`s, such as `UNSUPPORTED_FILTERS` */
export function validationError(reason: string, field: string, message: string): AwsError {
  return agreementError('ValidationException', message, { reason, fields: [{ name: field, message }] })
}

export function notFound(resourceType: ResourceType, resourceId: string): AwsError {
  return agreementError('ResourceNotFoundException', `${resourceType} ${resourceId} was not found`, {
    resourceId,
    resourceType,
  })
}

export function conflict(resourceType: ResourceType, resourceId: string, message: string): AwsError {
  return agreementError('ConflictException', message, { resourceId, resourceType })
}
