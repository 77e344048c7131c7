/**
 * Loaded before a program (`node --import`): writes each address that it connects to, sends to or asks the name of into
 * the file `RECORD_CONNECTIONS`. It sits below all of Node.js's own modules, where no library gets past it.
 */
import { appendFileSync } from 'node:fs'

type Native = Record<string, (...given: unknown[]) => unknown>

const file = process.env.RECORD_CONNECTIONS ?? ''
// The only way to what is below `node:net` and `node:dns`; Node.js keeps it for programs like this one.
const { binding } = process as unknown as { binding(name: string): Record<string, unknown> }

function record(owner: Native, method: string, toText: (given: readonly unknown[]) => string): void {
  const original = owner[method]
  if (original === undefined) throw new Error(`this Node.js has no ${method} to watch`)
  owner[method] = function (this: unknown, ...given: unknown[]) {
    appendFileSync(file, `${toText(given)}\n`)
    return original.apply(this, given)
  }
}

const prototypeOf = (wrap: string, name: string) => (binding(wrap)[name] as { prototype: Native }).prototype

record(prototypeOf('tcp_wrap', 'TCP'), 'connect', ([, address]) => `connect ${address}`)
record(prototypeOf('tcp_wrap', 'TCP'), 'connect6', ([, address]) => `connect ${address}`)
record(
  prototypeOf('udp_wrap', 'UDP'),
  'send',
  (given) => `send ${given.find((value) => typeof value === 'string')}`,
)
record(
  prototypeOf('udp_wrap', 'UDP'),
  'send6',
  (given) => `send ${given.find((value) => typeof value === 'string')}`,
)
record(binding('cares_wrap') as Native, 'getaddrinfo', ([, name]) => `lookup ${name}`)
const channel = prototypeOf('cares_wrap', 'ChannelWrap')
for (const query of Object.getOwnPropertyNames(channel).filter((name) => /^(query|getHost)/.test(name))) {
  record(channel, query, ([, name]) => `lookup ${name}`)
}
