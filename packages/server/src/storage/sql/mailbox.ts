import { type KeptMail, MAILS_KEPT, type Mailbox } from '../../domain/telling/mail.ts'
import type { Row, SqlDatabase } from './database.ts'
import { int, text } from './rows.ts'

export function createSqlMailbox(database: SqlDatabase): Mailbox {
  return {
    keep: (mail) =>
      database.transaction(async (sql) => {
        await sql.run(
          'INSERT INTO mail (id, at, sender, recipient, subject, text, html) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING',
          mail.id,
          mail.at,
          mail.from,
          mail.to,
          mail.subject,
          mail.text,
          mail.html,
        )
        await sql.run(
          'DELETE FROM mail WHERE seq <= (SELECT seq FROM mail ORDER BY seq DESC LIMIT 1 OFFSET ?)',
          MAILS_KEPT,
        )
      }),
    list: (limit) =>
      database.read(async (sql) =>
        (await sql.all('SELECT * FROM mail ORDER BY seq DESC LIMIT ?', limit)).map(toMail),
      ),
    find: (id) =>
      database.read(async (sql) => {
        const row = await sql.get('SELECT * FROM mail WHERE id = ?', id)
        return row === undefined ? undefined : toMail(row)
      }),
  }
}

function toMail(row: Row): KeptMail {
  return {
    id: text(row.id),
    at: int(row.at),
    from: text(row.sender),
    to: text(row.recipient),
    subject: text(row.subject),
    text: text(row.text),
    html: text(row.html),
  }
}
