import type { MarketplaceEvent } from './marketplace-event.ts'

/** Notifications of one agreement as AWS sends them, in the order of a capture of August 2026. */
export function anAgreement(
  values: {
    id?: string
    license?: string
    account?: string
    productCode?: string
    acceptedAt?: number
    intent?: string
    previousAgreementId?: string
    endsAt?: number
  } = {},
) {
  const agreementId = values.id ?? 'agmt-1'
  const acceptedAt = values.acceptedAt ?? Date.UTC(2026, 10, 21, 10)
  const about = { agreementId, customerAwsAccountId: values.account ?? '111122223333', payload: '{}' }
  const license = {
    ...about,
    productCode: values.productCode ?? 'demo0code0of0twenty0five0',
    licenseArn: licenseArn(values.license ?? agreementId),
  }
  const event = (kind: MarketplaceEvent['kind'], name: string, at: number, more: Partial<MarketplaceEvent>) =>
    ({
      channel: 'eventbridge',
      id: `${agreementId} ${name} ${at}`,
      kind,
      name,
      occurredAt: at,
      ...more,
    }) as MarketplaceEvent
  return {
    agreementId,
    licenseArn: license.licenseArn,
    created: (at = acceptedAt + 11_000) =>
      event('agreement_created', 'Purchase Agreement Created - Proposer', at, {
        ...about,
        intent: values.intent ?? 'NEW',
        agreementStatus: 'ACTIVE',
        acceptedAt,
        startsAt: acceptedAt,
        endsAt: values.endsAt,
        previousAgreementId: values.previousAgreementId,
      }),
    granted: (at = acceptedAt + 72_000) =>
      event('access_granted', 'License Updated - Manufacturer', at, license),
    ended: (at: number, agreementStatus = 'CANCELLED') =>
      event('agreement_ended', 'Purchase Agreement Ended - Proposer', at, { ...about, agreementStatus }),
    withdrawn: (at: number) => event('access_withdrawn', 'License Deprovisioned - Manufacturer', at, license),
  }
}

/** `agmt-new`, in the place of `agmt-old`. */
export function aRenewal(acceptedAt: number) {
  return anAgreement({ id: 'agmt-new', acceptedAt, intent: 'RENEW', previousAgreementId: 'agmt-old' })
}

/** SNS messages of a legacy customer. */
export function aCustomer(customerIdentifier = 'ifAPi5AcF3', productCode = 'demo0code0of0twenty0five0') {
  const event = (kind: MarketplaceEvent['kind'], name: string, at: number): MarketplaceEvent => ({
    id: `${customerIdentifier} ${name} ${at}`,
    channel: 'sns',
    kind,
    name,
    occurredAt: at,
    productCode,
    customerIdentifier,
    payload: '{}',
  })
  return {
    customerIdentifier,
    success: (at: number) => event('access_granted', 'subscribe-success', at),
    fail: (at: number) => event('access_refused', 'subscribe-fail', at),
    pending: (at: number) => event('access_withdrawn', 'unsubscribe-pending', at),
    closed: (at: number) => event('access_closed', 'unsubscribe-success', at),
  }
}

export function licenseArn(name: string): string {
  const hex = Buffer.from(name).toString('hex').padEnd(32, '0').slice(0, 32)
  return `arn:aws:license-manager::294406891311:license:l-${hex}`
}
