import { setTimeout as pause } from 'node:timers/promises'

/** How often a request is made while the server says that it is overloaded, and how long between. */
const ATTEMPTS_MAX = 50
const BUSY_WAIT_MS = 100

/**
 * Asks again while this machine is too busy to answer, as every client does: that says nothing about the seller's
 * integration. Only what the server turned away before it looked at it is asked again.
 */
export async function fetchPatiently(
  url: string,
  init: RequestInit,
): Promise<{ response: Response; text: string }> {
  for (let attempt = 1; ; attempt++) {
    const response = await fetch(url, init)
    const text = await response.text()
    if (response.status !== 503 || !isOverload(text) || attempt === ATTEMPTS_MAX) return { response, text }
    await pause(BUSY_WAIT_MS)
  }
}

function isOverload(text: string): boolean {
  return text.includes('server.overloaded') || text.includes('We are very busy')
}
