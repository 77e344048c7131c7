import { type Static, Type } from 'typebox'
import { type ApiKey, stateOf } from '../../../domain/keys/api-key.ts'
import {
  KEY_SCOPE_PATTERN,
  KEY_SCOPES_MAX,
  OVERLAP_MS,
  OVERLAP_MS_MAX,
} from '../../../domain/keys/change-api-key.ts'
import { REFERENCES } from '../../buyer-reference.ts'
import { Name, ref, Time } from '../../schemas.ts'
import { timeText } from '../subscriptions/subscription-body.ts'

const Expiry = Type.String({
  format: 'date-time',
  maxLength: 40,
  description: 'RFC 3339 with a zone: from then on it is refused. By default it does not expire.',
})

const keyFields = {
  id: Type.String(),
  product: Type.String(),
  buyer: Type.String(),
  subscription: Type.Optional(Type.String({ description: 'The only one that it is good for.' })),
  user: Type.Optional(Type.String()),
  name: Type.Optional(Type.String()),
  scopes: Type.Array(Type.String()),
  hint: Type.String({ description: 'The last characters of the secret’s random part.' }),
  state: Type.Enum(['active', 'replaced', 'expired', 'revoked'], {
    description: 'replaced: rotated; works until `usableUntil`.',
  }),
  createdAt: Time,
  expiresAt: Type.Optional(Time),
  revokedAt: Type.Optional(Time),
  replacedBy: Type.Optional(Type.String({ description: 'The key that was made in its place.' })),
  usableUntil: Type.Optional(Time),
  lastUsedAt: Type.Optional(
    Type.String({ format: 'date-time', description: 'To the minute; written down a minute later.' }),
  ),
}

export const KeyBody = Type.Object(keyFields, { $id: 'ApiKey' })

const secretField = Type.String({ description: 'The secret, `tka_…`. It is not shown again.' })
export const MadeKeyBody = Type.Object({ ...keyFields, key: secretField }, { $id: 'MadeApiKey' })
export const RotatedKeyBody = Type.Object(
  { ...keyFields, key: secretField, replaces: ref(KeyBody) },
  { $id: 'RotatedApiKey', description: 'The new key, and the old one, which works until its `usableUntil`.' },
)

export const KeyOrder = Type.Object(
  {
    product: Type.Optional(Name),
    ...(Object.fromEntries(REFERENCES.map((name) => [name, Type.Optional(Name)])) as Record<
      (typeof REFERENCES)[number],
      ReturnType<typeof Type.Optional<typeof Name>>
    >),
    user: Type.Optional(
      Type.String({
        ...Name,
        description: 'Your own id of the user: an id, not a name or an address.',
      }),
    ),
    name: Type.Optional(Type.String({ ...Name, description: 'A label to tell it by: not a person’s name.' })),
    scopes: Type.Optional(
      Type.Array(Type.String({ pattern: KEY_SCOPE_PATTERN }), {
        maxItems: KEY_SCOPES_MAX,
        description:
          'What it may do, in your own words, such as `reports:read`. Without any it may do nothing that a scope is asked for.',
      }),
    ),
    expiresAt: Type.Optional(Expiry),
    requestId: Type.Optional(
      Type.String({
        ...Name,
        description:
          'Your own id of this request, the same on every retry: it makes one key of a buyer’s user. A repeat is answered 409 `key.exists` with the key’s id.',
      }),
    ),
  },
  {
    $id: 'ApiKeyOrder',
    additionalProperties: false,
    description:
      'Name the buyer by one of `subscriptionId`, `buyerId`, `tenantId`, `licenseArn`, `customerAWSAccountId`, `customerIdentifier`. By `subscriptionId` the key is bound to that subscription and what renews it, by all else to the buyer.',
  },
)

interface Rotation {
  readonly overlapSeconds?: number
  readonly expiresAt?: string
}

export const RotationBody = Type.Unsafe<Rotation | null>({
  type: ['object', 'null'],
  additionalProperties: false,
  properties: {
    overlapSeconds: {
      type: 'integer',
      minimum: 0,
      maximum: OVERLAP_MS_MAX / 1000,
      default: OVERLAP_MS / 1000,
      description: 'How long the old secret works on; 0: it is refused at once.',
    },
    expiresAt: {
      ...Expiry,
      description: 'Of the new key. By default it lives as long as the old one was made for.',
    },
  },
})

export function toKeyBody(key: ApiKey, now: number): Static<typeof KeyBody> {
  const { id, product, buyer, subscription, user, name, scopes, hint, replacedBy } = key
  return {
    id,
    product,
    buyer,
    ...(subscription !== undefined && { subscription }),
    ...(user !== undefined && { user }),
    ...(name !== undefined && { name }),
    scopes: [...scopes],
    hint,
    state: stateOf(key, now),
    createdAt: timeText(key.createdAt),
    ...time('expiresAt', key.expiresAt),
    ...time('revokedAt', key.revokedAt),
    ...(replacedBy !== undefined && { replacedBy }),
    ...time('usableUntil', key.usableUntil),
    ...time('lastUsedAt', key.lastUsedAt),
  }
}

function time<K extends string>(key: K, ms: number | undefined): { [name in K]?: string } {
  return (ms === undefined ? {} : { [key]: timeText(ms) }) as { [name in K]?: string }
}
