import { DomainError } from '../error.ts'

/** Of an IPv6 address, what one household or office has: whoever has one of its addresses has all of them. */
const IPV6_PREFIX_BYTES = 8
const GROUPS = 8
/** IPv6 addresses whose last four bytes are an IPv4 address: mapped ones, and those of NAT64 (RFC 6052's well-known prefix). */
const WITH_IPV4 = [
  [0, 0, 0, 0, 0, 0xffff],
  [0x64, 0xff9b, 0, 0, 0, 0],
]

/** Of IPv4 a /24, of IPv6 a /48, bytes: what one customer of a network is given at most, as a rule. */
const NETWORK_BYTES = { ipv4: 3, ipv6: 6 }

/**
 * What of an address tells visitors apart: all four bytes of IPv4, the first eight of IPv6 (a /64). IPv4 that is written as
 * IPv6 (`::ffff:192.0.2.1`, `64:ff9b::192.0.2.1`) is IPv4.
 *
 * @throws {DomainError} `request.invalid`; it does not repeat the address, which is nobody's to log
 */
export function addressPrefix(address: string): Uint8Array {
  const bytes = readIPv4(address) ?? readIPv6(address)
  if (bytes === undefined)
    throw new DomainError(
      'request.invalid',
      'visitor.ip: no IP address: give it as the socket has it, such as 192.0.2.1 or 2001:db8::1, without a port',
    )
  return bytes
}

/** The network that it is in. @param prefix - see `addressPrefix` */
export function networkOf(prefix: Uint8Array): Uint8Array {
  const isIPv6 = prefix.length === IPV6_PREFIX_BYTES
  return prefix.slice(0, isIPv6 ? NETWORK_BYTES.ipv6 : NETWORK_BYTES.ipv4)
}

function readIPv4(text: string): Uint8Array | undefined {
  const parts = text.split('.')
  // With a leading zero it is another number to those who read it as octal.
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part))) return undefined
  const bytes = parts.map(Number)
  return bytes.every((byte) => byte <= 255) ? Uint8Array.from(bytes) : undefined
}

function readIPv6(text: string): Uint8Array | undefined {
  // The zone (`fe80::1%eth0`) is of the machine that saw it, and says nothing of the visitor.
  const groups = readGroups(text.replace(/%[A-Za-z0-9._~-]{1,64}$/, ''))
  if (groups === undefined) return undefined
  const bytes = Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 255]))
  const isIPv4 = WITH_IPV4.some((prefix) => prefix.every((group, index) => group === groups[index]))
  return isIPv4 ? bytes.slice(12) : bytes.slice(0, IPV6_PREFIX_BYTES)
}

function readGroups(text: string): number[] | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [head, tail] = halves.map(readHalf)
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined
  if (tail === undefined) return head.length === GROUPS ? head : undefined
  // IPv4 is written at the very end alone.
  if (halves[0]!.includes('.')) return undefined
  const missing = GROUPS - head.length - tail.length
  return missing < 1 ? undefined : [...head, ...Array<number>(missing).fill(0), ...tail]
}

function readHalf(text: string): number[] | undefined {
  if (text === '') return []
  const groups: number[] = []
  const parts = text.split(':')
  for (const [index, part] of parts.entries()) {
    const dotted = index === parts.length - 1 && part.includes('.') ? readIPv4(part) : undefined
    if (dotted !== undefined) groups.push((dotted[0]! << 8) | dotted[1]!, (dotted[2]! << 8) | dotted[3]!)
    else if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups.push(Number.parseInt(part, 16))
    else return undefined
  }
  return groups
}
