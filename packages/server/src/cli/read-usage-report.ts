import type { UsageReport } from '../domain/usage/ingest-usage.ts'

const REFERENCES = [
  'subscriptionId',
  'tenantId',
  'licenseArn',
  'customerAWSAccountId',
  'customerIdentifier',
] as const
const TEXTS = ['product', 'source', 'value'] as const

/** One line of an import: the body of `POST /meter`. */
export function readUsageReport(line: string): UsageReport | { problem: string } {
  let body: unknown
  try {
    body = JSON.parse(line)
  } catch {
    return { problem: 'is not JSON' }
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    return { problem: 'is not a JSON object' }
  const fields = body as Record<string, unknown>
  const { dimension, quantity, usageTime, correlationId, tags } = fields
  if (typeof dimension !== 'string' || dimension === '') return { problem: 'dimension is missing' }
  if (
    typeof usageTime !== 'string' ||
    !/(Z|[+-]\d\d:\d\d)$/.test(usageTime) ||
    Number.isNaN(Date.parse(usageTime))
  )
    return { problem: 'usageTime must be a time with a zone, such as 2026-11-21T07:00:00Z' }
  if (
    correlationId !== undefined &&
    (typeof correlationId !== 'string' || correlationId === '' || correlationId.length > 256)
  )
    return { problem: 'correlationId must be text of 1 to 256 characters' }
  if (quantity !== undefined && typeof quantity !== 'number' && typeof quantity !== 'string')
    return { problem: 'quantity must be a number or a decimal string' }
  for (const name of [...REFERENCES, ...TEXTS]) {
    if (fields[name] !== undefined && (typeof fields[name] !== 'string' || fields[name].length > 2048))
      return { problem: `${name} must be text` }
  }
  if (tags !== undefined && !isStringRecord(tags)) return { problem: 'tags must be an object of texts' }
  const text = (name: string) => fields[name] as string | undefined
  return {
    product: text('product'),
    reference: {
      subscriptionId: text('subscriptionId'),
      tenantId: text('tenantId'),
      licenseArn: text('licenseArn'),
      customerAwsAccountId: text('customerAWSAccountId'),
      customerIdentifier: text('customerIdentifier'),
    },
    dimension,
    id: correlationId,
    source: text('source'),
    time: Date.parse(usageTime),
    quantity,
    value: text('value'),
    tags,
  }
}

function isStringRecord(value: unknown): value is Record<string, string> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((part) => typeof part === 'string')
  )
}
