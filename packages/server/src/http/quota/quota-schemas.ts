import { Type } from 'typebox'
import { Name, Quantity, Time } from '../schemas.ts'

const Reason = Type.Enum(
  [
    'key_unknown',
    'key_revoked',
    'key_expired',
    'key_scope',
    'pending',
    'suspended',
    'cancelling',
    'ended',
    'not_entitled',
    'quota_exceeded',
    'trial_ended',
    'challenge_required',
    'rate_limited',
  ],
  {
    description:
      'key_…: the API key is no good, or lacks the scope · pending: registered, access has not started · suspended: the seller holds it · cancelling, ended: it is over · not_entitled: the plan does not include it · quota_exceeded: a limit that blocks has no room · trial_ended · challenge_required: a visitor has to solve `challenge` first · rate_limited: the API key is not known, and too many such were tried lately; one that is good is never answered so',
  },
)

/** A quantity of the dimension's own unit; `unlimited` is a value. */
const Allowance = Type.Unsafe<number | 'unlimited'>({ type: ['number', 'string'] })

const LimitBody = Type.Object(
  {
    window: Type.Enum(['minute', 'hour', 'day', 'month', 'lifetime']),
    limit: Allowance,
    used: Type.Number({ description: 'What is reserved is in it.' }),
    remaining: Allowance,
    resetAt: Type.Optional(Time),
    onExceed: Type.Enum(['block', 'bill'], { description: 'bill: more is let through, and charged.' }),
  },
  { $id: 'QuotaLimit' },
)

const UpgradeBody = Type.Object(
  {
    plan: Type.Optional(Type.String()),
    title: Type.Optional(Type.String()),
    url: Type.Optional(Type.String()),
    message: Type.String(),
  },
  {
    $id: 'Upgrade',
    description:
      'What to show to whoever needs more. A buyer who came through AWS Marketplace is shown its address alone.',
  },
)

const holderFields = {
  plan: Type.Optional(Type.String()),
  product: Type.Optional(Type.String()),
  subscription: Type.Optional(Type.String()),
  buyer: Type.Optional(Type.String()),
  tenant: Type.Optional(Type.String({ description: 'The seller’s own id of the buyer.' })),
  visitor: Type.Optional(Type.String({ description: 'Of a visitor without a key: random, and no address.' })),
  user: Type.Optional(Type.String({ description: 'The user that the key is bound to.' })),
  keyId: Type.Optional(Type.String()),
  channel: Type.Optional(Type.Enum(['aws', 'direct', 'free'])),
  features: Type.Optional(
    Type.Unsafe<Readonly<Record<string, boolean | number | string>>>({
      type: 'object',
      additionalProperties: {},
    }),
  ),
  trialEndsAt: Type.Optional(Time),
  upgrade: Type.Optional(Type.Unsafe<Readonly<Record<string, unknown>>>({ $ref: 'Upgrade#' })),
}

const answerFields = {
  allowed: Type.Boolean(),
  reason: Type.Optional(Reason),
  message: Type.Optional(Type.String({ description: 'The reason in a sentence, for people.' })),
  dimension: Type.String(),
  quantity: Type.Number(),
  limits: Type.Array(Type.Unsafe<Readonly<Record<string, unknown>>>({ $ref: 'QuotaLimit#' })),
  remaining: Type.Optional(Allowance),
  resetAt: Type.Optional(Time),
  retryAfterSeconds: Type.Optional(Type.Integer()),
  repeated: Type.Optional(
    Type.Boolean({ description: 'Its id was let through before; nothing was counted now.' }),
  ),
  recordId: Type.Optional(
    Type.String({ description: 'Of the usage event that it became: the gate meters this dimension.' }),
  ),
  challenge: Type.Optional(
    Type.Unsafe<Readonly<Record<string, unknown>>>({
      type: 'object',
      additionalProperties: {},
      description:
        'Of `challenge_required`: what the ALTCHA widget solves. Ask again with its payload as `visitor.challenge`, within 10 minutes.',
    }),
  ),
  challengeProblem: Type.Optional(
    Type.Enum(['wrong', 'expired', 'used'], {
      description: 'Why the payload that came along was not taken: here is another challenge.',
    }),
  ),
  ...holderFields,
}

export const QuotaBody = Type.Object(answerFields, { $id: 'QuotaAnswer' })

export const ReservedBody = Type.Object(
  {
    ...answerFields,
    reservation: Type.Optional(
      Type.Object(
        { id: Type.String(), state: Type.Enum(['held', 'settled']), expiresAt: Time },
        { description: 'Missing where it is refused. `settled`: this id was, before; its work is done.' },
      ),
    ),
  },
  { $id: 'ReservationAnswer' },
)

export const SettledBody = Type.Object(
  {
    id: Type.String(),
    state: Type.Enum(['held', 'settled', 'released', 'expired']),
    settled: Type.Boolean({ description: 'False: it had expired, and there is no room for it any more.' }),
    dimension: Type.String(),
    reserved: Type.Number(),
    used: Type.Optional(Type.Number()),
    recordId: Type.Optional(Type.String()),
    billed: Type.Optional(
      Type.Boolean({
        description:
          'Of what the gate meters, once it is settled. False: nobody pays for it by use, or the subscription ended too long ago for AWS to take it, and it is kept and shown as unbillable.',
      }),
    ),
    reason: Type.Optional(Type.String({ description: 'Why it is not billed.' })),
  },
  { $id: 'Reservation' },
)

export const OverviewBody = Type.Object(
  {
    allowed: Type.Boolean(),
    reason: Type.Optional(Reason),
    ...holderFields,
    limits: Type.Array(
      Type.Object({
        dimension: Type.String(),
        window: Type.String(),
        limit: Allowance,
        used: Type.Number(),
        remaining: Allowance,
        resetAt: Type.Optional(Time),
        onExceed: Type.String(),
      }),
    ),
  },
  { $id: 'QuotaOverview' },
)

/** Schema of one who shows no key. */
export const VisitorBody = Type.Object(
  {
    ip: Type.String({
      minLength: 2,
      maxLength: 120,
      description:
        'Their address, as your server sees it. It is hashed at once, and neither kept nor logged.',
    }),
    userAgent: Type.Optional(
      Type.String({ maxLength: 8192, description: 'Their `User-Agent`; hashed likewise.' }),
    ),
  },
  { additionalProperties: false },
)

const AskingVisitor = Type.Object(
  {
    ...VisitorBody.properties,
    challenge: Type.Optional(
      Type.String({ maxLength: 8192, description: 'What the ALTCHA widget made of the last `challenge`.' }),
    ),
  },
  { additionalProperties: false },
)

const who = {
  key: Type.Optional(
    Type.String({ minLength: 1, maxLength: 200, description: 'The end user’s API key, `tka_…`.' }),
  ),
  subscriptionId: Type.Optional(Name),
  buyerId: Type.Optional(Name),
  tenantId: Type.Optional(Name),
  licenseArn: Type.Optional(Name),
  customerAWSAccountId: Type.Optional(Name),
  customerIdentifier: Type.Optional(Name),
}

const asked = {
  ...who,
  visitor: Type.Optional(AskingVisitor),
  product: Type.Optional(Name),
  scope: Type.Optional(Name),
  feature: Type.Optional(Name),
  dimension: Name,
  quantity: Type.Optional(Quantity),
}

const Id = Type.String({
  minLength: 1,
  maxLength: 256,
  description: 'The same on every retry: it counts once, and gets the same answer.',
})

export const ValidateBody = Type.Object(
  {
    ...asked,
    id: Type.Optional(Id),
    mode: Type.Optional(Type.Enum(['consume', 'look'], { description: 'look: nothing is counted.' })),
  },
  { additionalProperties: false },
)

export const ReserveBody = Type.Object(
  {
    ...asked,
    id: Id,
    expiresInSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 86_400, default: 300 })),
  },
  { additionalProperties: false },
)

export const SettleBody = Type.Object({ quantity: Quantity }, { additionalProperties: false })

const { key: _, ...references } = who

export const OverviewQuery = Type.Object(
  { ...references, product: Type.Optional(Name), dimension: Type.Optional(Name) },
  { additionalProperties: false },
)

export const QUOTA_SCHEMAS = [LimitBody, UpgradeBody, QuotaBody, ReservedBody, SettledBody, OverviewBody]
