import { BlockList, isIP } from 'node:net'

/**
 * Which addresses a webhook may be at.
 *
 * - `public`: of the internet only
 * - `private`: of this machine and its networks as well
 * - `loopback`: of this machine only
 */
export type AddressPolicy = 'public' | 'private' | 'loopback'

type Range = readonly [network: string, prefix: number]

/**
 * Nobody's webhook under any policy: this network's own services (cloud metadata and credentials among them), many
 * at once, or nobody at all.
 */
const NEVER: readonly Range[] = [
  ['0.0.0.0', 8],
  ['169.254.0.0', 16], // link-local: 169.254.169.254 and 169.254.170.2 hand out credentials
  ['224.0.0.0', 4], // multicast
  ['240.0.0.0', 4], // reserved, and broadcast
  ['::', 128],
  ['fd00:ec2::', 32], // metadata and time of EC2
  ['fe80::', 10], // link-local
  ['fec0::', 10], // site-local of old
  ['ff00::', 8], // multicast
]

const LOOPBACK: readonly Range[] = [
  ['127.0.0.0', 8],
  ['::1', 128],
]

/** IANA's special-purpose registries, as of November 2026: not reachable from everywhere, or a way to somewhere else. */
const NOT_PUBLIC: readonly Range[] = [
  ...LOOPBACK,
  ['10.0.0.0', 8],
  ['100.64.0.0', 10], // carrier-grade NAT
  ['172.16.0.0', 12],
  ['192.0.0.0', 24], // protocol assignments: 192.0.0.192 is metadata of another cloud
  ['192.0.2.0', 24], // documentation
  ['192.88.99.0', 24], // 6to4 relays
  ['192.168.0.0', 16],
  ['198.18.0.0', 15], // benchmarks
  ['198.51.100.0', 24], // documentation
  ['203.0.113.0', 24], // documentation
  ['2001::', 23], // protocol assignments: Teredo carries an IPv4 address
  ['2001:db8::', 32], // documentation
  ['2002::', 16], // 6to4 carries an IPv4 address
  ['3fff::', 20], // documentation
]

/** All of IPv6 that is given out to the internet. What is outside (fc00::/7, 64:ff9b::/96, v4-mapped …) is not public. */
const GLOBAL_IPV6 = listOf([['2000::', 3]])
const NEVER_LIST = listOf(NEVER)
const LOOPBACK_LIST = listOf(LOOPBACK)
const NOT_PUBLIC_LIST = listOf(NOT_PUBLIC)
const LOOPBACK_IPV6 = listOf([['::1', 128]])
/** Forms in which IPv6 writes an IPv4 address: mapped, translated (NAT64), compatible. */
const IPV4_WITHIN = listOf([
  ['::ffff:0:0', 96],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['::ffff:0:0:0', 96],
  ['::', 96],
])

function listOf(ranges: readonly Range[]): BlockList {
  const list = new BlockList()
  for (const [network, prefix] of ranges) list.addSubnet(network, prefix, familyOf(network))
  return list
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return address.includes(':') ? 'ipv6' : 'ipv4'
}

/** @param address - as a resolver gives it; what is no IP address is not allowed */
export function isAllowedAddress(address: string, policy: AddressPolicy): boolean {
  const version = isIP(address)
  if (version === 0 || address.includes('%')) return false // a zone means link-local
  const family = version === 4 ? 'ipv4' : 'ipv6'
  const isIn = (list: BlockList) => list.check(address, family)
  // An IPv4 address in the clothes of IPv6: nobody needs it, and it would get around the lists.
  if (family === 'ipv6' && isIn(IPV4_WITHIN) && !isIn(LOOPBACK_IPV6)) return false
  if (policy === 'loopback') return isIn(LOOPBACK_LIST)
  if (isIn(NEVER_LIST)) return false
  return policy === 'private' || (!isIn(NOT_PUBLIC_LIST) && (family === 'ipv4' || isIn(GLOBAL_IPV6)))
}
