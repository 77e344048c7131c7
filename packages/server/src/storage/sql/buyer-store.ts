import { DomainError } from '../../domain/error.ts'
import type { Buyer, BuyerStore, Contact } from '../../domain/subscriptions/buyer.ts'
import { appendAudit } from './audit-trail.ts'
import type { Row, Sql, SqlDatabase, SqlValue } from './database.ts'
import { int, optionalText, text } from './rows.ts'

export function createSqlBuyerStore(database: SqlDatabase): BuyerStore {
  return {
    get: (id) => database.read((sql) => getBuyer(sql, id)),
    listContacts: (buyer) =>
      database.read(async (sql) => {
        const rows = await sql.all(
          'SELECT * FROM buyer_contact WHERE buyer = ? ORDER BY registered_at DESC, email',
          buyer,
        )
        return rows.map(toContact)
      }),
    putContact: (buyer, contact, actor) =>
      database.transaction(async (sql) => {
        await getBuyer(sql, buyer)
        await putContact(sql, buyer, contact, actor)
      }),
    list: ({ product, customerAwsAccountId, customerIdentifier, limit, before }) =>
      database.read(async (sql) => {
        const conditions: string[] = []
        const values: SqlValue[] = []
        const add = (condition: string, value: string | undefined) => {
          if (value === undefined) return
          conditions.push(condition)
          values.push(value)
        }
        add('product = ?', product)
        add('customer_aws_account_id = ?', customerAwsAccountId)
        add('customer_identifier = ?', customerIdentifier)
        add('seq < (SELECT seq FROM buyer WHERE id = ?)', before)
        const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`
        const rows = await sql.all(`SELECT * FROM buyer ${where} ORDER BY seq DESC LIMIT ?`, ...values, limit)
        return rows.map(toBuyer)
      }),
    listMails: (buyer) =>
      database.read(async (sql) => {
        const rows = await sql.all(
          `SELECT at, recipient, subject, text FROM mail WHERE ${IS_MAIL_OF} ORDER BY seq DESC`,
          buyer,
        )
        return rows.map((row) => ({
          at: int(row.at),
          to: text(row.recipient),
          subject: text(row.subject),
          text: text(row.text),
        }))
      }),
    erase: (buyer, email, actor, now) =>
      database.transaction(async (sql) => {
        await getBuyer(sql, buyer)
        const mails = await sql.run(
          `DELETE FROM mail WHERE ${IS_MAIL_OF} AND (?2 IS NULL OR lower(recipient) = lower(?2) OR instr(lower(recipient), '<' || lower(?2) || '>') > 0)`,
          buyer,
          email ?? null,
        )
        const contacts = await sql.run(
          'DELETE FROM buyer_contact WHERE buyer = ?1 AND (?2 IS NULL OR lower(email) = lower(?2))',
          buyer,
          email ?? null,
        )
        const erased = { contacts: contacts.changes, mails: mails.changes }
        await appendAudit(sql, {
          at: now,
          actor,
          action: 'buyer.erase',
          subject: buyer,
          before: undefined,
          after: { ...erased, everybody: email === undefined },
        })
        return erased
      }),
  }
}

/** A mail's id begins with that of the event that it tells of. There are at most a thousand. */
const IS_MAIL_OF =
  "EXISTS (SELECT 1 FROM domain_event d WHERE d.id = substr(mail.id, 1, instr(mail.id, '.') - 1) AND d.buyer = ?1)"

export async function countContacts(sql: Sql, buyer: string): Promise<number> {
  return int((await sql.get('SELECT COUNT(*) AS n FROM buyer_contact WHERE buyer = ?', buyer))!.n)
}

/** The audit trail says that somebody registered, not who: it is for ever, personal data is not. */
export async function putContact(sql: Sql, buyer: string, contact: Contact, actor: string): Promise<void> {
  await sql.run(
    `INSERT INTO buyer_contact (buyer, email, name, company, phone, registered_at) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (buyer, email) DO UPDATE SET name = COALESCE(excluded.name, buyer_contact.name), company = COALESCE(excluded.company, buyer_contact.company),
       phone = COALESCE(excluded.phone, buyer_contact.phone), registered_at = excluded.registered_at`,
    buyer,
    contact.email,
    contact.name ?? null,
    contact.company ?? null,
    contact.phone ?? null,
    contact.registeredAt,
  )
  await appendAudit(sql, {
    at: contact.registeredAt,
    actor,
    action: 'buyer.contact',
    subject: buyer,
    before: undefined,
    after: undefined,
  })
}

/** The buyer of an account or customer, if there is one. Where both are given and name two, the account counts. */
export async function findBuyer(
  sql: Sql,
  who: {
    readonly product: string
    readonly customerAwsAccountId?: string | undefined
    readonly customerIdentifier?: string | undefined
  },
): Promise<Buyer | undefined> {
  for (const [column, value] of [
    ['customer_aws_account_id', who.customerAwsAccountId],
    ['customer_identifier', who.customerIdentifier],
  ] as const) {
    if (value === undefined) continue
    const row = await sql.get(`SELECT * FROM buyer WHERE product = ? AND ${column} = ?`, who.product, value)
    if (row !== undefined) return toBuyer(row)
  }
  return undefined
}

/**
 * Makes sure that the buyer of a new subscription exists; what is learned of it later is added.
 *
 * @returns the buyer's id: that of the account or customer where it is known, else the one given
 */
export async function ensureBuyer(
  sql: Sql,
  given: {
    readonly buyer: string
    readonly product: string
    readonly customerAwsAccountId: string | undefined
    readonly customerIdentifier: string | undefined
    readonly createdAt: number
  },
): Promise<string> {
  const known = await findBuyer(sql, given)
  if (known !== undefined) {
    await sql.run(
      'UPDATE buyer SET customer_aws_account_id = COALESCE(customer_aws_account_id, ?1), customer_identifier = COALESCE(customer_identifier, ?2) WHERE id = ?3',
      known.customerAwsAccountId === undefined ? (given.customerAwsAccountId ?? null) : null,
      // Another buyer may have the identifier already: then two accounts share it, and each keeps its own.
      known.customerIdentifier === undefined &&
        given.customerIdentifier !== undefined &&
        (await findBuyer(sql, { product: given.product, customerIdentifier: given.customerIdentifier })) ===
          undefined
        ? given.customerIdentifier
        : null,
      known.id,
    )
    return known.id
  }
  await sql.run(
    'INSERT INTO buyer (id, product, customer_aws_account_id, customer_identifier, created_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING',
    given.buyer,
    given.product,
    given.customerAwsAccountId ?? null,
    given.customerIdentifier ?? null,
    given.createdAt,
  )
  return given.buyer
}

async function getBuyer(sql: Sql, id: string): Promise<Buyer> {
  const row = await sql.get('SELECT * FROM buyer WHERE id = ?', id)
  if (row === undefined) throw new DomainError('buyer.not_found', `no buyer ${id}`)
  return toBuyer(row)
}

export function toBuyer(row: Row): Buyer {
  return {
    id: text(row.id),
    product: text(row.product),
    customerAwsAccountId: optionalText(row.customer_aws_account_id),
    customerIdentifier: optionalText(row.customer_identifier),
    createdAt: int(row.created_at),
  }
}

function toContact(row: Row): Contact {
  return {
    email: text(row.email),
    name: optionalText(row.name),
    company: optionalText(row.company),
    phone: optionalText(row.phone),
    registeredAt: int(row.registered_at),
  }
}
