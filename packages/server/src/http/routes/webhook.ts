import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { NotificationOutcome } from '../../domain/subscriptions/notification-intake.ts'
import { checkRelay } from '../../domain/subscriptions/relay-signature.ts'
import { refused } from '../../domain/subscriptions/sns-gate.ts'
import { readText } from '../../domain/usage/read-json.ts'
import type { HttpDeps } from '../deps.ts'
import { DoorError, toProblem } from '../problem.ts'
import { problems } from '../schemas.ts'

/** SNS's own limit of a message; those of AWS Marketplace have a thousandth of it. */
const MESSAGE_BYTES_MAX = 262_144
/** Messages of one address in a minute. SNS and EventBridge try again after a 429. */
const MESSAGES_PER_MINUTE_MAX = 600

type Channel = 'sns' | 'relay' | 'eventbridge'

/**
 * `POST /marketplace/webhook`: AWS Marketplace's notifications. Open to everybody, so each message brings its proof:
 * SNS's signature, a relay's HMAC, or a service key in an API destination of EventBridge. Answers 200 when it is kept.
 */
export function webhookRoutes(
  deps: Pick<HttpDeps, 'notifications' | 'relay' | 'refusals' | 'clock'>,
): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.addHook('onClose', () => deps.refusals.close())
    app.removeAllContentTypeParsers()
    // SNS says text/plain, whatever is in it. Bytes: a relay signs them, not their meaning.
    app.addContentTypeParser(
      ['text/plain', 'application/json'],
      { parseAs: 'buffer' },
      async (_request: unknown, body: Buffer) => body,
    )

    app.post<{ Body: Buffer | null | undefined }>(
      '/marketplace/webhook',
      {
        config: { access: 'public', perAddressAndMinute: MESSAGES_PER_MINUTE_MAX },
        bodyLimit: MESSAGE_BYTES_MAX,
        validatorCompiler: () => () => true,
        schema: {
          operationId: 'receiveNotification',
          summary: 'A notification of AWS Marketplace',
          description:
            'Takes (1) messages of SNS, whose signature, certificate and topic are checked, and whose subscriptions are confirmed; (2) EventBridge events of an API destination that shows a service key of scope `events:write` as `Authorization: Bearer`; (3) either of them, or SNS’s bare message with a `messageId`, from a relay: `X-Signature` is the hex HMAC-SHA256 of `X-Timestamp`, `.` and the body with the secret `notifications.relaySecret`. A message that is known already is answered 200 as well.',
          tags: ['subscriptions'],
          headers: Type.Object({
            'x-signature': Type.Optional(Type.String()),
            'x-timestamp': Type.Optional(Type.String()),
          }),
          body: {
            content: {
              'application/json': { schema: Type.Object({}, { additionalProperties: true }) },
              'text/plain': { schema: Type.String() },
            },
          },
          response: {
            200: Type.Object({
              status: Type.Enum(
                ['followed', 'waiting', 'kept', 'known', 'confirmed', 'unsubscribed', 'rejected'],
                {
                  description:
                    'followed: a subscription follows it · waiting: for a registration, or another event · kept: nothing follows from it · known: it came before · confirmed, unsubscribed: of a topic · rejected: signed by AWS, but unreadable; a person looks at it',
                },
              ),
            }),
            ...problems(400, 401, 403, 413, 415, 429, 503),
          },
        },
      },
      async (request) => {
        const channel = channelOf(request, deps.relay !== undefined)
        try {
          return { status: await take(deps, request, channel) }
        } catch (error) {
          await note(deps.refusals, request, channel, error)
          throw error
        }
      },
    )
  }
}

function channelOf({ headers }: FastifyRequest, hasRelay: boolean): Channel {
  if (headers['x-signature'] !== undefined && (hasRelay || headers['x-amz-sns-message-type'] === undefined))
    return 'relay'
  return headers.authorization === undefined ? 'sns' : 'eventbridge'
}

async function take(
  { notifications, relay, clock }: Pick<HttpDeps, 'notifications' | 'relay' | 'clock'>,
  request: FastifyRequest<{ Body: Buffer | null | undefined }>,
  channel: Channel,
): Promise<NotificationOutcome> {
  const body = request.body ?? Buffer.alloc(0)
  if (channel === 'sns') return notifications.sns(readText(body))
  if (channel === 'eventbridge') {
    const key = await request.server.requireKey(request, 'events:write')
    if (key.product !== undefined)
      throw new DoorError(
        'key.bound_to_product',
        'AWS tells of all products at once: this needs a key that is bound to none',
      )
    return notifications.vouched(readText(body), { channel, at: clock.now() })
  }
  if (relay === undefined)
    throw refused('unsigned', 'there is no relay here: X-Signature needs `notifications.relaySecret`')
  const proof = { signature: oneOf(request, 'x-signature'), timestamp: oneOf(request, 'x-timestamp') }
  const verdict = checkRelay({ proof, body }, relay, relay.clock.now())
  if ('why' in verdict) throw refused(verdict.why, verdict.reason)
  return notifications.vouched(readText(body), { channel, at: verdict.sentAt })
}

function oneOf({ headers }: FastifyRequest, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value : undefined
}

/** What was turned away for good is in the audit trail; what cannot be taken just now comes again. */
async function note(
  refusals: HttpDeps['refusals'],
  request: FastifyRequest,
  channel: Channel,
  error: unknown,
): Promise<void> {
  const { status, code, details } = toProblem(error, request.id)
  if (status >= 500) return
  const { why = code, topic } = (details ?? {}) as { why?: string; topic?: string }
  try {
    await refusals.note({ channel, why, topic })
  } catch (auditError) {
    // It is refused all the same.
    request.log.error(
      { err: auditError, reqId: request.id },
      'a refusal could not be written to the audit trail',
    )
  }
}
