import { createHash } from 'node:crypto'

const BASE36 = 'abcdefghijklmnopqrstuvwxyz0123456789'
const MIXED = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/** AWS's own account in the ARNs of SaaS licenses, as seen in a capture of August 2026. */
const LICENSE_ISSUER = '294406891311'

/**
 * Makes identifiers in AWS's shapes. The same seed and name always give the same identifier, so a run can be
 * replayed, and a state file need not keep what can be derived.
 */
export interface Identifiers {
  agreementId(name: string): string
  offerId(name: string): string
  cancellationRequestId(name: string): string
  resaleAuthorizationId(name: string): string
  termId(name: string): string
  billingAdjustmentId(name: string): string
  /** `arn:aws:license-manager::294406891311:license:l-` and 32 hex digits; the region is empty, as at AWS. */
  licenseArn(name: string): string
  /** A legacy buyer's id, e.g. `ifAPi5AcF3`: the same for one account and product for good. */
  customerIdentifier(accountId: string, productCode: string): string
  productCode(name: string): string
  productId(name: string): string
  /** Base64 with `+`, `/` and `=` in it, so that a form decoded wrongly fails here, and not first at AWS. */
  registrationToken(name: string): string
  /** The UUID of accepted record number `sequence`; distinct for each below 2^32. */
  meteringRecordId(sequence: number): string
  uuid(name: string): string
}

export function createIdentifiers(seed: number): Identifiers {
  const digest = (name: string) => createHash('sha256').update(`${seed}:${name}`).digest()
  const hex = (name: string) => digest(name).toString('hex')
  const letters = (name: string, alphabet: string, length: number) =>
    Array.from(digest(name).subarray(0, length), (byte) => alphabet[byte % alphabet.length]).join('')
  const seedWord = digest('metering-record').readUInt32BE(0)

  return {
    agreementId: (name) => `agmt-${letters(`agreement:${name}`, BASE36, 25)}`,
    offerId: (name) => `offer-${letters(`offer:${name}`, BASE36, 13)}`,
    cancellationRequestId: (name) => `acr-${letters(`cancellation-request:${name}`, BASE36, 25)}`,
    resaleAuthorizationId: (name) => `resaleauthz-${letters(`resale-authorization:${name}`, BASE36, 13)}`,
    billingAdjustmentId: (name) => `ba-${letters(`billing-adjustment:${name}`, BASE36, 13)}`,
    termId: (name) => `term-${hex(`term:${name}`)}`,
    licenseArn: (name) =>
      `arn:aws:license-manager::${LICENSE_ISSUER}:license:l-${hex(`license:${name}`).slice(0, 32)}`,
    customerIdentifier: (accountId, productCode) =>
      letters(`customer:${accountId}:${productCode}`, MIXED, 10),
    productCode: (name) => letters(`product-code:${name}`, BASE36, 25),
    productId: (name) => `prod-${letters(`product-id:${name}`, BASE36, 13)}`,
    registrationToken: (name) => {
      const bytes = Buffer.concat([digest(`token:${name}`), digest(`token-tail:${name}`)])
      return `${bytes.toString('base64').replace(/=+$/, '')}+/sim==`
    },
    meteringRecordId: (sequence) => {
      const words = [1, 2, 3, 4].map((salt) => mix((sequence ^ seedWord) + Math.imul(salt, 0x9e3779b9)))
      return toUuid(words.map((word) => word.toString(16).padStart(8, '0')).join(''))
    },
    uuid: (name) => toUuid(hex(`uuid:${name}`)),
  }
}

/**
 * The part of a license ARN by which two of them are the same license: its `l-…` tail. AWS writes the rest in
 * several ways (with and without region or `arn:`).
 *
 * @returns `undefined` if there is no such tail
 */
export function licenseTail(licenseArn: string): string | undefined {
  const start = Math.max(licenseArn.lastIndexOf(':'), licenseArn.lastIndexOf('/')) + 1
  if (licenseArn.startsWith('l-', start)) return licenseArn.slice(start)
  if (licenseArn.startsWith('lic-', start)) return `l-${licenseArn.slice(start + 'lic-'.length)}`
  return undefined
}

/** A bijection of 32-bit words (the finaliser of MurmurHash3): distinct in, distinct out. */
function mix(word: number): number {
  let h = word >>> 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** Sets version and variant bits of 32 hex digits, as UUID version 4 has them. */
function toUuid(hex: string): string {
  const variant = '89ab'[Number.parseInt(hex[16] ?? '0', 16) & 3]
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
