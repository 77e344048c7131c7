import { createHash, generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'
import type { pki } from 'node-forge'

/** A certificate authority and the certificate it issued for signing; all in PEM. */
export interface SigningKeys {
  readonly caCertificate: string
  readonly certificate: string
  readonly privateKey: string
}

const RSA_BITS = 2048
const AUTHORITY_NAME = 'Simulated AWS Marketplace CA'
const SIGNER_NAME = 'sns.amazonaws.com'
/** The virtual clock may stand anywhere; a certificate's dates are no part of what is simulated. */
const VALID_FROM = new Date('2000-01-01T00:00:00Z')
const VALID_UNTIL = new Date('2049-12-31T23:59:59Z')

/** Takes a tenth of a second, most of it off the main thread. The authority's key is forgotten: it issues only this. */
export async function createSigningKeys(): Promise<SigningKeys> {
  const [{ default: forge }, authority, signer] = await Promise.all([
    import('node-forge'),
    createRsaKeys(),
    createRsaKeys(),
  ])
  const issue = (
    name: string,
    serialNumber: string,
    publicKey: string,
    extensions: readonly Record<string, unknown>[],
  ): string => {
    const certificate: pki.Certificate = forge.pki.createCertificate()
    certificate.publicKey = forge.pki.publicKeyFromPem(publicKey)
    certificate.serialNumber = serialNumber
    certificate.validity.notBefore = VALID_FROM
    certificate.validity.notAfter = VALID_UNTIL
    certificate.setSubject([{ name: 'commonName', value: name }])
    certificate.setIssuer([{ name: 'commonName', value: AUTHORITY_NAME }])
    certificate.setExtensions([...extensions])
    certificate.sign(forge.pki.privateKeyFromPem(authority.privateKey), forge.md.sha256.create())
    return forge.pki.certificateToPem(certificate).replaceAll('\r\n', '\n')
  }
  return {
    caCertificate: issue(AUTHORITY_NAME, '01', authority.publicKey, [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, critical: true },
    ]),
    certificate: issue(SIGNER_NAME, '02', signer.publicKey, [
      { name: 'basicConstraints', cA: false },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'subjectAltName', altNames: [{ type: 2, value: SIGNER_NAME }] },
    ]),
    privateKey: signer.privateKey,
  }
}

/** The path that a certificate is served at, as SNS names it. */
export function certificatePath({ certificate }: SigningKeys): string {
  return `/SimpleNotificationService-${createHash('sha256').update(certificate).digest('hex').slice(0, 32)}.pem`
}

function createRsaKeys(): Promise<{ publicKey: string; privateKey: string }> {
  return promisify(generateKeyPair)('rsa', {
    modulusLength: RSA_BITS,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
}
