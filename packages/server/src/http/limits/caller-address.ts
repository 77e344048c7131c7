import { isIPv4 } from 'node:net'
import { addressPrefix } from '../../domain/visitors/address.ts'

const IPV4_BYTES = 4
/** Whatever a proxy says that is no address: all of it is one caller. */
const NO_ADDRESS = 'none'

/** Some balancers name the port as well: `192.0.2.1:50123`, `[2001:db8::1]:50123`. */
const WITH_PORT = /^(?:\[(?<ipv6>[^\]]*)\](?::\d{1,5})?|(?<ipv4>[\d.]+):\d{1,5})$/

/**
 * Whom an address is counted for: IPv4 whole, IPv6 by /64, and IPv4 that is written as IPv6 as IPv4; from whichever port.
 *
 * @param forwarded - as a socket or a proxy says it
 */
export function callerOf(forwarded: string): string {
  const { ipv4, ipv6 } = WITH_PORT.exec(forwarded)?.groups ?? {}
  const address = ipv6 ?? ipv4 ?? forwarded
  if (isIPv4(address)) return address
  try {
    const prefix = addressPrefix(address)
    return prefix.length === IPV4_BYTES ? prefix.join('.') : `${Buffer.from(prefix).toString('hex')}/64`
  } catch {
    return NO_ADDRESS
  }
}
