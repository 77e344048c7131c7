import fc from 'fast-check'
import { expect, it } from 'vitest'
import { CONTRAST_MIN, contrast, inkOn, readableOn } from './accent.ts'

it('measures contrast as WCAG does', () => {
  expect(contrast('#000000', '#ffffff')).toBeCloseTo(21, 5)
  expect(contrast('#777777', '#ffffff')).toBeCloseTo(4.48, 2)
  expect(contrast('#ffffff', '#0059b3')).toBeCloseTo(6.77, 1)
})

it('leaves a colour that can be read as it is', () => {
  expect(readableOn('#0059B3', '#ffffff')).toBe('#0059b3')
  expect(readableOn('#8cc4ff', '#1a2029')).toBe('#8cc4ff')
})

it('makes any colour readable, on light and on dark', () => {
  const channel = fc.integer({ min: 0, max: 255 })
  fc.assert(
    fc.property(
      fc.tuple(channel, channel, channel),
      fc.constantFrom('#ffffff', '#f2f3f3', '#1a2029', '#0f141a'),
      (rgb, paper) => {
        const color = `#${rgb.map((value) => value.toString(16).padStart(2, '0')).join('')}`
        expect(contrast(readableOn(color, paper)!, paper)).toBeGreaterThanOrEqual(CONTRAST_MIN)
        expect(contrast(inkOn(color), color)).toBeGreaterThanOrEqual(CONTRAST_MIN)
      },
    ),
  )
})

it('keeps the hue: yellow on white becomes a dark yellow, not another colour', () => {
  expect(readableOn('#ffdd00', '#ffffff')).toMatch(/^#[78].[67].00$/)
})

it.each(['red', '#fff', '#12345g', '#123456;}body{display:none', ''])('knows %j for no colour', (text) => {
  expect(readableOn(text, '#ffffff')).toBeUndefined()
})
