import type { AuditEntry } from '../audit/audit-trail.ts'
import type { CatalogVersions } from './catalog-versions.ts'

/** What a change adds, and how it is told in the audit trail. */
export interface CatalogChanges extends CatalogVersions {
  readonly audit: readonly Omit<AuditEntry, 'id'>[]
}

/** What the domain asks of storage about products and plans. Versions are added, never changed. */
export interface CatalogStore {
  /** Another number after every change, and cheap to ask. */
  revision(): Promise<number>
  /** All versions, and a revision that is not later than they are. */
  load(): Promise<{ readonly revision: number; readonly versions: CatalogVersions }>
  /**
   * One step: nobody else changes anything between what is decided on and what is written. Nothing is written, and the
   * revision stays, where there is nothing to add.
   */
  change(decide: (versions: CatalogVersions) => CatalogChanges): Promise<void>
}
