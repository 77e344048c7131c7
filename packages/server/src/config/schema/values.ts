import Type from 'typebox'

export const CLOSED = { additionalProperties: false } as const

export const NAME = {
  pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$',
  errorMessage: '1 to 64 letters, digits, `_`, `.` or `-`, beginning with a letter or digit',
} as const

export const REGION = {
  pattern: '^[a-z]{2,4}(-[a-z]+)+-[0-9]$',
  errorMessage: 'an AWS region such as `us-east-1`',
} as const

export const HTTP_URL = {
  pattern: '^https?://[^\\s/?#@]+(/[^\\s?#]*)?$',
  errorMessage: 'a URL that begins with `http://` or `https://`, without user, query or fragment',
} as const

export const UPGRADE_URL = {
  pattern: '^https?://[^\\s/?#@]+(/[^\\s#]*|\\?[^\\s#]*)?$',
  maxLength: 2000,
  errorMessage: 'a URL that begins with `https://` or `http://`, without user or fragment',
} as const

export const ENDPOINT_URL = { ...UPGRADE_URL } as const

export const ACCOUNT_ID = {
  pattern: '^[0-9]{12}$',
  numeric: true,
  errorMessage: 'an AWS account id of 12 digits',
} as const

/** `LicenseArn` of the metering model, `@aws-sdk/client-marketplace-metering` 3.1138.0. */
export const LICENSE_ARN = {
  pattern:
    '^arn:aws[a-zA-Z-]*:[A-Za-z0-9][A-Za-z0-9_/.-]{0,62}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9][A-Za-z0-9:_/+=,@.-]{0,1023}$',
  errorMessage: 'a license ARN such as `arn:aws:license-manager::294406891311:license:l-…`',
} as const

/** `ProductCode` of the metering model; AWS generates 25 lower-case letters and digits. */
export const PRODUCT_CODE = {
  pattern: '^[-a-zA-Z0-9/=:_.@]{1,255}$',
  errorMessage: "AWS Marketplace's product code: 1 to 255 letters, digits or `-/=:_.@`, without spaces",
} as const

export const perSecond = (requests: number, description: string) =>
  Type.Integer({ minimum: 0, maximum: 1_000_000, default: requests, description })
export const perMinute = perSecond
