/** One thing that is wrong with the configuration, and where. */
export interface ConfigProblem {
  /** The file as a person knows it (`tollkeeper.yaml`), or `environment`. */
  readonly file: string
  /** Counted from 1; 0 where there is no line (a missing file, the environment). */
  readonly line: number
  readonly column: number
  /** `products[0].dimensions[1].scale`; empty for the whole file. */
  readonly path: string
  readonly message: string
}

const PROBLEM_LENGTH_MAX = 400

/** The configuration cannot be used. The message is one line about the first problem; `problems` has them all. */
export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[]

  constructor(problems: readonly ConfigProblem[], options?: { cause: unknown }) {
    const [first, ...more] = problems
    const others = more.length === 0 ? '' : ` (and ${more.length} more)`
    super((first ? problemText(first) : 'the configuration cannot be used') + others, options)
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/** `tollkeeper.yaml:12:5: products[0].id must be …`: the form that editors and terminals make clickable. */
export function problemText(problem: ConfigProblem): string {
  const place = problem.line > 0 ? `${problem.file}:${problem.line}:${problem.column}` : problem.file
  return oneLine(`${place}: ${problem.path === '' ? '' : `${problem.path} `}${problem.message}`)
}

function oneLine(text: string): string {
  const flat = text.replace(/\s+/g, ' ').trim()
  return flat.length <= PROBLEM_LENGTH_MAX ? flat : `${flat.slice(0, PROBLEM_LENGTH_MAX - 1)}…`
}

/** A value in a message: short, on one line, quoted as it would be written. */
export function shown(value: unknown): string {
  const text =
    typeof value === 'object' && value !== null
      ? Array.isArray(value)
        ? 'a list'
        : 'a mapping'
      : JSON.stringify(value)
  return text === undefined ? 'nothing' : text.length <= 60 ? text : `${text.slice(0, 59)}…`
}
