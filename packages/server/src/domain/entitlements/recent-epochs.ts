import type { Clock } from '../clock.ts'
import type { Prompt } from '../prompt.ts'
import type { EntitlementStore } from './entitlement-store.ts'

export type Epochs = Awaited<ReturnType<EntitlementStore['epochs']>>

/** How long what changed on another node may not be seen here, ms. */
export const EPOCHS_MS = 500

/** Looks for changes of subscriptions once in a while, for what is asked at every request of a product. */
export interface RecentEpochs {
  readonly epochs: () => Prompt<Epochs>
  /** Something was changed on this node: from here on that holds here. */
  forget(): void
}

export function createRecentEpochs(deps: {
  readonly entitlements: Pick<EntitlementStore, 'epochs'>
  readonly clock: Pick<Clock, 'now'>
}): RecentEpochs {
  let known: Prompt<Epochs> | undefined
  let lookedAt = 0
  const forget = () => {
    known = undefined
  }
  return {
    epochs() {
      const now = deps.clock.now()
      // A clock that went back (a rehearsal's may) must not make a look live longer.
      if (known !== undefined && now >= lookedAt && now - lookedAt < EPOCHS_MS) return known
      const look = deps.entitlements.epochs()
      known = look
      lookedAt = now
      look.then(
        (epochs) => {
          if (known === look) known = epochs
        },
        () => {
          if (known === look) forget()
        },
      )
      return look
    },
    forget,
  }
}

/** The same port; says when one of its steps has ended, well or not. */
export function noticing<Port extends object>(
  port: Port,
  steps: readonly (keyof Port)[],
  onEnd: () => void,
): Port {
  const noticed = { ...port }
  for (const name of steps) {
    const step = port[name] as (...args: readonly unknown[]) => Promise<unknown>
    noticed[name] = ((...args: readonly unknown[]) => step(...args).finally(onEnd)) as Port[typeof name]
  }
  return noticed
}
