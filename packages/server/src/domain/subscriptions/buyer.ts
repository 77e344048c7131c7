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
  /** Newest first; all that are given must fit. */
  list(options: {
    product?: string | undefined
    customerAwsAccountId?: string | undefined
    customerIdentifier?: string | undefined
    limit: number
    before?: string | undefined
  }): Promise<readonly Buyer[]>
  /** Mail to the buyer's people that was kept on this machine, newest first. */
  listMails(buyer: string): Promise<readonly BuyerMail[]>
  /**
   * Erases people of a buyer: their details and the mail kept for them. What was bought, used and billed stays.
   * Audited without the data; to erase what is gone is not an error.
   *
   * @param email - of one person; undefined: everybody
   * @throws {DomainError} `buyer.not_found`
   */
  erase(buyer: string, email: string | undefined, actor: string, now: number): Promise<Erasure>
}

/** A mail as its reader saw it. */
export interface BuyerMail {
  readonly at: number
  readonly to: string
  readonly subject: string
  readonly text: string
}

/** How much was erased. */
export interface Erasure {
  readonly contacts: number
  readonly mails: number
}
