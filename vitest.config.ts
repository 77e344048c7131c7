import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    // Most of the time is spent waiting for a server or an engine: a machine of two cores takes two files at once.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // `.ci/run` reads the numbers from the file.
    reporters: process.env.CI ? ['default', ['json', { outputFile: 'coverage/tests.json' }]] : ['default'],
    projects: [
      {
        test: {
          name: 'unit',
          // Nothing of one file is left for the next: modules are loaded once, not for each of them.
          isolate: false,
          include: ['packages/*/src/**/*.test.ts', 'scripts/**/*.test.ts'],
          exclude: ['**/*.int.test.ts', '**/node_modules/**'],
          // None takes a second, but a machine that does much else at once is slow.
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['packages/*/src/**/*.int.test.ts', 'scripts/**/*.int.test.ts'],
          globalSetup: ['e2e/dynamodb-local.setup.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['e2e/**/*.test.ts'],
          globalSetup: ['e2e/dynamodb-local.setup.ts'],
          testTimeout: 300_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})
