/**
 * The organisation that uses a product. Not a subscription: it may have several, side by side or one after the other.
 * One AWS account that buys two products is two buyers: neither product's seller sees the other's.
 */
export interface Buyer {
  /** Ours: `buy_` and a UUID. */
  readonly id: string
  /** Our product id. */
  readonly product: string
  readonly customerAwsAccountId: string | undefined
  /** AWS's legacy identifier, unique per customer and product. */
  readonly customerIdentifier: string | undefined
  readonly createdAt: number
}

/**
 * A person who registered for a buyer. Personal data: never in a log, an audit entry, a URL or the outbox's rows; what
 * leaves the house is read here at the time of sending, so that an erasure holds.
 */
export interface Contact {
  readonly email: string
  readonly name: string | undefined
  readonly company: string | undefined
  readonly phone: string | undefined
  readonly registeredAt: number
}

/** What the domain asks of storage about buyers. */
export interface BuyerStore {
  /** @throws {DomainError} `buyer.not_found` */
  get(id: string): Promise<Buyer>
  /** Those who registered, newest first. */
  listContacts(buyer: string): Promise<readonly Contact[]>
  /** Adds a contact, or replaces the one with the same e-mail address. Audited without its data. */
  putContact(buyer: string, contact: Contact, actor: string): Promise<void>
  /** Newest first. */
  list(options: {
    product?: string | undefined
    limit: number
    before?: string | undefined
  }): Promise<readonly Buyer[]>
}
