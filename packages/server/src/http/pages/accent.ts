/** WCAG 2 AA for text: https://www.w3.org/TR/WCAG22/#contrast-minimum */
export const CONTRAST_MIN = 4.5

type Rgb = readonly [red: number, green: number, blue: number]

const BLACK: Rgb = [0, 0, 0]
const WHITE: Rgb = [255, 255, 255]
/** Steps from a colour to black or white: fine enough that none is seen. */
const STEPS = 100

/**
 * A seller's colour as it can be read as text on a background: itself, or as much darker (on a light background) or
 * lighter (on a dark one) as it takes.
 *
 * @param color - `#rrggbb`, as the background
 * @returns `#rrggbb`; undefined where `color` is no such thing
 */
export function readableOn(color: string, background: string): string | undefined {
  const wanted = parse(color)
  const behind = parse(background)
  if (wanted === undefined || behind === undefined) return undefined
  const towards = luminance(behind) > 0.18 ? BLACK : WHITE
  for (let step = 0; step <= STEPS; step++) {
    const candidate = mix(wanted, towards, step / STEPS)
    if (ratio(candidate, behind) >= CONTRAST_MIN) return format(candidate)
  }
  return format(towards)
}

/** Black or white, whichever reads better on a background: one of them always reads well enough. */
export function inkOn(background: string): '#000000' | '#ffffff' {
  return contrast('#000000', background) >= contrast('#ffffff', background) ? '#000000' : '#ffffff'
}

/** @returns 1 to 21, as WCAG defines it */
export function contrast(a: string, b: string): number {
  const [first, second] = [parse(a), parse(b)]
  return first === undefined || second === undefined ? 1 : ratio(first, second)
}

function ratio(a: Rgb, b: Rgb): number {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y)
  return (high! + 0.05) / (low! + 0.05)
}

function luminance(color: Rgb): number {
  const [red, green, blue] = color.map((value) => {
    const part = value / 255
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!
}

function mix(from: Rgb, to: Rgb, share: number): Rgb {
  const at = (index: 0 | 1 | 2) => Math.round(from[index] + (to[index] - from[index]) * share)
  return [at(0), at(1), at(2)]
}

function parse(color: string): Rgb | undefined {
  const match = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(color)
  if (match === null) return undefined
  const part = (index: number) => Number.parseInt(match[index]!, 16)
  return [part(1), part(2), part(3)]
}

function format(color: Rgb): string {
  return `#${color.map((value) => value.toString(16).padStart(2, '0')).join('')}`
}
