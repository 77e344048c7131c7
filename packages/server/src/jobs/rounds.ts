/** Work that each process does for itself, again and again, whether or not it runs the jobs. */
export interface Rounds {
  start(): void
  /** Ends what is under way, and does what is to be done at the end. */
  stop(): Promise<void>
}

/** One round at a time; what fails is tried again with the next. */
export function createRounds(deps: {
  readonly everyMs: number
  readonly round: () => Promise<void>
  readonly last: () => Promise<void>
  readonly onError: (error: unknown) => void
}): Rounds {
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined
  const run = () => {
    running ??= deps
      .round()
      .catch(deps.onError)
      .finally(() => {
        running = undefined
      })
  }
  return {
    start() {
      timer ??= setInterval(run, deps.everyMs).unref()
    },
    async stop() {
      clearInterval(timer)
      await running
      await deps.last().catch(deps.onError)
    },
  }
}
