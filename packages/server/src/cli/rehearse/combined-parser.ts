import { isIP } from 'node:net'
import { emptyFields, excerptOf, isBlank, type LineParser, type LogLine, malformedLine } from './log-line.ts'
import type { PhysicalLine } from './physical-lines.ts'

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const TIME = /^(\d{2})\/([A-Za-z]{3})\/(\d{4}):(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))? ([+-])(\d{2})(\d{2})$/
const HEAD = /^([^"[]+) \[([^\]["]{1,40})\] "/
const STATUS_AND_SIZE = / (\d{3}) (\d{1,15}|-)(?= |$)/y
const REQUEST = /^(\S+) (.+?)(?: (HTTP\/\S+))?$/s
const ANOTHER_LINE = /\[\d{2}\/[A-Za-z]{3}\/\d{4}:\d{2}:\d{2}:\d{2}/
const RUN_TOGETHER = 'another line begins within it, which is not counted'
/** Values after the user agent that are kept (`extra_1`, …), where a server logs more than the format has. */
const EXTRA_FIELDS_MAX = 16

/**
 * Reads the combined and the common format of Apache and nginx, with or without a virtual host in front.
 * Fields: `remote_addr`, `remote_user`, `time` (ISO 8601, UTC), `request`, `method`, `path`, `protocol`,
 * `status`, `bytes` (`-` is 0), `referer`, `user_agent`, `vhost`, `extra_1` … Values are as the server wrote
 * them, escapes included, but for `\"`.
 */
export function createCombinedParser(): LineParser {
  /** Lines go on after the size: one that stops there was cut, perhaps within it. */
  let combined = false
  return {
    push(line) {
      if (isBlank(line.text)) return []
      const parsed = parseCombined(line, combined)
      if (parsed.goesOn) combined = true
      return [parsed.logLine]
    },
    end: () => [],
  }
}

function parseCombined(
  line: PhysicalLine,
  othersGoOn: boolean,
): { readonly logLine: LogLine; readonly goesOn: boolean } {
  const malformed = (reason: string) => ({ logLine: malformedLine(line, reason), goesOn: false })
  const text = line.text.trimEnd()
  const head = HEAD.exec(text)
  if (!head) return malformed('does not begin with address, user, [time] and "request"')
  const fields = emptyFields()
  const words = head[1]!.split(' ')
  if (words.length > 3 && /:\d+$/.test(words[0]!) && isIP(words[1]!) !== 0) fields.vhost = words.shift()!
  if (!areHeadWords(words))
    return malformed('has other words before its time than address, identity and user')
  fields.remote_addr = words[0]!
  fields.remote_user = words.slice(2).join(' ')
  const time = parseClfTime(head[2]!)
  if (time === undefined) return malformed('its time is not like 17/May/2015:10:05:03 +0000')
  fields.time = new Date(time).toISOString()

  const requestStart = head[0].length
  const request = findRequestEnd(text, requestStart)
  if (request === undefined) return malformed('no status and size after its request')
  const requestText = unescapeQuotes(text.slice(requestStart, request.end))
  let damage: string | undefined
  if (request.damaged) {
    // Status and size would be those of the other line.
    if (ANOTHER_LINE.test(requestText)) return malformed('another line begins within its request')
    damage = 'a quote in its request is not escaped'
  }
  fields.request = requestText
  const requestParts = REQUEST.exec(requestText)
  if (requestParts) {
    fields.method = requestParts[1]!
    fields.path = requestParts[2]!
    if (requestParts[3] !== undefined) fields.protocol = requestParts[3]
  }
  STATUS_AND_SIZE.lastIndex = request.end + 1
  const statusAndSize = STATUS_AND_SIZE.exec(text)!
  const size = statusAndSize[2]!
  fields.status = statusAndSize[1]!
  fields.bytes = size === '-' ? '0' : size
  const tailStart = STATUS_AND_SIZE.lastIndex
  const goesOn = tailStart < text.length
  if (!goesOn && (line.cut || (line.end === '' && othersGoOn))) {
    if (size !== '-') return malformed('stops within or after its size, which may lack digits')
    damage = 'stops after its size'
  }

  damage = readTail(text, tailStart, fields) ?? damage
  if (line.cut) damage = 'is longer than a line may be'
  if (damage === undefined) return { logLine: { line: line.number, fields, truncated: false }, goesOn }
  if (ANOTHER_LINE.test(text.slice(tailStart))) damage = RUN_TOGETHER
  return {
    logLine: {
      line: line.number,
      fields,
      truncated: true,
      reason: damage,
      excerpt: excerptOf(line.text),
    },
    goesOn,
  }
}

/**
 * Three words; more only where the user's name has spaces. Anything else may be the beginning of one line
 * with another run into it, or a host before the address: somebody else would get the bill.
 */
function areHeadWords([address = '', identity, ...user]: readonly string[]): boolean {
  if (address === '' || user.length === 0) return false
  if (user.length === 1) return true
  return identity === '-' && user.every((word) => word !== '-' && isIP(word) === 0)
}

/**
 * The closing quote that status and size follow: the first that is not escaped, or else, in a log whose
 * server does not escape, any.
 */
function findRequestEnd(text: string, start: number): { end: number; damaged: boolean } | undefined {
  const first = closingQuote(text, start)
  if (first !== undefined && statusFollows(text, first)) return { end: first, damaged: false }
  for (let end = text.indexOf('"', start); end !== -1; end = text.indexOf('"', end + 1)) {
    if (statusFollows(text, end)) return { end, damaged: true }
  }
  return undefined
}

function statusFollows(text: string, quote: number): boolean {
  STATUS_AND_SIZE.lastIndex = quote + 1
  return STATUS_AND_SIZE.test(text)
}

function closingQuote(text: string, start: number): number | undefined {
  for (let at = start; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '"') return at
  }
  return undefined
}

/** Reads what follows the size. @returns what is damaged */
function readTail(text: string, start: number, fields: Record<string, string>): string | undefined {
  const names = ['referer', 'user_agent']
  let extras = 0
  let at = start
  while (at < text.length) {
    if (text[at] !== ' ') return 'text follows a closing quote'
    at++
    if (at >= text.length || text[at] === ' ') continue
    const quoted = text[at] === '"'
    const end = quoted ? closingQuote(text, at + 1) : nextSpace(text, at)
    const value = text.slice(quoted ? at + 1 : at, end)
    const name = (quoted ? names.shift() : undefined) ?? `extra_${++extras}`
    if (!quoted) {
      names.length = 0
      if (ANOTHER_LINE.test(value)) return RUN_TOGETHER
    }
    if (extras <= EXTRA_FIELDS_MAX) fields[name] = unescapeQuotes(value)
    if (quoted && end === undefined) return 'its last quote is not closed'
    if (!quoted && value.includes('"')) return 'a quote is out of place'
    at = (end ?? text.length) + (quoted ? 1 : 0)
  }
  return undefined
}

function nextSpace(text: string, from: number): number {
  const at = text.indexOf(' ', from)
  return at === -1 ? text.length : at
}

/** `\"` only, in pairs: other escapes stay as written, so different values stay different. */
function unescapeQuotes(text: string): string {
  return text.includes('\\') ? text.replace(/\\(.)/gs, (pair, next) => (next === '"' ? '"' : pair)) : text
}

/**
 * A time as web servers write it, `17/May/2015:10:05:03 +0000`, in ms; undefined if it is none.
 * A leap second counts in its own minute, so in its own hour.
 */
export function parseClfTime(text: string): number | undefined {
  const match = TIME.exec(text)
  if (!match) return undefined
  const day = Number(match[1])
  const month = MONTHS.indexOf(match[2]!.toLowerCase())
  const [year, hour, minute, second] = [match[3], match[4], match[5], match[6]].map(Number)
  const [zoneHours, zoneMinutes] = [Number(match[9]), Number(match[10])]
  if (hour! > 23 || minute! > 59 || second! > 60 || zoneHours > 14 || zoneMinutes > 59) return undefined
  const ms = Number((match[7] ?? '').slice(0, 3).padEnd(3, '0'))
  const local = Date.UTC(year!, month, day, hour, minute, Math.min(second!, 59), ms)
  const date = new Date(local)
  if (date.getUTCDate() !== day || date.getUTCMonth() !== month || date.getUTCFullYear() !== year)
    return undefined
  return local - (match[8] === '-' ? -1 : 1) * (zoneHours * 60 + zoneMinutes) * 60_000
}
