import { type KeptMail, MAILS_KEPT, type Mailbox } from '../../domain/telling/mail.ts'
import { int, text } from './fields.ts'
import { ledgerKey, mailIdKey, mailKey, mailPartition } from './keys.ts'
import type { Item, Table } from './table.ts'

export function createDynamoMailbox(table: Table): Mailbox {
  return {
    keep: (mail) =>
      table.transaction(async (tx) => {
        const [known, counter] = await tx.getMany([mailIdKey(mail.id), ledgerKey('mails')])
        if (known !== undefined) return
        const number = int(counter?.value ?? 0) + 1
        tx.put({ ...ledgerKey('mails'), value: number })
        tx.put({ ...mailIdKey(mail.id), number })
        tx.put({ ...mailKey(number), ...mail })
        const old = number > MAILS_KEPT ? await tx.get(mailKey(number - MAILS_KEPT)) : undefined
        if (old === undefined) return
        tx.delete(old)
        tx.delete(mailIdKey(text(old.id)))
      }),
    list: async (limit) => (await table.query({ pk: mailPartition, reverse: true, limit })).map(toMail),
    async find(id) {
      const known = await table.get(mailIdKey(id))
      const item = known && (await table.get(mailKey(int(known.number))))
      return item && toMail(item)
    },
  }
}

export function toMail(item: Item): KeptMail {
  return {
    id: text(item.id),
    at: int(item.at),
    from: text(item.from),
    to: text(item.to),
    subject: text(item.subject),
    text: text(item.text),
    html: text(item.html),
  }
}
