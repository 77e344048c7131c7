/** Who did what to what, when, and what it was before and after. Append-only: a correction is a new entry. */
export interface AuditEntry {
  readonly id: string
  readonly at: number
  /** `key:<id>`, `cli:<user>`, `aws`, `system`. Never a name or an address. */
  readonly actor: string
  /** `subscription.create`, `record.resolve`, … */
  readonly action: string
  readonly subject: string
  readonly before: unknown
  readonly after: unknown
}

export interface AuditTrail {
  append(entry: Omit<AuditEntry, 'id'>): Promise<void>
  /** Newest first. */
  list(options: {
    limit: number
    cursor?: string | undefined
    subject?: string | undefined
  }): Promise<{ items: readonly AuditEntry[]; next: string | undefined }>
}
