import { Command } from 'commander'
import { describeHealth, type HealthOfEndpoint } from '../../domain/health/describe-health.ts'
import type { Uptime } from '../../domain/health/endpoint-health.ts'
import { type CommonOptions, withLedger } from '../context.ts'
import { guarded, print, table } from '../output.ts'
import { productNamed } from './product-named.ts'

export function healthCommand(): Command {
  return new Command('health')
    .description('how the endpoints of a product are, since when, and how often they were up')
    .argument('<product>', 'its id, or AWS’s product code')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (name: string, options: CommonOptions) => {
        const endpoints = await withLedger(options, async (ledger, clock) =>
          describeHealth(ledger.health, productNamed(ledger, name), clock.now()),
        )
        print(options.json, { endpoints: endpoints.map(shown) }, () =>
          endpoints.length === 0
            ? 'no endpoints: see docs/health.md'
            : table(
                ['endpoint', 'state', 'since', 'last answer', '24 h', '7 d', '30 d', 'why'],
                endpoints.map(({ endpoint, health, uptime }) => [
                  endpoint.id,
                  health?.state ?? 'unknown',
                  timeText(health?.since) ?? '',
                  health?.latencyMs === undefined ? '' : `${health.latencyMs} ms`,
                  percentText(uptime['24h']),
                  percentText(uptime['7d']),
                  percentText(uptime['30d']),
                  endpoint.healthUrl === undefined ? 'has no healthUrl' : (health?.reason ?? ''),
                ]),
              ),
        )
      }),
    )
}

function percentText({ percent }: Uptime): string {
  return percent === undefined ? '' : `${percent} %`
}

function timeText(time: number | undefined): string | undefined {
  return time === undefined ? undefined : new Date(time).toISOString()
}

function shown({ endpoint, health, uptime, changes }: HealthOfEndpoint) {
  return {
    endpoint: endpoint.id,
    url: endpoint.url,
    healthUrl: endpoint.healthUrl,
    state: health?.state ?? 'unknown',
    since: timeText(health?.since),
    checkedAt: timeText(health?.checkedAt),
    latencyMs: health?.latencyMs,
    failures: health?.failures ?? 0,
    reason: health?.reason,
    uptime,
    changes: changes.map(({ at, state, reason }) => ({ at: timeText(at), state, reason })),
  }
}
