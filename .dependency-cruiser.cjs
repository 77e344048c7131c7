/**
 * Imports point inward: domain knows only itself and pure node modules, adapters and doors know the domain
 * and never one another, and only compose.ts and its parts in compose/ see all. `scripts/lint-imports.int.test.ts` shows that this bites.
 */
const SERVER = '^packages/server/src'
const ADAPTERS = ['storage', 'marketplace', 'sinks', 'challenges']
const DOORS = ['http', 'jobs', 'lambda']
/** Beside compose.ts: what is read once at start, and what it hands on. */
const ROOT_PARTS = ['config', 'metrics', 'system-clock']
const TESTS = '\\.(test|contract|fixture)\\.ts$'

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'domain-stays-pure',
      comment: 'domain/ imports only itself and pure node modules',
      severity: 'error',
      from: { path: `${SERVER}/domain/`, pathNot: TESTS },
      to: { pathNot: [`${SERVER}/domain/`, '^(node:)?(assert|buffer|crypto|util)$'] },
    },
    {
      name: 'adapters-know-only-the-domain',
      severity: 'error',
      from: { path: `${SERVER}/(${ADAPTERS.join('|')})/`, pathNot: TESTS },
      to: { path: '^packages/', pathNot: [`${SERVER}/domain/`, `${SERVER}/$1/`] },
    },
    {
      name: 'doors-know-only-the-domain',
      comment: 'a door calls use cases; the CLI alone starts the composed program',
      severity: 'error',
      from: { path: `${SERVER}/(${DOORS.join('|')})/`, pathNot: TESTS },
      to: { path: '^packages/', pathNot: [`${SERVER}/domain/`, `${SERVER}/$1/`] },
    },
    {
      name: 'cli-goes-through-compose',
      severity: 'error',
      from: { path: `${SERVER}/cli/`, pathNot: TESTS },
      to: { path: `${SERVER}/(${[...ADAPTERS, ...DOORS, 'compose'].join('|')})/` },
    },
    {
      name: 'only-compose-picks-a-store',
      severity: 'error',
      from: { path: `${SERVER}/(${ROOT_PARTS.join('|')})[./]`, pathNot: TESTS },
      to: { path: `${SERVER}/(compose\\.ts|(compose|storage|http|cli)/)` },
    },
    {
      name: 'only-the-cli-runs-the-simulator',
      comment: 'what meters for real money must not know that AWS can be simulated',
      severity: 'error',
      from: { path: SERVER, pathNot: [`${SERVER}/cli/`, TESTS] },
      to: { path: '^packages/simulator/' },
    },
    {
      name: 'simulator-imports-nothing-of-ours',
      severity: 'error',
      from: { path: '^packages/simulator/' },
      to: { path: '^packages/', pathNot: '^packages/simulator/' },
    },
    {
      name: 'sdk-imports-nothing-of-ours',
      comment: 'a product installs it alone; its tests run it against the server',
      severity: 'error',
      from: { path: '^packages/sdk/', pathNot: TESTS },
      to: { path: '^packages/', pathNot: '^packages/sdk/' },
    },
    {
      name: 'sdk-runs-anywhere',
      comment: 'but for what is about files, processes and the frameworks of Node.js',
      severity: 'error',
      from: {
        path: '^packages/sdk/src/',
        pathNot: [TESTS, '^packages/sdk/src/(journal/|node\\.ts|gate/(express|fastify|node-request)\\.ts)'],
      },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'sdk-has-no-dependencies',
      severity: 'error',
      from: { path: '^packages/sdk/src/', pathNot: TESTS },
      to: { path: 'node_modules/' },
    },
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    parser: 'swc',
    doNotFollow: { path: 'node_modules' },
    exclude: { path: ['(^|/)dist/', '(^|/)node_modules/\\.'] },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
      extensions: ['.ts', '.js', '.cjs', '.mjs', '.json'],
    },
  },
}
