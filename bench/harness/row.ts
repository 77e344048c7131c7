/** One line of the table. */
export interface Row {
  /** The benchmark it belongs to, as named on the command line. */
  readonly name: string
  readonly what: string
  /** What it is measured against, with its figure. */
  readonly limit: string
  /** The median of the rounds. */
  readonly ratio: number
  /** Undefined: a figure to know, and nothing to reach. */
  readonly aim?: Aim
  readonly figure: string
  /** Server CPU for one request, µs. */
  readonly cpuUs?: number | undefined
  /** At half of saturation, µs. */
  readonly latency?: { readonly p50Us: number; readonly p99Us: number } | undefined
  /** Smallest and largest ratio of the rounds. */
  readonly noise?: readonly [min: number, max: number] | undefined
}

export type Aim =
  | { readonly atLeast: number }
  | { readonly atMost: number; readonly unit?: string }
  | { readonly exactly: number }

export function isReached({ ratio, aim }: Row): boolean {
  if (aim === undefined) return true
  if ('atLeast' in aim) return ratio >= aim.atLeast
  return 'atMost' in aim ? ratio <= aim.atMost : ratio === aim.exactly
}

/** What a benchmark is given. */
export interface Setup {
  /** On a disk; removed at the end. */
  readonly directory: string
  progress(text: string): void
}

export interface Benchmark {
  readonly name: string
  readonly about: string
  /** Part of a run without names. */
  readonly byDefault: boolean
  run(setup: Setup): Promise<readonly Row[]>
}
