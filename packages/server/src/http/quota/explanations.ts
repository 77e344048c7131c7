import type { QuotaRefusal } from '../../domain/quotas/quota-answer.ts'

/** What a product may show to whoever it turns away. */
export const EXPLANATIONS: Readonly<Record<QuotaRefusal, string>> = {
  key_unknown: 'This API key is not known.',
  key_revoked: 'This API key was revoked.',
  key_expired: 'This API key has expired.',
  key_scope: 'This API key may not do this.',
  pending: 'The subscription has not started yet.',
  suspended: 'The subscription is suspended.',
  cancelling: 'The subscription has ended.',
  ended: 'The subscription has ended.',
  not_entitled: 'The plan does not include this.',
  quota_exceeded: 'The plan’s limit is used up.',
  trial_ended: 'The trial has ended.',
  challenge_required: 'Please confirm that you are no robot.',
  rate_limited: 'Too many unknown API keys were tried. Please wait.',
}
