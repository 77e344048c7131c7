import { randomUUID } from 'node:crypto'
import type { Delivery } from '../delivery/delivery.ts'
import type { QueryAnswer } from './sts.ts'

const NAMESPACE = 'http://sns.amazonaws.com/doc/2010-03-31/'

/**
 * SNS, as far as a subscriber needs it: `ConfirmSubscription` and `Unsubscribe`, whether by a link in a message
 * (which needs no signature) or by a signed call.
 *
 * @see {@link https://docs.aws.amazon.com/sns/latest/api/API_ConfirmSubscription.html | ConfirmSubscription}
 */
export function handleSns(form: URLSearchParams, delivery: Delivery): QueryAnswer {
  const action = form.get('Action') ?? ''
  switch (action) {
    case 'ConfirmSubscription': {
      const arn = delivery.confirmSubscription(form.get('TopicArn') ?? '', form.get('Token') ?? '')
      if (arn === undefined) return snsError('InvalidParameter', 'Invalid parameter: Token', 400)
      return snsAnswer(action, `<SubscriptionArn>${arn}</SubscriptionArn>`)
    }
    case 'Unsubscribe':
      return delivery.unsubscribe(form.get('SubscriptionArn') ?? '')
        ? snsAnswer(action)
        : snsError('NotFound', 'Subscription does not exist', 404)
    default:
      return snsError(
        'InvalidAction',
        'The simulator knows ConfirmSubscription and Unsubscribe of SNS only',
        400,
      )
  }
}

function snsAnswer(action: string, result?: string): QueryAnswer {
  const body = [
    `<${action}Response xmlns="${NAMESPACE}">`,
    ...(result === undefined ? [] : [`  <${action}Result>${result}</${action}Result>`]),
    `  <ResponseMetadata><RequestId>${randomUUID()}</RequestId></ResponseMetadata>`,
    `</${action}Response>`,
  ]
  return { status: 200, body: `${body.join('\n')}\n` }
}

/** @param message - not from outside: it is not escaped */
export function snsError(code: string, message: string, status: number): QueryAnswer {
  return {
    status,
    body: `<ErrorResponse xmlns="${NAMESPACE}">
  <Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error>
  <RequestId>${randomUUID()}</RequestId>
</ErrorResponse>
`,
  }
}
