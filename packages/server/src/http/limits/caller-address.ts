import { isIPv4 } from 'node:net'
import { addressPrefix } from '../../domain/visitors/address.ts'

const IPV4_BYTES = 4
/** Whatever a proxy says that is no address: all of it is one caller. */
const NO_ADDRESS = 'none'

/** Whom an address is counted for: IPv4 whole, IPv6 by /64, and IPv4 that is written as IPv6 as IPv4. */
export function callerOf(address: string): string {
  if (isIPv4(address)) return address
  try {
    const prefix = addressPrefix(address)
    return prefix.length === IPV4_BYTES ? prefix.join('.') : `${Buffer.from(prefix).toString('hex')}/64`
  } catch {
    return NO_ADDRESS
  }
}
