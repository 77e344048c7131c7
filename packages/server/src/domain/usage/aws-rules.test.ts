import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import * as sdk from '@aws-sdk/client-marketplace-metering'
import { expect, it } from 'vitest'
import { AWS_RULES } from './aws-rules.ts'
import { isHaltingError, isSplittingError, judgeAnswer } from './judge-record.ts'

const root = join(
  dirname(createRequire(import.meta.url).resolve('@aws-sdk/client-marketplace-metering')),
  '..',
)
const declared = readFileSync(join(root, 'dist-types/commands/BatchMeterUsageCommand.d.ts'), 'utf8')
const documented = readFileSync(join(root, 'dist-types/models/models_0.d.ts'), 'utf8')

it('knows each error that the installed SDK declares for BatchMeterUsage', () => {
  const errors = [...declared.matchAll(/@throws \{@link (\w+)\} \((client|server) fault\)/g)].map(
    ([, name]) => name!,
  )
  const known = [
    ...AWS_RULES.splittingErrors,
    'ThrottlingException',
    'DisabledApiException',
    'InvalidProductCodeException',
    'InternalServiceErrorException',
  ]
  expect(errors.sort()).toEqual(known.sort())
})

it('splits on what one record can cause, slows on throttling, stops for the rest and for what is new', () => {
  for (const code of AWS_RULES.splittingErrors) {
    expect(sdk).toHaveProperty(code)
    expect([isSplittingError(code), isHaltingError(code)]).toEqual([true, false])
  }
  expect([isSplittingError('ThrottlingException'), isHaltingError('ThrottlingException')]).toEqual([
    false,
    false,
  ])
  for (const code of [
    'DisabledApiException',
    'InvalidProductCodeException',
    'UnrecognizedClientException',
    'NewException',
  ])
    expect([isSplittingError(code), isHaltingError(code)]).toEqual([false, true])
})

it('judges each status of the SDK, and keeps one that it does not know', () => {
  expect(Object.values(sdk.UsageRecordResultStatus).sort()).toEqual([
    'CustomerNotSubscribed',
    'DuplicateRecord',
    'Success',
  ])
  const record = { attempts: 1, unanswered: 0, quantity: 1 } as never
  const judged = judgeAnswer(
    record,
    { status: 'active' } as never,
    { kind: 'result', status: 'Postponed' },
    0,
  )
  expect(judged).toMatchObject({ state: 'sent', unanswered: 1, note: expect.stringContaining('Postponed') })
})

it('keeps the documented window', () => {
  expect(documented + declared).toMatch(/25 <code>UsageRecords<\/code>|25 <code>UsageRecord|up to 25/)
})
