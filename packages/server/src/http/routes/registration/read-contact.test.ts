import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readContact } from './read-contact.ts'

const FIELDS = [
  { name: 'name', required: true },
  { name: 'company', required: false },
  { name: 'phone', required: false },
] as const

const ADA = { email: 'ada@example.com', name: 'Ada Lovelace' }
const messagesOf = (given: object) =>
  readContact({ ...ADA, ...given }, FIELDS).errors.map(({ message }) => message)

describe('a contact', () => {
  it('is read with what the listing asks for, tidied', () => {
    expect(
      readContact(
        { email: ' ada@Example.COM ', name: 'Ada\t Lovelace\r\n', company: '', phone: '+44 20 7946 0000' },
        FIELDS,
      ),
    ).toEqual({
      values: { email: 'ada@Example.COM', name: 'Ada Lovelace', company: '', phone: '+44 20 7946 0000' },
      errors: [],
      contact: {
        email: 'ada@example.com',
        name: 'Ada Lovelace',
        company: undefined,
        phone: '+44 20 7946 0000',
      },
    })
  })

  it('has nothing that the listing does not ask for', () => {
    const { contact, values } = readContact({ ...ADA, phone: '12345', cardNumber: '4111' }, [])
    expect(contact).toEqual({ email: ADA.email, name: undefined, company: undefined, phone: undefined })
    expect(values).toEqual({ email: ADA.email })
  })

  it('names every field that is not right, in the page’s order, and keeps what was typed', () => {
    const { errors, values, contact } = readContact({ email: 'ada', name: ' ', phone: 'call me' }, FIELDS)
    expect(errors.map(({ field }) => field)).toEqual(['email', 'name', 'phone'])
    expect(values).toMatchObject({ email: 'ada', phone: 'call me' })
    expect(contact).toBeUndefined()
  })
})

describe('an e-mail address', () => {
  it.each([
    'a@b.co',
    'first.last+tag@sub.example.org',
    'someone@gmail.com',
    "o'brien@example.ie",
    'x_y-z=1/2@example.com',
    `${'a'.repeat(64)}@example.com`,
  ])('may be %s', (email) => {
    expect(readContact({ ...ADA, email }, FIELDS).contact?.email).toBe(email)
  })

  it('may be of any script; its domain is stored as the network knows it', () => {
    for (const [email, stored] of [
      ['jürgen@müller.de', 'jürgen@xn--mller-kva.de'],
      ['用户@例え.jp', '用户@xn--r8jz45g.jp'],
      // Typed as a letter and an accent: the same mailbox.
      ['ju\u0308rgen@example.de', 'jürgen@example.de'],
    ] as const) {
      expect(readContact({ ...ADA, email }, FIELDS).contact?.email).toBe(stored)
    }
  })

  it.each([
    'ada',
    '@example.com',
    'ada@',
    'ada@localhost',
    'ada@example..com',
    'ada@-example.com',
    'ada@exa mple.com',
    'a da@example.com',
    'ada@example.com,eve@example.com',
    'ada@example.com;eve@example.com',
    'Ada <ada@example.com>',
    '"ada"@example.com',
    'ada@[127.0.0.1]',
    'ada@127.0.0.1',
    'ada@example.com\r\nBcc: eve@example.com',
    'ada@example.com%0d%0aBcc:eve@example.com',
    'ada\u0000@example.com',
    'ada\u202e@example.com',
    'ada\u200b@example.com',
    '.ada@example.com',
    'a..b@example.com',
    'ada@example.com/path',
    'ada@user:pass@example.com',
    `${'a'.repeat(65)}@example.com`,
    `${'ü'.repeat(40)}@example.com`,
  ])('is not %j', (email) => {
    expect(messagesOf({ email })).toEqual(['Enter an e-mail address in the form name@example.com'])
  })

  it('says how long it may be', () => {
    expect(messagesOf({ email: `a@${'b'.repeat(60)}.${'c'.repeat(200)}.com` })).toEqual([
      'The e-mail address must be 254 characters or fewer',
    ])
  })

  it('never holds what has a meaning in a mail’s header, whatever is typed', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        '\r\n',
        '\n',
        '@',
        '.',
        ',',
        ';',
        '<',
        '>',
        ' ',
        '\0',
        '"',
        'a',
        'example.com',
        '\u202e',
        '%0a',
      ),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const { contact } = readContact({ ...ADA, email: pieces.join('') }, FIELDS)
        if (contact !== undefined) expect(contact.email).toMatch(/^[^\s\p{C}"(),:;<>@[\\\]]+@[a-z0-9.-]+$/u)
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('other text', () => {
  it('may be of any script, with marks and emoji', () => {
    for (const name of ['José', '王小明', 'محمد', 'O’Brien-Smith', 'क्षत्रिय', '👩‍💻 Ada', '<b>Ada</b>']) {
      expect(readContact({ ...ADA, name }, FIELDS).contact?.name).toBe(name)
    }
  })

  it.each(['a\u0000b', 'a\u001bb', 'a\u202eb', 'a\u2066b', 'a\ufffdb'])('is not %j', (name) => {
    expect(messagesOf({ name })).toEqual(['Your name has characters that cannot be stored: type it anew'])
  })

  it('has at most 200 characters', () => {
    expect(messagesOf({ company: '王'.repeat(200) })).toEqual([])
    expect(messagesOf({ company: 'x'.repeat(201) })).toEqual([
      'Your company’s name must be 200 characters or fewer',
    ])
  })
})

describe('a phone number', () => {
  it.each(['+1 (555) 010-9999', '(020) 7946 0000', '0049.30.123456', '+44 20 7946 0000 x12'])(
    'may be %s',
    (phone) => {
      expect(readContact({ ...ADA, phone }, FIELDS).contact?.phone).toBe(phone)
    },
  )

  it.each(['1234', 'call me', '+', '123456<script>', '1'.repeat(41), '١٢٣٤٥٦'])('is not %j', (phone) => {
    expect(messagesOf({ phone })).toEqual(['Enter a phone number, such as +44 20 7946 0000'])
  })
})
