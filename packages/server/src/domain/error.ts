/**
 * What can go wrong in a way that the caller can act on. A door maps each code to its own language
 * (an HTTP status, an exit code); a new code without a mapping does not compile.
 */
export type DomainErrorCode =
  | 'request.invalid'
  | 'product.not_found'
  | 'product.exists'
  /** Configuration declares it: it is changed there. */
  | 'product.declared'
  | 'plan.not_found'
  | 'plan.declared'
  /** Another plan leads up to it. */
  | 'plan.needed'
  | 'endpoint.not_found'
  | 'endpoint.declared'
  | 'dimension.not_found'
  /** What it is counted in is fixed from its first day. */
  | 'dimension.fixed'
  | 'subscription.not_found'
  | 'subscription.ambiguous'
  | 'subscription.ended'
  | 'subscription.buyer_only'
  | 'subscription.exists'
  | 'subscription.field_fixed'
  | 'subscription.not_at_aws'
  | 'agreement.unknown'
  | 'agreement.not_permitted'
  | 'agreement.refused'
  | 'buyer.not_found'
  | 'event.not_found'
  /** A message that is not one of AWS Marketplace's, or not as AWS writes them. */
  | 'notification.unreadable'
  /** A message that nobody vouches for, or the wrong one; `details.why` says which. */
  | 'notification.refused'
  | 'registration.token_invalid'
  | 'registration.token_expired'
  | 'registration.wrong_product'
  | 'marketplace.unavailable'
  | 'record.not_found'
  | 'record.not_in_doubt'
  | 'bucket.not_found'
  | 'bucket.not_held'
  | 'hold.quantity_too_large'
  /** A service key of one product, for what concerns others. */
  | 'key.bound_to_product'
  | 'key.not_found'
  /** One was made for this request before. */
  | 'key.exists'
  /** Its buyer has as many as one may have. */
  | 'key.too_many'
  /** It was revoked, has expired or was replaced already. */
  | 'key.not_active'
  /** An id of a use that came before with another quantity. */
  | 'quota.id_conflict'
  | 'reservation.not_found'
  /** It was settled with another quantity, or released. */
  | 'reservation.ended'
  | 'ledger.busy'
  | 'ledger.mode_mismatch'
  /** Its tables are of a later version, which took away what this one needs. */
  | 'ledger.too_new'
  | 'ledger.waiting_for_release'
  | 'ledger.dimension_changed'
  /** A ledger that `db copy` has not finished filling. */
  | 'ledger.half_copied'
  | 'ledger.copy_refused'
  | 'ledger.network_file_system'

export class DomainError extends Error {
  readonly code: DomainErrorCode
  /** Facts for the caller: ids and names only, never a secret or a personal datum. */
  readonly details: Readonly<Record<string, unknown>>

  constructor(
    code: DomainErrorCode,
    message: string,
    options: { details?: Record<string, unknown>; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'DomainError'
    this.code = code
    this.details = options.details ?? {}
  }
}
