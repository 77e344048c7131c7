import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addressPrefix, networkOf } from './address.ts'

const hex = (address: string) => Buffer.from(addressPrefix(address)).toString('hex')

describe('what of an address tells visitors apart', () => {
  it('is all of IPv4, however it is written', () => {
    for (const address of ['192.0.2.1', '::ffff:192.0.2.1', '::FFFF:c000:201', '0:0:0:0:0:ffff:192.0.2.1'])
      expect(hex(address)).toBe('c0000201')
    // As NAT64 hands it on, too (RFC 6052).
    for (const address of ['64:ff9b::192.0.2.1', '64:ff9b::c000:201']) expect(hex(address)).toBe('c0000201')
    expect(hex('64:ff9b:1::192.0.2.1')).toBe('0064ff9b00010000')
    expect(hex('192.0.2.2')).not.toBe(hex('192.0.2.1'))
  })

  it('is the /64 of IPv6: one household has many addresses', () => {
    const one = hex('2001:db8::1')
    expect(one).toBe('20010db800000000')
    for (const address of [
      '2001:0db8:0:0:ffff:1:2:3',
      '2001:DB8::',
      '2001:db8::192.0.2.1',
      '2001:db8::1%eth0',
    ])
      expect(hex(address)).toBe(one)
    expect(hex('2001:db8:0:1::1')).not.toBe(one)
    expect(hex('::1')).toBe('0000000000000000')
  })

  it('is in a network: a /24 of IPv4, a /48 of IPv6', () => {
    const network = (address: string) => Buffer.from(networkOf(addressPrefix(address))).toString('hex')
    expect(network('192.0.2.1')).toBe('c00002')
    expect(network('64:ff9b::192.0.2.1')).toBe('c00002')
    expect(network('2001:db8:1:2::1')).toBe('20010db80001')
  })

  it('is the same of every address in one /64', () => {
    const group = fc.integer({ min: 0, max: 0xffff })
    fc.assert(
      fc.property(
        fc.array(group, { minLength: 8, maxLength: 8 }),
        fc.array(group, { minLength: 4, maxLength: 4 }),
        (groups, others) => {
          fc.pre(groups.slice(0, 4).some((one) => one !== 0))
          const write = (all: readonly number[]) => all.map((one) => one.toString(16)).join(':')
          expect(hex(write([...groups.slice(0, 4), ...others]))).toBe(hex(write(groups)))
        },
      ),
    )
  })

  it('is refused where it is no address, and not repeated', () => {
    const wrong = [
      '',
      'localhost',
      '198.51.100',
      '198.51.100.256',
      '198.51.100.01',
      '198.51.100.1:443',
      '[2001:db8::1]',
      '2001:db8',
      '2001:db8::1::2',
      '1:2:3:4:5:6:7:8:9',
      '1:2:3:4:5:6:7::8:9',
      '12345::1',
      ':1:2:3:4:5:6:7',
      '1.2.3.4::1',
      '::1.2.3',
      '2001:db8::1%',
      '198.51.100.1 ',
      '198.51.100.1, 10.0.0.1',
    ]
    for (const address of wrong) {
      const read = () => addressPrefix(address)
      expect(read, address).toThrow(expect.objectContaining({ code: 'request.invalid' }))
      if (address.length > 9) expect(read).not.toThrow(address)
    }
  })
})
