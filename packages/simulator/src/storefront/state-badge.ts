import type { Subscription } from '../marketplace/subscription.ts'
import { type Html, html } from './html.ts'

const STATES = {
  scheduled: { text: 'Starts later', tone: 'wait' },
  agreementActive: { text: 'Waiting for its license', tone: 'wait' },
  licensed: { text: 'Active', tone: 'good' },
  ending: { text: 'Ending', tone: 'wait' },
  finalWindow: { text: 'Final usage only', tone: 'wait' },
  closed: { text: 'Ended', tone: 'idle' },
  failed: { text: 'Payment failed', tone: 'bad' },
} satisfies Record<Subscription['state'], { text: string; tone: string }>

export function stateBadge({ state, suspended }: Subscription): Html {
  const { text, tone } = STATES[state]
  return html`<span class="state state-${tone}">${text}</span>${suspended && html` <span class="state state-bad">Suspended</span>`}`
}
