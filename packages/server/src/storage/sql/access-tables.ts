/**
 * Tables of access: plans, keys, quotas and visitors. One script for both engines, in SQLite's words; PostgreSQL's are put in their place.
 */
const ACCESS_TABLES = `
CREATE TABLE quota_counter (
  holder TEXT NOT NULL, dimension TEXT NOT NULL, per TEXT NOT NULL, start INTEGER NOT NULL, ends_at INTEGER, used INTEGER NOT NULL, held INTEGER NOT NULL,
  PRIMARY KEY (holder, dimension, per, start)
) STRICT, WITHOUT ROWID;
CREATE INDEX quota_counter_ended ON quota_counter (ends_at) WHERE ends_at IS NOT NULL;
CREATE TABLE quota_admission (key BLOB PRIMARY KEY, quantity INTEGER NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX quota_admission_at ON quota_admission (at);
CREATE TABLE quota_reservation (
  id TEXT PRIMARY KEY, product TEXT NOT NULL, holder TEXT NOT NULL, dimension TEXT NOT NULL, quantity INTEGER NOT NULL, windows TEXT NOT NULL,
  created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, state TEXT NOT NULL, used INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX quota_reservation_held ON quota_reservation (holder, dimension, expires_at) WHERE state = 'held';
CREATE INDEX quota_reservation_due ON quota_reservation (expires_at) WHERE state = 'held';
CREATE INDEX quota_reservation_ended ON quota_reservation (expires_at) WHERE state <> 'held';

-- keys
ALTER TABLE service_key ADD COLUMN rate_per_second INTEGER;
CREATE TABLE api_key (
  id TEXT PRIMARY KEY, product TEXT NOT NULL, buyer TEXT NOT NULL, subscription TEXT, user_id TEXT, name TEXT, scopes TEXT NOT NULL,
  hash TEXT NOT NULL UNIQUE, hint TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER, revoked_at INTEGER, replaced_by TEXT,
  usable_until INTEGER, last_used_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX api_key_product ON api_key (product, created_at, id);
CREATE INDEX api_key_buyer ON api_key (buyer, created_at, id);
CREATE INDEX api_key_subscription ON api_key (subscription, created_at, id) WHERE subscription IS NOT NULL;
CREATE INDEX api_key_user ON api_key (user_id, created_at, id) WHERE user_id IS NOT NULL;

-- how endpoints are and were
CREATE TABLE endpoint_health (
  product TEXT NOT NULL, endpoint TEXT NOT NULL, state TEXT NOT NULL, since INTEGER NOT NULL, checked_at INTEGER NOT NULL,
  failures INTEGER NOT NULL, reason TEXT, latency INTEGER, hour INTEGER NOT NULL, up INTEGER NOT NULL, down INTEGER NOT NULL,
  latencies TEXT NOT NULL, PRIMARY KEY (product, endpoint)
) STRICT, WITHOUT ROWID;
CREATE TABLE endpoint_hour (
  product TEXT NOT NULL, endpoint TEXT NOT NULL, hour INTEGER NOT NULL, up INTEGER NOT NULL, down INTEGER NOT NULL,
  p50 INTEGER, p95 INTEGER, longest INTEGER, PRIMARY KEY (product, hour, endpoint)
) STRICT, WITHOUT ROWID;
CREATE TABLE endpoint_change (
  product TEXT NOT NULL, endpoint TEXT NOT NULL, at INTEGER NOT NULL, state TEXT NOT NULL, reason TEXT,
  PRIMARY KEY (product, endpoint, at)
) STRICT, WITHOUT ROWID;
CREATE INDEX endpoint_change_product ON endpoint_change (product, at);

-- products and plans
CREATE TABLE catalog_version (
  product TEXT NOT NULL, plan TEXT NOT NULL, version INTEGER NOT NULL, from_ms INTEGER NOT NULL, position INTEGER NOT NULL,
  origin TEXT NOT NULL, retired INTEGER NOT NULL, body TEXT NOT NULL, actor TEXT NOT NULL, at INTEGER NOT NULL,
  PRIMARY KEY (product, plan, version)
) STRICT, WITHOUT ROWID;

-- visitors
CREATE TABLE visitor_salt (number INTEGER PRIMARY KEY, secret BLOB NOT NULL, since INTEGER NOT NULL) STRICT;
CREATE TABLE visitor (
  id TEXT PRIMARY KEY, product TEXT NOT NULL, first_seen_at INTEGER NOT NULL, seen_at INTEGER NOT NULL,
  buyer TEXT, subscription TEXT, converted_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX visitor_seen ON visitor (seen_at);
CREATE TABLE visitor_hash (hash TEXT PRIMARY KEY, salt INTEGER NOT NULL, visitor TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX visitor_hash_salt ON visitor_hash (salt);
CREATE INDEX visitor_hash_visitor ON visitor_hash (visitor);
CREATE TABLE visitor_solution (id TEXT PRIMARY KEY, expires_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX visitor_solution_over ON visitor_solution (expires_at);
`

export const SQLITE_ACCESS_TABLES = ACCESS_TABLES

/** Texts are compared by their bytes, as SQLite does it. */
export const POSTGRES_ACCESS_TABLES = ACCESS_TABLES.replaceAll(/\bTEXT\b/g, 'text COLLATE "C"')
  .replaceAll(/\bINTEGER\b/g, 'bigint')
  .replaceAll(/\bBLOB\b/g, 'bytea')
  .replaceAll(/\) STRICT(, WITHOUT ROWID)?;/g, ');')
