/** The program, put together: all that picks adapters is behind this door. */

export { awsClientOptions, createAgreements, findAwsCaller, scanDynamoTable } from './compose/aws.ts'
export { declareConfiguration } from './compose/declare.ts'
export { composeEngine, type Engine } from './compose/engine.ts'
export { composeIngest } from './compose/ingest.ts'
export { type Ledger, mayChange, openLedger, openStores } from './compose/ledger.ts'
export { createLogger, VERSION } from './compose/logger.ts'
export {
  composeManage,
  composeManageApiKeys,
  composeManageProducts,
  composeRequestCancellation,
} from './compose/manage.ts'
export { backUpStore, createScratchStore, type ScratchStore } from './compose/scratch-store.ts'
export { composeServer } from './compose/server.ts'
