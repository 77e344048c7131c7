// Prints `N passed, N failed` from Vitest's JSON report, all projects together, and exits with 1 if anything failed.
// Plain JavaScript, for the system's own Node.js: it must also speak when `npm ci` failed.
//
// usage: count-tests.js REPORT passed|failed CHECKS
//   passed|failed: how the test command ended; CHECKS: how many other checks (lint and the like) failed
import { readFileSync } from 'node:fs'

const [, , path, outcome, checks] = process.argv
let passed = 0
let failedTests = 0
try {
  const report = JSON.parse(readFileSync(path, 'utf8'))
  passed = report.numPassedTests
  // A file that could not be loaded has no test that fails.
  const broken = report.testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  )
  failedTests = report.numFailedTests + broken.length
} catch (error) {
  console.error(`no report of the tests: ${error.message}`)
}
const isUnexplained = failedTests === 0 && (outcome !== 'passed' || passed === 0)
const failed = failedTests + (isUnexplained ? 1 : 0) + Number(checks)
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
