import { SqliteDialect } from 'kysely'
import { SQLITE_ACCESS_TABLES } from './access-tables.ts'
import { runMigrations } from './migrator.ts'
import { checkLevel, noteLevel, SCHEMA_FLOOR, type SchemaVersion } from './schema-level.ts'
import type { SqliteDatabase } from './sqlite.ts'

/**
 * The ledger's tables. Integers only; instants are milliseconds since the epoch, hours are whole hours since it.
 * STRICT: a sum that outgrows 64 bits would become a float, and fails instead.
 */
const MIGRATIONS: Record<string, string> = {
  '2026-11-21-ledger': `
CREATE TABLE ledger (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO ledger (name, value) VALUES ('epoch', '0'), ('readings', '0'), ('horizon', '0'), ('ingested', '0');

CREATE TABLE buyer (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, product TEXT NOT NULL, customer_aws_account_id TEXT, customer_identifier TEXT, created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX buyer_account ON buyer (product, customer_aws_account_id) WHERE customer_aws_account_id IS NOT NULL;
CREATE UNIQUE INDEX buyer_customer ON buyer (product, customer_identifier) WHERE customer_identifier IS NOT NULL;
CREATE INDEX buyer_product ON buyer (product, seq);
CREATE TABLE buyer_contact (
  buyer TEXT NOT NULL REFERENCES buyer (id), email TEXT NOT NULL, name TEXT, company TEXT, phone TEXT, registered_at INTEGER NOT NULL, PRIMARY KEY (buyer, email)
) STRICT, WITHOUT ROWID;

CREATE TABLE subscription (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, product TEXT NOT NULL, buyer TEXT NOT NULL REFERENCES buyer (id), channel TEXT NOT NULL,
  plan TEXT, tenant_id TEXT, status TEXT NOT NULL, license_arn TEXT, license_tail TEXT, customer_aws_account_id TEXT, customer_identifier TEXT,
  agreement_id TEXT, granted_at INTEGER, term_end INTEGER, free_trial INTEGER, access_start INTEGER NOT NULL, access_end INTEGER, final_window_end INTEGER, successor TEXT, created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX subscription_product ON subscription (product, seq);
CREATE INDEX subscription_buyer ON subscription (buyer);
CREATE INDEX subscription_status ON subscription (status, seq);
CREATE INDEX subscription_agreement ON subscription (agreement_id) WHERE agreement_id IS NOT NULL;
CREATE INDEX subscription_pending ON subscription (created_at) WHERE status = 'pending';
CREATE INDEX subscription_unlicensed ON subscription (created_at) WHERE channel = 'aws' AND license_tail IS NULL AND customer_identifier IS NULL AND access_end IS NULL;
CREATE INDEX subscription_cancelling ON subscription (final_window_end) WHERE status = 'cancelling';
CREATE INDEX subscription_tenant ON subscription (tenant_id) WHERE tenant_id IS NOT NULL;
CREATE INDEX subscription_license ON subscription (license_tail) WHERE license_tail IS NOT NULL;
CREATE INDEX subscription_account ON subscription (customer_aws_account_id) WHERE customer_aws_account_id IS NOT NULL;
CREATE INDEX subscription_customer ON subscription (customer_identifier) WHERE customer_identifier IS NOT NULL;
CREATE INDEX subscription_successor ON subscription (successor) WHERE successor IS NOT NULL;
CREATE INDEX subscription_ended ON subscription (access_end) WHERE access_end IS NOT NULL;

CREATE TABLE meter (
  seq INTEGER PRIMARY KEY, subscription INTEGER NOT NULL REFERENCES subscription (seq), dimension TEXT NOT NULL, product TEXT NOT NULL,
  scale INTEGER NOT NULL, aggregation TEXT NOT NULL, per TEXT, carry INTEGER NOT NULL DEFAULT 0 CHECK (carry >= 0), UNIQUE (subscription, dimension)
) STRICT;
CREATE INDEX meter_carry ON meter (product, dimension, carry);

CREATE TABLE tag_set (seq INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, last_hour INTEGER NOT NULL) STRICT;
CREATE INDEX tag_set_last_hour ON tag_set (last_hour);

CREATE TABLE usage_event (
  hour INTEGER NOT NULL, key BLOB NOT NULL, meter INTEGER NOT NULL, time INTEGER NOT NULL, quantity INTEGER NOT NULL,
  delta INTEGER NOT NULL, counted INTEGER NOT NULL, state INTEGER NOT NULL, id TEXT NOT NULL, source TEXT NOT NULL,
  value BLOB, tags INTEGER, received_at INTEGER NOT NULL, PRIMARY KEY (hour, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_event_late ON usage_event (meter, counted) WHERE state <> 0;
CREATE TABLE event_hour (hour INTEGER PRIMARY KEY, events INTEGER NOT NULL) STRICT;

CREATE TABLE bucket (
  meter INTEGER NOT NULL REFERENCES meter (seq), hour INTEGER NOT NULL, quantity INTEGER NOT NULL DEFAULT 0, unbillable INTEGER NOT NULL DEFAULT 0,
  events INTEGER NOT NULL DEFAULT 0, purged INTEGER NOT NULL DEFAULT 0, purged_unbillable INTEGER NOT NULL DEFAULT 0,
  status INTEGER NOT NULL DEFAULT 0, hold_reason TEXT, held_at INTEGER, PRIMARY KEY (meter, hour)
) STRICT, WITHOUT ROWID;
CREATE INDEX bucket_hour ON bucket (hour, meter);
CREATE INDEX bucket_open ON bucket (hour, meter) WHERE status = 0;
CREATE INDEX bucket_unsealed ON bucket (meter, hour) WHERE status < 2;
CREATE INDEX bucket_unbillable ON bucket (meter, hour) WHERE unbillable > 0;
CREATE INDEX bucket_held ON bucket (hour, meter) WHERE status = 1;
CREATE TABLE bucket_tag (meter INTEGER NOT NULL, hour INTEGER NOT NULL, tags INTEGER NOT NULL, quantity INTEGER NOT NULL, PRIMARY KEY (meter, hour, tags)) STRICT, WITHOUT ROWID;
CREATE TABLE carry_tag (meter INTEGER NOT NULL, tags INTEGER NOT NULL, quantity INTEGER NOT NULL, PRIMARY KEY (meter, tags)) STRICT, WITHOUT ROWID;

CREATE TABLE peak (meter INTEGER NOT NULL, period TEXT NOT NULL, value INTEGER NOT NULL, PRIMARY KEY (meter, period)) STRICT, WITHOUT ROWID;
CREATE TABLE seen_value (meter INTEGER NOT NULL, period TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (meter, period, value)) STRICT, WITHOUT ROWID;
CREATE TABLE running_total (meter INTEGER NOT NULL, source TEXT NOT NULL, total INTEGER NOT NULL, time INTEGER NOT NULL, PRIMARY KEY (meter, source)) STRICT, WITHOUT ROWID;
CREATE TABLE included_used (meter INTEGER NOT NULL, period TEXT NOT NULL, used INTEGER NOT NULL, PRIMARY KEY (meter, period)) STRICT, WITHOUT ROWID;

CREATE TABLE usage_record (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, product TEXT NOT NULL, meter INTEGER NOT NULL REFERENCES meter (seq), dimension TEXT NOT NULL,
  hour INTEGER NOT NULL, region TEXT NOT NULL, identity_key TEXT NOT NULL, identity TEXT NOT NULL, timestamp INTEGER NOT NULL,
  quantity INTEGER NOT NULL, unit_base INTEGER NOT NULL, allocations TEXT NOT NULL, state TEXT NOT NULL, deadline INTEGER NOT NULL,
  sealed_at INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, unanswered INTEGER NOT NULL DEFAULT 0, next_attempt_at INTEGER NOT NULL,
  metering_record_id TEXT, note TEXT, attempt INTEGER, lease_until INTEGER,
  UNIQUE (region, identity_key, dimension, hour)
) STRICT;
CREATE INDEX usage_record_due ON usage_record (product, deadline, seq) WHERE state IN ('ready', 'sent');
CREATE INDEX usage_record_meter ON usage_record (meter, hour);
CREATE INDEX usage_record_state ON usage_record (state, seq);
CREATE TABLE record_count (
  product TEXT NOT NULL, dimension TEXT NOT NULL, state TEXT NOT NULL, records INTEGER NOT NULL, units INTEGER NOT NULL, PRIMARY KEY (product, dimension, state)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER usage_record_counted_insert AFTER INSERT ON usage_record BEGIN
  INSERT INTO record_count (product, dimension, state, records, units) VALUES (NEW.product, NEW.dimension, NEW.state, 1, NEW.quantity)
  ON CONFLICT (product, dimension, state) DO UPDATE SET records = records + 1, units = units + excluded.units; END;
CREATE TRIGGER usage_record_counted_update AFTER UPDATE OF state ON usage_record WHEN OLD.state <> NEW.state BEGIN
  UPDATE record_count SET records = records - 1, units = units - OLD.quantity WHERE product = OLD.product AND dimension = OLD.dimension AND state = OLD.state; INSERT INTO record_count (product, dimension, state, records, units) VALUES (NEW.product, NEW.dimension, NEW.state, 1, NEW.quantity)
  ON CONFLICT (product, dimension, state) DO UPDATE SET records = records + 1, units = units + excluded.units; END;

CREATE TABLE transfer (
  seq INTEGER PRIMARY KEY, meter INTEGER NOT NULL, hour INTEGER NOT NULL, source TEXT NOT NULL, target TEXT NOT NULL,
  amount INTEGER NOT NULL CHECK (amount > 0), at INTEGER NOT NULL, record INTEGER
) STRICT;
CREATE INDEX transfer_meter ON transfer (meter, hour);
CREATE INDEX transfer_lost ON transfer (meter) WHERE source = 'forgiven' OR target = 'forgiven' OR (target = 'refused' AND record IS NULL);
CREATE TRIGGER transfer_is_final_update BEFORE UPDATE ON transfer BEGIN SELECT RAISE(ABORT, 'transfers are never changed'); END;
CREATE TRIGGER transfer_is_final_delete BEFORE DELETE ON transfer BEGIN SELECT RAISE(ABORT, 'transfers are never deleted'); END;

CREATE TABLE request (seq INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, body TEXT NOT NULL) STRICT;
CREATE TABLE attempt (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, product TEXT NOT NULL, region TEXT NOT NULL, started_at INTEGER NOT NULL,
  finished_at INTEGER, outcome TEXT NOT NULL, request INTEGER NOT NULL REFERENCES request (seq), response TEXT
) STRICT;
CREATE TABLE attempt_record (record INTEGER NOT NULL, attempt INTEGER NOT NULL, PRIMARY KEY (record, attempt)) STRICT, WITHOUT ROWID;
CREATE INDEX attempt_record_attempt ON attempt_record (attempt);
CREATE TABLE isolation (product TEXT NOT NULL, kind TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (product, kind, value)) STRICT, WITHOUT ROWID;
CREATE TABLE halt (product TEXT PRIMARY KEY, reason TEXT NOT NULL, since INTEGER NOT NULL, probe_at INTEGER) STRICT, WITHOUT ROWID;
CREATE TABLE rate (region TEXT PRIMARY KEY, next_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE alarm (
  kind TEXT NOT NULL, subject TEXT NOT NULL, message TEXT NOT NULL, raised INTEGER NOT NULL, first_at INTEGER NOT NULL, last_at INTEGER NOT NULL, PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX alarm_last_at ON alarm (last_at);
CREATE INDEX alarm_subject ON alarm (subject);
CREATE TABLE late_across (
  subject TEXT PRIMARY KEY, product TEXT NOT NULL, months INTEGER NOT NULL, agreements INTEGER NOT NULL, amount INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_entry (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, at INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL,
  before TEXT, after TEXT
) STRICT;
CREATE INDEX audit_entry_subject ON audit_entry (subject, seq);
CREATE TRIGGER audit_is_final_update BEFORE UPDATE ON audit_entry BEGIN SELECT RAISE(ABORT, 'the audit trail is never changed'); END;
CREATE TRIGGER audit_is_final_delete BEFORE DELETE ON audit_entry BEGIN SELECT RAISE(ABORT, 'the audit trail is never deleted'); END;

CREATE TABLE agreement (
  seq INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, product TEXT, customer_aws_account_id TEXT, customer_identifier TEXT, license_tail TEXT,
  subscription TEXT, facts TEXT NOT NULL, updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX agreement_account ON agreement (product, customer_aws_account_id) WHERE customer_aws_account_id IS NOT NULL;
CREATE INDEX agreement_customer ON agreement (product, customer_identifier) WHERE customer_identifier IS NOT NULL;
CREATE INDEX agreement_license ON agreement (license_tail) WHERE license_tail IS NOT NULL;
CREATE INDEX agreement_homeless ON agreement (seq) WHERE product IS NULL;
CREATE INDEX agreement_unattached ON agreement (seq) WHERE subscription IS NULL;
CREATE TABLE marketplace_event (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, agreement INTEGER REFERENCES agreement (seq), product TEXT, kind TEXT NOT NULL,
  occurred_at INTEGER NOT NULL, received_at INTEGER NOT NULL, event TEXT NOT NULL
) STRICT;
CREATE INDEX marketplace_event_agreement ON marketplace_event (agreement) WHERE agreement IS NOT NULL;
CREATE INDEX marketplace_event_notice ON marketplace_event (json_extract(event, '$.agreementId'), seq) WHERE agreement IS NULL;
CREATE INDEX marketplace_event_product ON marketplace_event (product, seq) WHERE product IS NOT NULL;
CREATE TABLE rejected_message (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, channel TEXT NOT NULL, reason TEXT NOT NULL, received_at INTEGER NOT NULL, payload TEXT NOT NULL
) STRICT;

CREATE TABLE entitlement_reading (
  subscription TEXT PRIMARY KEY REFERENCES subscription (id), product TEXT NOT NULL, entitlements TEXT NOT NULL, read_at INTEGER, empty_since INTEGER,
  failed_at INTEGER, failure TEXT, next_at INTEGER, revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX entitlement_reading_due ON entitlement_reading (product, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX entitlement_reading_empty ON entitlement_reading (product, empty_since) WHERE empty_since IS NOT NULL AND next_at IS NOT NULL;
CREATE INDEX entitlement_reading_revoked ON entitlement_reading (product, revoked_at) WHERE revoked_at IS NOT NULL;
CREATE TRIGGER entitlement_reading_begins AFTER INSERT ON subscription WHEN NEW.channel = 'aws' BEGIN
  INSERT INTO entitlement_reading (subscription, product, entitlements, next_at) VALUES (NEW.id, NEW.product, '[]', IIF(NEW.status IN ('pending', 'active', 'suspended'), 0, NULL)); END;
CREATE TRIGGER entitlement_reading_follows AFTER UPDATE OF status ON subscription WHEN (NEW.status IN ('pending', 'active', 'suspended')) <> (OLD.status IN ('pending', 'active', 'suspended')) BEGIN
  UPDATE entitlement_reading SET next_at = IIF(NEW.status IN ('pending', 'active', 'suspended'), 0, NULL) WHERE subscription = NEW.id; END;
CREATE TRIGGER entitlement_reading_is_asked AFTER INSERT ON marketplace_event WHEN NEW.agreement IS NOT NULL BEGIN
  UPDATE entitlement_reading SET next_at = 0 WHERE next_at > 0 AND subscription = (SELECT subscription FROM agreement WHERE seq = NEW.agreement); END;
CREATE TABLE entitlement_period (
  subscription TEXT NOT NULL REFERENCES subscription (id), dimension TEXT NOT NULL, from_ms INTEGER NOT NULL, units INTEGER NOT NULL, PRIMARY KEY (subscription, dimension, from_ms)
) STRICT, WITHOUT ROWID;
CREATE TABLE plan_period (
  subscription TEXT NOT NULL REFERENCES subscription (id), from_ms INTEGER NOT NULL, plan TEXT, PRIMARY KEY (subscription, from_ms)
) STRICT, WITHOUT ROWID;
CREATE TABLE contract_term (
  subscription TEXT NOT NULL REFERENCES subscription (id), from_ms INTEGER NOT NULL, PRIMARY KEY (subscription, from_ms)
) STRICT, WITHOUT ROWID;
CREATE INDEX agreement_follower ON agreement (subscription) WHERE subscription IS NOT NULL;

CREATE TABLE domain_event (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL, at INTEGER NOT NULL, product TEXT NOT NULL, buyer TEXT NOT NULL, subscription TEXT NOT NULL, data TEXT NOT NULL
) STRICT;
CREATE INDEX domain_event_subscription ON domain_event (subscription, seq);
CREATE TABLE sink (
  name TEXT PRIMARY KEY, cursor INTEGER NOT NULL, seen_at INTEGER NOT NULL, failures INTEGER NOT NULL DEFAULT 0, failing_since INTEGER, paused_until INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE delivery (
  event INTEGER NOT NULL REFERENCES domain_event (seq), sink TEXT NOT NULL, subscription TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
  failures INTEGER NOT NULL DEFAULT 0, queued_at INTEGER NOT NULL, next_at INTEGER NOT NULL, last_error TEXT, finished_at INTEGER, PRIMARY KEY (event, sink)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_due ON delivery (sink, next_at, event) WHERE state = 'waiting';
CREATE INDEX delivery_order ON delivery (sink, subscription, event) WHERE state = 'waiting';
CREATE INDEX delivery_waiting ON delivery (event, sink) WHERE state = 'waiting';
CREATE INDEX delivery_dead ON delivery (event, sink) WHERE state = 'dead';
CREATE INDEX delivery_delivered ON delivery (finished_at) WHERE state = 'delivered';
CREATE TABLE mail (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, at INTEGER NOT NULL, sender TEXT NOT NULL, recipient TEXT NOT NULL, subject TEXT NOT NULL, text TEXT NOT NULL, html TEXT NOT NULL
) STRICT;

CREATE TABLE service_key (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, scopes TEXT NOT NULL, product TEXT, hash TEXT NOT NULL UNIQUE, created_at INTEGER NOT NULL, revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE work_lease (name TEXT PRIMARY KEY, holder TEXT NOT NULL, held_until INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE VIEW meter_usage AS
  SELECT r.id AS metering_record, s.id AS subscription, r.product, r.dimension, strftime('%Y-%m-%dT%H:00:00Z', r.hour * 3600, 'unixepoch') AS usage_hour,
         r.quantity, r.state AS status, r.metering_record_id AS aws_metering_record_id, r.attempts
  FROM usage_record r JOIN meter m ON m.seq = r.meter JOIN subscription s ON s.seq = m.subscription;
`,
  '2026-11-22-access': SQLITE_ACCESS_TABLES,
}

export const SQLITE_SCHEMA: SchemaVersion = { migrations: MIGRATIONS, floor: SCHEMA_FLOOR }

/**
 * Brings the tables to a version; those of a later one are left as they are.
 *
 * @returns the names of the migrations that ran
 * @throws {DomainError} `ledger.too_new`, having written nothing
 */
export async function migrate(
  database: SqliteDatabase,
  version: SchemaVersion = SQLITE_SCHEMA,
): Promise<readonly string[]> {
  await checkLevel(database, version)
  const dialect = new SqliteDialect({ database: keepOpen(database) })
  const migrations = Object.entries(version.migrations).map(([name, script]) => [name, statementsOf(script)])
  // All of it or nothing, and one process after the other: on SQLite, Kysely itself uses neither transaction nor lock.
  const ran = await database.transaction(() => runMigrations(dialect, Object.fromEntries(migrations)))
  await noteLevel(database, version)
  // A later version may have been quicker.
  await checkLevel(database, version)
  return ran
}

/** Statements end at a semicolon that ends a line; a trigger's own do not. */
function statementsOf(script: string): readonly string[] {
  return script
    .split(/;\n/)
    .map((text) => text.trim())
    .filter((text) => text !== '')
}

function keepOpen(database: SqliteDatabase) {
  return { prepare: (text: string) => database.handle.prepare(text) as never, close: () => {} }
}
