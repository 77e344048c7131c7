import type { SigningFault } from './engine.ts'
import { certificatePath, createSigningKeys, type SigningKeys } from './signing-keys.ts'
import { type SignatureVersion, type SnsDraft, type SnsMessage, signSnsMessage } from './sns-message.ts'

/** Signs SNS messages. Keys are made when the first one is to be signed. */
export interface Signer {
  /** @param fault - what is to be wrong about the signature */
  sign(draft: SnsDraft, fault?: SigningFault): Promise<SnsMessage>
  /** The certificate of the authority that vouches for the signing one, in PEM. */
  caCertificate(): Promise<string>
  /** What is served at a path: the signing certificate, or that of a forger. */
  certificateAt(path: string): string | undefined
}

/** A host that no certificate of SNS may come from; it does not exist (RFC 2606). */
const WRONG_HOST = 'https://sns.us-east-1.amazonaws.com.example'

export function createSigner(options: {
  readonly kept: () => SigningKeys | undefined
  readonly keep: (keys: SigningKeys) => void
  readonly version: () => SignatureVersion
  readonly baseUrl: () => string
}): Signer {
  let making: Promise<SigningKeys> | undefined
  let forging: Promise<SigningKeys> | undefined
  /** Another authority's; it lives as long as the process. */
  let forged: SigningKeys | undefined

  function keys(): Promise<SigningKeys> {
    const kept = options.kept()
    if (kept !== undefined) return Promise.resolve(kept)
    making ??= createSigningKeys().then((made) => {
      options.keep(made)
      return made
    })
    return making
  }

  function forgedKeys(): Promise<SigningKeys> {
    forging ??= createSigningKeys().then((made) => {
      forged = made
      return made
    })
    return forging
  }

  return {
    async sign(draft, fault) {
      const used = await (fault === 'forge' ? forgedKeys() : keys())
      const host = fault === 'wrongCertHost' ? WRONG_HOST : options.baseUrl()
      const message = signSnsMessage(draft, options.version(), {
        privateKey: used.privateKey,
        certificateUrl: `${host}${certificatePath(used)}`,
      })
      return fault === 'tamper' ? { ...message, Message: tampered(message.Message) } : message
    },
    caCertificate: async () => (await keys()).caCertificate,
    certificateAt: (path) =>
      [options.kept(), forged].find((used) => used !== undefined && certificatePath(used) === path)
        ?.certificate,
  }
}

/** Says something else to whoever does not check the signature: another action, or another account. */
function tampered(text: string): string {
  const message = JSON.parse(text)
  if (typeof message.action === 'string') {
    message.action = message.action === 'subscribe-success' ? 'unsubscribe-success' : 'subscribe-success'
  } else message.account = '999999999999'
  return JSON.stringify(message)
}
