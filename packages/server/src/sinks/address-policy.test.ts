import { expect, it } from 'vitest'
import { isAllowedAddress } from './address-policy.ts'

const PUBLIC = [
  '8.8.8.8',
  '1.1.1.1',
  '52.94.236.248',
  '172.32.0.1',
  '100.128.0.1',
  '2606:4700::1111',
  '2a05:d018::1',
]

/** Of this machine and its networks. */
const PRIVATE = [
  '127.0.0.1',
  '127.255.255.255',
  '10.0.0.1',
  '10.255.255.255',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '100.64.0.1',
  '100.127.255.255',
  '192.0.0.192',
  '192.0.2.1',
  '192.88.99.1',
  '198.18.0.1',
  '198.19.255.255',
  '198.51.100.7',
  '203.0.113.9',
  '::1',
  'fc00::1',
  'fdff::1',
  '2001::1',
  '2001:db8::1',
  '2002:7f00:1::',
  '3fff::1',
  '100::1',
]

/** Nobody's webhook: metadata, link-local, multicast, reserved, and IPv4 in the clothes of IPv6. */
const NEVER = [
  '0.0.0.0',
  '0.1.2.3',
  '169.254.169.254',
  '169.254.170.2',
  '169.254.0.1',
  '224.0.0.1',
  '239.255.255.250',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  'fe80::1',
  'febf::1',
  'fe80::1%eth0',
  'fec0::1',
  'ff02::1',
  'fd00:ec2::254',
  '::ffff:127.0.0.1',
  '::ffff:7f00:1',
  '::ffff:10.0.0.1',
  '::ffff:169.254.169.254',
  '::ffff:8.8.8.8',
  '::127.0.0.1',
  '::ffff:0:127.0.0.1',
  '64:ff9b::7f00:1',
  '64:ff9b::a9fe:a9fe',
  '64:ff9b::808:808',
  '64:ff9b:1::1',
  'localhost',
  '127.1',
  '0x7f000001',
  '2130706433',
  '',
]

it.each(PUBLIC)('%s is of the internet', (address) => {
  expect(isAllowedAddress(address, 'public')).toBe(true)
  expect(isAllowedAddress(address, 'private')).toBe(true)
})

it.each(PRIVATE)('%s is allowed only where private addresses are', (address) => {
  expect(isAllowedAddress(address, 'public')).toBe(false)
  expect(isAllowedAddress(address, 'private')).toBe(true)
})

it.each(NEVER)('%j is never allowed', (address) => {
  for (const policy of ['public', 'private', 'loopback'] as const)
    expect(isAllowedAddress(address, policy)).toBe(false)
})

it('lets only this machine in where nothing may leave it', () => {
  for (const address of ['127.0.0.1', '127.9.9.9', '::1'])
    expect(isAllowedAddress(address, 'loopback')).toBe(true)
  for (const address of [...PUBLIC, '10.0.0.1', '192.168.1.1', 'fc00::1'])
    expect(isAllowedAddress(address, 'loopback')).toBe(false)
})
