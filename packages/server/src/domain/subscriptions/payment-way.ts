import { isLive, type Subscription } from './subscription.ts'

/**
 * Must this buyer be shown no way to pay but AWS Marketplace? AWS forbids to lead its buyers to another one, and says no time
 * after which one may: who came through it and left is still its buyer, until they pay directly of their own accord.
 *
 * @param ofBuyer - all subscriptions of one buyer, live and ended
 */
export function paysThroughAws(ofBuyer: readonly Pick<Subscription, 'channel' | 'status'>[]): boolean {
  const atAws = ofBuyer.filter(({ channel }) => channel === 'aws')
  if (atAws.length === 0) return false
  return atAws.some(isLive) || !ofBuyer.some((other) => other.channel === 'direct' && isLive(other))
}
