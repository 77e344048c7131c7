import { describe, expect, it } from 'vitest'
import { findForm, type Visit } from './browser.ts'

const aPage = (body: string): Visit => ({
  method: 'GET',
  url: 'http://127.0.0.1:4000/l/demo?registration=abc',
  status: 200,
  headers: new Headers(),
  body,
})

describe('a form on a page', () => {
  it('is what a browser would send untouched: hidden fields, values, where it goes', () => {
    const page = aPage(
      '<form method="post" action="/l/demo"><input name="email" value="" required><input type="hidden" name="registration" value="a&#38;b&quot;"><input type="submit"></form>',
    )
    expect(findForm(page)).toEqual({
      action: 'http://127.0.0.1:4000/l/demo',
      fields: { email: '', registration: 'a&b"' },
      required: ['email'],
    })
  })

  it('is not found where there is none, or one that is not posted', () => {
    expect(findForm(aPage('<p>Thank you</p>'))).toBeUndefined()
    expect(findForm(aPage('<form action="/search"><input name="q"></form>'))).toBeUndefined()
  })
})
