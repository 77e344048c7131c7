import { describe, expect, it } from 'vitest'
import { AWS_RULES } from '../domain/usage/aws-rules.ts'
import { HOUR_MS } from '../domain/usage/hour.ts'
import { awsError, meteringAnswer } from './aws-answer.ts'
import type { Exchange, NotSentCode } from './aws-exchange.ts'
import { ACCOUNT, aUsageRecord, HOUR, LICENSE } from './usage-record.fixture.ts'

type Answered = Extract<Exchange, { kind: 'response' }>

function anAnswer(status: number, body: unknown, errorType?: string): Answered {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return { kind: 'response', status, errorType, requestId: 'request-1', body: text }
}

function anEcho(change: object = {}): object {
  const seconds = (HOUR * HOUR_MS) / 1000
  return {
    Timestamp: seconds,
    CustomerAWSAccountId: ACCOUNT,
    LicenseArn: LICENSE,
    Dimension: 'api',
    Quantity: 3,
    ...change,
  }
}

const record = aUsageRecord()

describe('an answer that names the records', () => {
  it('gives each its own verdict', () => {
    const other = (tail: string) => ({
      kind: 'license' as const,
      licenseArn: `arn:aws:license-manager::294406891311:license:${tail}`,
      customerAwsAccountId: ACCOUNT,
    })
    const records = [
      record,
      aUsageRecord({ id: 'rec_2', identity: other('l-dead'), quantity: 1 }),
      aUsageRecord({ id: 'rec_3', dimension: 'seats', quantity: 9 }),
      aUsageRecord({ id: 'rec_4', identity: other('l-beef'), quantity: 2 }),
      aUsageRecord({ id: 'rec_5', hour: HOUR - 1 }),
    ]
    const license = (tail: string) => ({
      LicenseArn: `arn:aws:license-manager::294406891311:license:${tail}`,
    })
    const answer = meteringAnswer(
      records,
      anAnswer(200, {
        Results: [
          { UsageRecord: anEcho(), MeteringRecordId: '35155d37', Status: 'Success' },
          { UsageRecord: anEcho({ ...license('l-dead'), Quantity: 1 }), Status: 'CustomerNotSubscribed' },
          {
            UsageRecord: anEcho({ Dimension: 'seats', Quantity: 9 }),
            MeteringRecordId: '8f0e',
            Status: 'DuplicateRecord',
          },
        ],
        UnprocessedRecords: [anEcho({ ...license('l-beef'), Quantity: 2 })],
      }),
    )
    expect(answer.outcome).toBe('answered')
    expect(answer.error).toBeUndefined()
    expect(Object.fromEntries(answer.answers)).toEqual({
      rec_1: { kind: 'result', status: 'Success', meteringRecordId: '35155d37' },
      rec_2: { kind: 'result', status: 'CustomerNotSubscribed' },
      rec_3: { kind: 'result', status: 'DuplicateRecord', meteringRecordId: '8f0e' },
      rec_4: { kind: 'unprocessed' },
    })
    expect(JSON.parse(answer.response)).toMatchObject({
      status: 200,
      requestId: 'request-1',
      body: { Results: [{}, {}, {}] },
    })
  })

  it.each([
    ['a truncated time', { Timestamp: Math.floor((HOUR * HOUR_MS) / 1000) + 0.123 }],
    ['a time as text', { Timestamp: String((HOUR * HOUR_MS) / 1000) }],
    ['an ISO time', { Timestamp: new Date(HOUR * HOUR_MS + 5).toISOString() }],
    ['a license with a region', { LicenseArn: LICENSE.replace('::', ':us-east-1:') }],
    ['a license without its prefix', { LicenseArn: 'license/l-9d01d15f86334a8894365cd7350556ff' }],
    ['another quantity', { Quantity: 7 }],
  ])('finds its record by %s', (_, change) => {
    const results = [{ UsageRecord: anEcho(change), Status: 'Success' }]
    expect(meteringAnswer([record], anAnswer(200, { Results: results })).answers.get('rec_1')).toMatchObject({
      status: 'Success',
    })
  })

  it('finds a time inside its hour, where access began in it', () => {
    const timestamp = HOUR * HOUR_MS + 1_234_567
    const results = [{ UsageRecord: anEcho({ Timestamp: timestamp / 1000 }), Status: 'Success' }]
    const answer = meteringAnswer([aUsageRecord({ timestamp })], anAnswer(200, { Results: results }))
    expect(answer.answers.size).toBe(1)
  })

  it('finds a legacy record by its customer', () => {
    const legacy = aUsageRecord({
      identity: { kind: 'legacy', productCode: 'code', customerIdentifier: 'ifAPi5AcF3' },
    })
    const echo = {
      Timestamp: (HOUR * HOUR_MS) / 1000,
      CustomerIdentifier: 'ifAPi5AcF3',
      Dimension: 'api',
      Quantity: 3,
    }
    const answer = meteringAnswer(
      [legacy],
      anAnswer(200, { Results: [{ UsageRecord: echo, Status: 'Success' }] }),
    )
    expect(answer.answers.get('rec_1')).toEqual({ kind: 'result', status: 'Success' })
  })

  it.each([
    ['another dimension', { Dimension: 'API' }],
    ['another hour', { Timestamp: (HOUR * HOUR_MS) / 1000 + 3600 }],
    ['another license', { LicenseArn: 'arn:aws:license-manager::294406891311:license:l-dead' }],
    ['no license', { LicenseArn: undefined }],
    ['no time', { Timestamp: null }],
    ['a time that is none', { Timestamp: 'soon' }],
  ])('ignores, but keeps, what it says of %s', (_, change) => {
    const results = [{ UsageRecord: anEcho({ ...change, Quantity: 4711 }), Status: 'Success' }]
    const answer = meteringAnswer([record], anAnswer(200, { Results: results }))
    expect(answer.answers.size).toBe(0)
    expect(answer.outcome).toBe('unanswered')
    expect(answer.response).toContain('4711')
  })

  it('believes a success, whatever else is said of the record', () => {
    const success = { UsageRecord: anEcho(), Status: 'Success' }
    const duplicate = { UsageRecord: anEcho(), Status: 'DuplicateRecord' }
    for (const body of [
      { Results: [success, duplicate] },
      { Results: [duplicate, success] },
      { Results: [success], UnprocessedRecords: [anEcho()] },
    ]) {
      const answer = meteringAnswer([record], anAnswer(200, body))
      expect(answer.answers.get('rec_1')).toMatchObject({ status: 'Success' })
    }
  })

  it('passes a status on that nobody knows yet, and doubts one that is missing', () => {
    const answerTo = (result: object) =>
      meteringAnswer(
        [record],
        anAnswer(200, { Results: [{ UsageRecord: anEcho(), ...result }] }),
      ).answers.get('rec_1')
    expect(answerTo({ Status: 'BilledTwice' })).toEqual({ kind: 'result', status: 'BilledTwice' })
    expect(answerTo({})).toMatchObject({ kind: 'unanswered' })
  })

  it.each([
    '[]',
    'null',
    '"x"',
    '{"Results":7,"UnprocessedRecords":"x"}',
    '{"Results":[null,7,{"UsageRecord":[]}]}',
    '{}',
  ])('says nothing where it is %s', (body) => {
    const answer = meteringAnswer([record], anAnswer(200, body))
    expect(answer.outcome).toBe('unanswered')
    expect([...answer.answers.values()].every(({ kind }) => kind === 'unanswered')).toBe(true)
  })
})

describe('a refusal of the whole request', () => {
  it.each([
    ...AWS_RULES.splittingErrors,
    ...AWS_RULES.throttlingErrors,
    'DisabledApiException',
    'ExpiredTokenException',
  ])('is certain when AWS names it: %s', (code) => {
    const answer = meteringAnswer([record], anAnswer(400, { __type: code, message: 'why' }))
    expect(answer).toMatchObject({ outcome: 'answered', error: { code, message: 'why' } })
    expect(answer.answers.get('rec_1')).toEqual({
      kind: 'refused_request',
      code,
      message: 'why',
      alone: true,
    })
  })

  it('says whether the record was alone in it', () => {
    const records = [record, aUsageRecord({ id: 'rec_2', dimension: 'seats' })]
    const answer = meteringAnswer(records, anAnswer(400, { __type: 'InvalidLicenseException' }))
    expect([...answer.answers.values()]).toEqual([
      { kind: 'refused_request', code: 'InvalidLicenseException', message: '', alone: false },
      { kind: 'refused_request', code: 'InvalidLicenseException', message: '', alone: false },
    ])
  })

  it.each([
    [{ __type: 'com.amazonaws.marketplacemetering#ThrottlingException', Message: 'slow' }, undefined],
    [{ code: 'ThrottlingException:http://internal.amazon.com/', message: 'slow' }, undefined],
    [{ message: 'slow' }, 'ThrottlingException:http://internal.amazon.com/coral/'],
  ])('is read in each of AWS spellings: %j', (body, header) => {
    expect(awsError(anAnswer(400, body, header))).toEqual({ code: 'ThrottlingException', message: 'slow' })
  })
})

describe('nobody knows', () => {
  it.each([
    ['an HTML 503', anAnswer(503, '<html>Service Unavailable</html>')],
    ['an empty 503', anAnswer(503, '')],
    ['an internal error', anAnswer(500, { __type: 'InternalServiceErrorException', message: 'sorry' })],
    ['throttling that is a 503', anAnswer(503, { __type: 'ThrottlingException' })],
    ['a cut answer', anAnswer(200, '{"Results":[{"UsageRecord":{"Timest')],
    ['a success in HTML', anAnswer(200, '<html>Welcome to the airport</html>')],
    ['a 4xx in HTML: a proxy may have passed the request on', anAnswer(403, '<html>Forbidden</html>')],
    ['a 4xx without a name', anAnswer(400, { message: 'no' })],
    ['a 4xx without a body', anAnswer(408, '')],
    ['a 4xx with a name that is none', anAnswer(400, { __type: 7 })],
    ['a redirect', anAnswer(302, '')],
    ['a status of the future', anAnswer(600, { __type: 'ThrottlingException' })],
    ['a cut connection', { kind: 'failure', sent: 'maybe', code: 'Unanswered', message: 'ECONNRESET' }],
  ] as [string, Exchange][])('after %s', (_, exchange) => {
    const answer = meteringAnswer([record], exchange)
    expect(answer.outcome).toBe('unanswered')
    expect(answer.error).toBeUndefined()
    expect(answer.answers.get('rec_1')).toMatchObject({ kind: 'unanswered' })
    expect(() => JSON.parse(answer.response)).not.toThrow()
  })
})

describe('a request that never left', () => {
  const notSent = (code: NotSentCode) =>
    meteringAnswer([record], { kind: 'failure', sent: 'no', code, message: 'why' })

  it.each(['ConnectionRefused', 'HostNotFound', 'ConnectionTimeout', 'Cancelled'] as const)(
    'is not in doubt, and is tried again by itself: %s',
    (code) => {
      const answer = notSent(code)
      expect(answer.error).toBeUndefined()
      expect(answer.outcome).toBe('unanswered')
      expect(answer.answers.get('rec_1')).toEqual({
        kind: 'refused_request',
        code,
        message: 'why',
        alone: true,
      })
    },
  )

  it.each(['CredentialsUnavailable', 'EndpointNotAllowed'] as const)('waits for a person: %s', (code) => {
    expect(notSent(code).error).toEqual({ code, message: 'why' })
  })
})

it('keeps an answer of any length short enough to store', () => {
  const answer = meteringAnswer([record], anAnswer(502, 'x'.repeat(1_000_000)))
  expect(answer.response.length).toBeLessThan(210_000)
  expect(JSON.parse(answer.response)).toMatchObject({ cut: true })
})
