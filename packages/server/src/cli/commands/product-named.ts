import type { Ledger } from '../../compose.ts'
import type { Product } from '../../domain/products/product.ts'
import { CliError } from '../output.ts'

/** @throws {CliError} */
export function productNamed({ catalog }: Pick<Ledger, 'catalog'>, name: string): Product {
  const found = catalog.find(name)
  if (found !== undefined) return found
  const ids = catalog.list().map(({ id }) => id)
  throw new CliError(`there is no product ${name}: there are ${ids.join(', ') || 'none'}`)
}
