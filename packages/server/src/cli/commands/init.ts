import { existsSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { Command } from 'commander'
import { CONFIG_TEMPLATE } from '../../config/demo.ts'
import { CliError, guarded, print } from '../output.ts'

export function initCommand(): Command {
  return new Command('init')
    .description('write a commented tollkeeper.yaml')
    .argument('[file]', 'where to', 'tollkeeper.yaml')
    .option('--json', 'print JSON')
    .action(
      guarded(async (file: string, options: { json?: boolean }) => {
        const path = resolve(file)
        if (existsSync(path)) throw new CliError(`${file} is there already: nothing was written`)
        writeFileSync(path, CONFIG_TEMPLATE, { flag: 'wx' })
        print(
          options.json,
          { file: path },
          () => `Wrote ${file}. Edit it, then: tollkeeper doctor, tollkeeper dev.`,
        )
      }),
    )
}
