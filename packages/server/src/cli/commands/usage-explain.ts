import { Command } from 'commander'
import { hourText } from '../../domain/usage/hour.ts'
import { formatBaseUnits } from '../../domain/usage/quantity.ts'
import { type CommonOptions, withLedger } from '../context.ts'
import { guarded, integerOption, print, table } from '../output.ts'

/** Calls shown: all but of a record that AWS refuses again and again. */
const ATTEMPTS_MAX = 1_000

/** A record down to its events, the bytes sent and AWS's answer. */
export function explainCommand(): Command {
  return new Command('explain')
    .description('show a record down to its events, what was sent and what AWS answered')
    .argument('<record>', 'rec_…')
    .option('--events <n>', 'show at most this many events', '20')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (id: string, options: CommonOptions & { events: string }) => {
        const limit = integerOption('--events', options.events, 1, 100_000)
        const found = await withLedger(options, async ({ usage, catalog }) => {
          const record = await usage.getRecord(id)
          const scale =
            catalog.find(record.product)?.dimensions.find(({ key }) => key === record.dimension)?.scale ?? 0
          return {
            record,
            scale,
            events: await usage.listEvents(record, limit),
            transfers: await usage.listTransfers(record),
            attempts: (await usage.listAttempts({ record: id, limit: ATTEMPTS_MAX })).items,
          }
        })
        const { record, scale, events, transfers, attempts } = found
        const amount = (base: bigint) => formatBaseUnits(base, scale)
        print(options.json, found, () =>
          [
            `${record.id}: ${record.quantity} ${record.dimension} of ${record.subscription}, hour ${hourText(record.hour)}`,
            `${record.state.toUpperCase()}${record.note ? `: ${record.note}` : ''}${record.meteringRecordId ? ` (AWS's id ${record.meteringRecordId})` : ''}`,
            `Sent as ${identityText(record.identity)} in ${record.region}, timestamp ${new Date(record.timestamp).toISOString()}; AWS takes it until ${new Date(record.deadline).toISOString()}.`,
            '',
            'How the hour was booked:',
            ...transfers.map(
              (transfer) =>
                `  ${amount(transfer.amount).padStart(16)}  ${transfer.from} → ${transfer.to}  ${new Date(transfer.at).toISOString()}`,
            ),
            '',
            `Events (${events.length}${events.length === limit ? ' or more' : ''}):`,
            table(
              ['time', 'id', 'counted', 'status'],
              events.map((event) => [
                new Date(event.time).toISOString(),
                event.id,
                amount(event.counted),
                event.status,
              ]),
            ),
            '',
            'Attempts:',
            ...attempts.flatMap((attempt) => [
              `  ${attempt.id} ${new Date(attempt.startedAt).toISOString()} ${attempt.outcome}, ${attempt.records.length} records`,
              `    sent:   ${attempt.request.slice(0, 600)}${attempt.request.length > 600 ? '… (whole with --json)' : ''}`,
              `    answer: ${(attempt.response ?? 'none yet').slice(0, 600)}`,
            ]),
          ].join('\n'),
        )
      }),
    )
}

function identityText(
  identity:
    | { kind: 'license'; licenseArn: string; customerAwsAccountId: string }
    | { kind: 'legacy'; productCode: string; customerIdentifier: string },
): string {
  return identity.kind === 'license'
    ? `license ${identity.licenseArn.slice(identity.licenseArn.lastIndexOf(':') + 1)} of account ${identity.customerAwsAccountId}`
    : `customer ${identity.customerIdentifier} of product ${identity.productCode}`
}
