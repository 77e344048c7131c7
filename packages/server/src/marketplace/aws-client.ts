import { requestHandlerOptions } from './aws-exchange.ts'
import { whereIs } from './loopback.ts'

/** Keys for one call to AWS, as the SDK takes them. */
export interface AwsIdentity {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
  readonly expiration?: Date
}

/** Where an AWS client's keys come from. Undefined: from the machine's surroundings, as the SDK finds them. */
export type AwsCredentials = (() => Promise<AwsIdentity>) | undefined

/** What every AWS client of the server is made from. */
export interface AwsClientOptions {
  /** `simulated` speaks to this machine only, with made-up credentials. */
  readonly mode: 'simulated' | 'shadow' | 'live'
  /** The service's address; undefined: AWS's own (not in simulated mode). */
  readonly endpoint?: string | undefined
  /** For one call, its answer read, ms. */
  readonly timeoutMs: number
  /** `createAwsCredentials()`; simulated mode needs none. */
  readonly credentials?: AwsCredentials
}

/** What the simulator is signed with. They open nothing anywhere. */
const SIMULATED_CREDENTIALS: AwsIdentity = { accessKeyId: 'SIMULATED', secretAccessKey: 'simulated' }

/** Each of these would else be looked up in the environment, `~/.aws`, or a metadata service. */
const NOTHING_AMBIENT = {
  credentials: SIMULATED_CREDENTIALS,
  defaultsMode: 'legacy' as const,
  useDualstackEndpoint: false,
  useFipsEndpoint: false,
  disableClockSkewCorrection: false,
  userAgentAppId: async () => undefined,
  authSchemePreference: ['sigv4'],
}

/**
 * The configuration that every AWS SDK client shares; its region is the caller's. Nothing is retried: where a call may
 * be repeated, the adapter does it, in its own measure.
 *
 * @throws {Error} where mode and endpoint do not fit: pretend and real never mix
 */
export function awsClientConfig(options: AwsClientOptions, what: string) {
  const { mode, endpoint, timeoutMs, credentials } = options
  checkEndpoint(options, what)
  return {
    maxAttempts: 1,
    retryMode: 'standard' as const,
    requestHandler: requestHandlerOptions(timeoutMs),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(credentials === undefined || mode === 'simulated' ? {} : { credentials }),
    ...(mode === 'simulated' ? NOTHING_AMBIENT : {}),
  }
}

/** Where a mode's calls may go: `exchange` sends nowhere else. */
export function placeOf(mode: AwsClientOptions['mode']): 'loopback' | 'elsewhere' {
  return mode === 'simulated' ? 'loopback' : 'elsewhere'
}

/** @throws {Error} */
export function checkEndpoint({ mode, endpoint }: AwsClientOptions, what: string): void {
  if (endpoint === undefined) {
    if (mode === 'simulated') throw new Error('simulated mode needs the simulator’s address')
    return
  }
  const url = new URL(endpoint)
  if (whereIs(url) === placeOf(mode)) return
  const rule = mode === 'simulated' ? 'must be on this machine' : 'must not be on this machine'
  throw new Error(`in ${mode} mode the ${what} endpoint ${rule}: ${url.host}`)
}
