import { type Browser, chromium } from 'playwright-core'
import { onTestFinished } from 'vitest'

/** A headless Chromium from npm: no download at install, and none of the system's. */
export async function openBrowser(): Promise<Browser> {
  // Said before it is loaded: it then brings the libraries that a bare machine lacks.
  process.env.AWS_LAMBDA_JS_RUNTIME ??= 'nodejs22.x'
  const { default: packaged } = await import('@sparticuz/chromium')
  const browser = await chromium.launch({
    args: packaged.args,
    executablePath: await packaged.executablePath(),
    headless: true,
  })
  onTestFinished(() => browser.close())
  return browser
}
