/** On a terminal the line is drawn anew at most this often. */
const REDRAW_MS = 100
/** In a file or a CI log a line is written at most this often. */
const SPARSE_MS = 10_000
const BAR_WIDTH = 24

export interface ProgressStream {
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
  write(text: string): unknown
}

export interface Progress {
  /** @param step - what is being done, e.g. `metering 17 May 11:00` */
  update(step: string, done: number, total: number): void
  /** Takes the line away; call it before anything else is printed. */
  end(): void
}

export interface ProgressOptions {
  /** Standard error: standard output belongs to the report. */
  readonly stream: ProgressStream
  /** With `--json` nothing is shown. */
  readonly json: boolean
  /** Milliseconds that only go forward. */
  readonly now?: () => number
}

/** Shows how far a long run is: one line that is drawn over on a terminal, now and then a line elsewhere. */
export function createProgress({
  stream,
  json,
  now = performance.now.bind(performance),
}: ProgressOptions): Progress {
  if (json) return { update: () => undefined, end: () => undefined }
  const tty = stream.isTTY === true
  // The first of the sparse lines comes only when it takes long.
  let shownAt = tty ? -Infinity : now()
  let drawn = false
  return {
    update(step, done, total) {
      const at = now()
      if (at - shownAt < (tty ? REDRAW_MS : SPARSE_MS)) return
      shownAt = at
      if (tty) {
        const line = `${bar(done, total)} ${percent(done, total)} ${step}`
        stream.write(`\r\x1b[2K${line.slice(0, Math.max(1, (stream.columns ?? 80) - 1))}`)
        drawn = true
      } else {
        stream.write(`${percent(done, total).trimStart()} ${step}\n`)
      }
    },
    end() {
      if (drawn) stream.write('\r\x1b[2K')
      drawn = false
    },
  }
}

function share(done: number, total: number): number {
  return total > 0 ? Math.min(1, Math.max(0, done / total)) : 0
}

function percent(done: number, total: number): string {
  // Rounded down: 100 % is said when it is done.
  return `${String(Math.floor(share(done, total) * 100)).padStart(3)} %`
}

function bar(done: number, total: number): string {
  const filled = Math.floor(share(done, total) * BAR_WIDTH)
  return '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled)
}
