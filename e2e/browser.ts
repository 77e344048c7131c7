import { type Browser, chromium } from 'playwright-core'
import { onTestFinished } from 'vitest'

/** What the package switches off for its own uses, and a buyer's browser has on. */
const UNSAFE = [
  '--disable-web-security',
  '--allow-running-insecure-content',
  '--disable-site-isolation-trials',
]

/** A headless Chromium from npm: no download at install, and none of the system's. */
export async function openBrowser(): Promise<Browser> {
  // Said before it is loaded: it then brings the libraries that a bare machine lacks.
  process.env.AWS_LAMBDA_JS_RUNTIME ??= 'nodejs22.x'
  const { default: packaged } = await import('@sparticuz/chromium')
  const browser = await chromium.launch({
    args: packaged.args.filter((argument) => !UNSAFE.includes(argument)),
    executablePath: await packaged.executablePath(),
    headless: true,
  })
  onTestFinished(() => browser.close())
  return browser
}
