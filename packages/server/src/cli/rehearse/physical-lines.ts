import { isUtf8 } from 'node:buffer'
import { DomainError } from '../../domain/error.ts'

/** Bytes of one line that are kept; the rest of a longer one is read past. */
export const LINE_BYTES_MAX = 1_048_576

/** One line of a file, as text. */
export interface PhysicalLine {
  /** From 1. */
  readonly number: number
  readonly text: string
  /** What ended it; empty for a last line that nothing ends. */
  readonly end: '\n' | '\r\n' | ''
  /** It was longer than `LINE_BYTES_MAX`. */
  readonly cut: boolean
}

const LF = 0x0a
const CR = 0x0d

/** Splits bytes into lines, a batch for each chunk. Memory stays within a chunk and one line. */
export async function* splitLines(
  chunks: AsyncIterable<Uint8Array>,
  lineBytesMax = LINE_BYTES_MAX,
): AsyncIterable<readonly PhysicalLine[]> {
  let number = 0
  let kept: Buffer[] = []
  let keptBytes = 0
  let cut = false

  const keep = (bytes: Buffer) => {
    // One byte more than the bound: the CR of a line of exactly that length is no part of it.
    const room = lineBytesMax + 1 - keptBytes
    if (bytes.length > room) cut = true
    if (room <= 0 || bytes.length === 0) return
    const part = bytes.subarray(0, room)
    kept.push(part)
    keptBytes += part.length
  }
  const finish = (terminated: boolean): PhysicalLine => {
    number++
    const whole = kept.length === 1 ? kept[0]! : Buffer.concat(kept)
    const withCr = !cut && whole.at(-1) === CR
    const content = withCr ? whole.subarray(0, -1) : whole.subarray(0, lineBytesMax)
    const line: PhysicalLine = {
      number,
      text: decode(number === 1 ? withoutByteOrderMark(content) : content),
      end: terminated ? (withCr ? '\r\n' : '\n') : '',
      cut: cut || (!withCr && whole.length > lineBytesMax),
    }
    kept = []
    keptBytes = 0
    cut = false
    return line
  }

  for await (const chunk of chunks) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    const lines: PhysicalLine[] = []
    let start = 0
    for (let at = bytes.indexOf(LF); at !== -1; at = bytes.indexOf(LF, start)) {
      keep(bytes.subarray(start, at))
      lines.push(finish(true))
      start = at + 1
    }
    // Copied: a stream may use its buffer again.
    if (start < bytes.length) keep(Buffer.from(bytes.subarray(start)))
    if (lines.length > 0) yield lines
  }
  if (keptBytes > 0) yield [finish(false)]
}

function withoutByteOrderMark(line: Buffer): Buffer {
  if (line[0] === 0xef && line[1] === 0xbb && line[2] === 0xbf) return line.subarray(3)
  if ((line[0] === 0xff && line[1] === 0xfe) || (line[0] === 0xfe && line[1] === 0xff))
    throw new DomainError(
      'request.invalid',
      'the log is UTF-16: convert it first, e.g. `iconv -f UTF-16 -t UTF-8`',
    )
  return line
}

/**
 * UTF-8 as text, with each byte that is none written `\xNN`, as web servers do. The usual U+FFFD would make
 * two different names equal, and so two buyers one.
 */
export function decode(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8')
  let text = ''
  let at = 0
  while (at < bytes.length) {
    const length = sequenceLength(bytes[at]!)
    const sequence = bytes.subarray(at, at + length)
    if (length > 0 && sequence.length === length && isUtf8(sequence)) {
      text += sequence.toString('utf8')
      at += length
    } else {
      text += `\\x${bytes[at]!.toString(16).padStart(2, '0')}`
      at++
    }
  }
  return text
}

function sequenceLength(lead: number): number {
  if (lead < 0x80) return 1
  if (lead < 0xc0) return 0
  if (lead < 0xe0) return 2
  return lead < 0xf0 ? 3 : lead < 0xf8 ? 4 : 0
}
