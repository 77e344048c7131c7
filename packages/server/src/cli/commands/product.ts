import { Command } from 'commander'
import type { Ledger } from '../../compose.ts'
import type { Product } from '../../domain/products/product.ts'
import { type CommonOptions, withLedger } from '../context.ts'
import { guarded, print, table } from '../output.ts'
import { plansTable } from './plans-table.ts'
import { healthCommand } from './product-health.ts'
import { productNamed } from './product-named.ts'

export function productCommand(): Command {
  const command = new Command('product').description('what is sold, and on which plans')
  command.addCommand(listCommand())
  command.addCommand(showCommand())
  command.addCommand(healthCommand())
  return command
}

function listCommand(): Command {
  return new Command('list')
    .description('all products: those of the configuration, and those that the API made')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (options: CommonOptions) => {
        const products = await withLedger(options, async ({ catalog }) =>
          catalog.list().map((product) => ({ ...shown(product), origin: originOf(catalog, product) })),
        )
        print(options.json, { products }, () =>
          table(
            ['product', 'title', 'product code', 'pricing', 'dimensions', 'plans', 'made by'],
            products.map(({ id, title, productCode, pricing, dimensions, plans, origin }) => [
              id,
              title,
              productCode,
              pricing,
              dimensions.length,
              plans.filter(({ isRetired }) => !isRetired).length,
              origin,
            ]),
          ),
        )
      }),
    )
}

function showCommand(): Command {
  return new Command('show')
    .description('one product: what is counted, and on which plans it is sold')
    .argument('<product>', 'its id, or AWS’s product code')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (name: string, options: CommonOptions) => {
        const product = await withLedger(options, async (ledger) => {
          const found = productNamed(ledger, name)
          return { ...shown(found), origin: originOf(ledger.catalog, found) }
        })
        print(options.json, product, () =>
          [
            `${product.title} (${product.id}), ${product.pricing}, metered by ${product.metering}, made by ${product.origin}`,
            '',
            table(
              ['dimension', 'aggregation', 'unit', 'metered by'],
              product.dimensions.map(({ key, aggregation, unitSize, meteredBy }) => [
                key,
                aggregation,
                unitSize,
                meteredBy,
              ]),
            ),
            '',
            plansTable(product.plans),
          ].join('\n'),
        )
      }),
    )
}

function originOf({ declared }: Ledger['catalog'], { id }: Product): 'config' | 'api' {
  return declared.some((product) => product.id === id) ? 'config' : 'api'
}

function shown({ planVersions: _, ...product }: Product) {
  return product
}
