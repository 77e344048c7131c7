import type pg from 'pg'

/**
 * One connection for one thing after the other, opened when it is needed. An error ends it: nobody knows what it left behind.
 */
export function createSession(connect: () => Promise<pg.Client>) {
  let opened: Promise<pg.Client> | undefined
  const end = async () => {
    const ending = opened
    opened = undefined
    // It may be broken, or never have been there.
    await ending?.then((client) => client.end()).catch(() => {})
  }
  return {
    async run<T>(step: (client: pg.Client) => Promise<T>): Promise<T> {
      try {
        opened ??= connect()
        return await step(await opened)
      } catch (error) {
        // Not waited for: a server that is gone answers no farewell.
        void end()
        throw error
      }
    },
    end,
  }
}
