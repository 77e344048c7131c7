/**
 * Does a URL's host mean this machine? `unclear` is what may: neither the simulator's nor AWS's address, so that
 * both simulated mode (which wants `loopback`) and live mode (which wants `elsewhere`) refuse it.
 */
export function whereIs(url: URL): 'loopback' | 'elsewhere' | 'unclear' {
  return whereIsHost(url.hostname)
}

/** @param hostname - as `URL` writes it: lower case, IPv4 in four decimal parts, IPv6 shortened in brackets */
export function whereIsHost(hostname: string): 'loopback' | 'elsewhere' | 'unclear' {
  const host = hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
  if (host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)) return 'loopback'
  if (host === '' || /^0\.\d+\.\d+\.\d+$/.test(host) || host === '::') return 'unclear'
  if (host.startsWith('::ffff:') || host.endsWith('.localhost')) return 'unclear'
  return 'elsewhere'
}
