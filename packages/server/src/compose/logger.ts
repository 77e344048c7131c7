import { readFileSync } from 'node:fs'
import type { Writable } from 'node:stream'
import { type Logger, pino } from 'pino'
import type { Config } from '../config.ts'
import { LOGGER_OPTIONS } from '../http/logging.ts'

/** @param stream - default: standard output */
export function createLogger(config: Pick<Config, 'log'>, stream?: Writable): Logger {
  const options = { ...LOGGER_OPTIONS, level: config.log.level }
  return stream === undefined ? pino(options) : pino(options, stream)
}

export const VERSION: string = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
).version
