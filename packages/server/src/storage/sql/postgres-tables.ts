import { POSTGRES_ACCESS_TABLES } from './access-tables.ts'
import { POSTGRES_COMMENTS } from './postgres-comments.ts'

/**
 * The ledger's tables, the same as SQLite's (see `migrations.ts`) but for what the engine does in another way:
 *
 * - an event's key is unique in the whole table, whatever its hour; its index needs no hour to stay quick
 * - `record_count` has a row for each of 64 shards: processes that seal and send at once do not wait for one row
 * - `ingest_gate` has no rows: it is locked, see `StepOptions`
 * - what is looked into is `json`
 *
 * `SEQ` and `TEXT` are written out below.
 */
const TABLES = `
CREATE TABLE ledger (name TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO ledger VALUES ('epoch', '0'), ('readings', '0'), ('horizon', '0');

CREATE TABLE buyer (
  seq SEQ, id TEXT NOT NULL UNIQUE, product TEXT NOT NULL, customer_aws_account_id TEXT, customer_identifier TEXT, created_at bigint NOT NULL
);
CREATE UNIQUE INDEX buyer_account ON buyer (product, customer_aws_account_id) WHERE customer_aws_account_id IS NOT NULL;
CREATE UNIQUE INDEX buyer_customer ON buyer (product, customer_identifier) WHERE customer_identifier IS NOT NULL;
CREATE INDEX buyer_product ON buyer (product, seq);
CREATE TABLE buyer_contact (
  buyer TEXT NOT NULL REFERENCES buyer (id), email TEXT NOT NULL, name TEXT, company TEXT, phone TEXT, registered_at bigint NOT NULL, PRIMARY KEY (buyer, email)
);

CREATE TABLE subscription (
  seq SEQ, id TEXT NOT NULL UNIQUE, product TEXT NOT NULL, buyer TEXT NOT NULL REFERENCES buyer (id), channel TEXT NOT NULL,
  plan TEXT, tenant_id TEXT, status TEXT NOT NULL, license_arn TEXT, license_tail TEXT, customer_aws_account_id TEXT, customer_identifier TEXT,
  agreement_id TEXT, granted_at bigint, term_end bigint, free_trial bigint, access_start bigint NOT NULL, access_end bigint, final_window_end bigint, successor TEXT, created_at bigint NOT NULL
);
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
  seq SEQ, subscription bigint NOT NULL REFERENCES subscription (seq), dimension TEXT NOT NULL, product TEXT NOT NULL,
  scale bigint NOT NULL, aggregation TEXT NOT NULL, per TEXT, carry bigint NOT NULL DEFAULT 0 CHECK (carry >= 0), UNIQUE (subscription, dimension)
);
CREATE INDEX meter_carry ON meter (product, dimension, carry);

CREATE TABLE tag_set (seq SEQ, key TEXT NOT NULL UNIQUE, last_hour bigint NOT NULL);
CREATE INDEX tag_set_last_hour ON tag_set (last_hour);

CREATE TABLE usage_event (
  key bytea PRIMARY KEY, hour bigint NOT NULL, meter bigint NOT NULL, time bigint NOT NULL, quantity bigint NOT NULL, delta bigint NOT NULL,
  counted bigint NOT NULL, received_at bigint NOT NULL, tags bigint, state smallint NOT NULL, id TEXT NOT NULL, source TEXT NOT NULL, value bytea
);
CREATE INDEX usage_event_hour ON usage_event (hour);
CREATE INDEX usage_event_counted ON usage_event (meter, counted);
CREATE TABLE ingest_gate ();

CREATE TABLE bucket (
  meter bigint NOT NULL REFERENCES meter (seq), hour bigint NOT NULL, quantity bigint NOT NULL DEFAULT 0, unbillable bigint NOT NULL DEFAULT 0,
  events bigint NOT NULL DEFAULT 0, purged bigint NOT NULL DEFAULT 0, purged_unbillable bigint NOT NULL DEFAULT 0,
  status smallint NOT NULL DEFAULT 0, hold_reason TEXT, held_at bigint, PRIMARY KEY (meter, hour)
) WITH (fillfactor = 80);
CREATE INDEX bucket_hour ON bucket (hour, meter);
CREATE INDEX bucket_open ON bucket (hour, meter) WHERE status = 0;
CREATE INDEX bucket_unsealed ON bucket (meter, hour) WHERE status < 2;
CREATE INDEX bucket_unbillable ON bucket (meter, hour) WHERE unbillable > 0;
CREATE INDEX bucket_held ON bucket (hour, meter) WHERE status = 1;
CREATE TABLE bucket_tag (meter bigint NOT NULL, hour bigint NOT NULL, tags bigint NOT NULL, quantity bigint NOT NULL, PRIMARY KEY (meter, hour, tags));
CREATE TABLE carry_tag (meter bigint NOT NULL, tags bigint NOT NULL, quantity bigint NOT NULL, PRIMARY KEY (meter, tags));

CREATE TABLE peak (meter bigint NOT NULL, period TEXT NOT NULL, value bigint NOT NULL, PRIMARY KEY (meter, period));
CREATE TABLE seen_value (meter bigint NOT NULL, period TEXT NOT NULL, value bytea NOT NULL, PRIMARY KEY (meter, period, value));
CREATE TABLE running_total (meter bigint NOT NULL, source TEXT NOT NULL, total bigint NOT NULL, time bigint NOT NULL, PRIMARY KEY (meter, source));
CREATE TABLE included_used (meter bigint NOT NULL, period TEXT NOT NULL, used bigint NOT NULL, PRIMARY KEY (meter, period));

CREATE TABLE usage_record (
  seq SEQ, id TEXT NOT NULL UNIQUE, product TEXT NOT NULL, meter bigint NOT NULL REFERENCES meter (seq), dimension TEXT NOT NULL,
  hour bigint NOT NULL, region TEXT NOT NULL, identity_key TEXT NOT NULL, identity TEXT NOT NULL, timestamp bigint NOT NULL,
  quantity bigint NOT NULL, unit_base bigint NOT NULL, allocations TEXT NOT NULL, state TEXT NOT NULL, deadline bigint NOT NULL,
  sealed_at bigint NOT NULL, attempts bigint NOT NULL DEFAULT 0, unanswered bigint NOT NULL DEFAULT 0, next_attempt_at bigint NOT NULL,
  metering_record_id TEXT, note TEXT, attempt bigint, lease_until bigint,
  UNIQUE (region, identity_key, dimension, hour)
);
CREATE INDEX usage_record_due ON usage_record (product, deadline, seq) WHERE state IN ('ready', 'sent');
CREATE INDEX usage_record_meter ON usage_record (meter, hour);
CREATE INDEX usage_record_state ON usage_record (state, seq);
CREATE TABLE record_count (
  product TEXT NOT NULL, dimension TEXT NOT NULL, state TEXT NOT NULL, records bigint NOT NULL, units bigint NOT NULL, shard smallint NOT NULL,
  PRIMARY KEY (product, dimension, state, shard)
) WITH (fillfactor = 50);
CREATE FUNCTION count_record(of_product text, of_dimension text, of_state text, more bigint, more_units bigint) RETURNS void LANGUAGE sql AS $$
  INSERT INTO record_count VALUES (of_product, of_dimension, of_state, more, more_units, pg_backend_pid() % 64)
  ON CONFLICT (product, dimension, state, shard) DO UPDATE SET records = record_count.records + excluded.records, units = record_count.units + excluded.units
$$;
CREATE FUNCTION usage_record_counted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF TG_OP = 'UPDATE' THEN PERFORM count_record(OLD.product, OLD.dimension, OLD.state, -1, -OLD.quantity); END IF;
  PERFORM count_record(NEW.product, NEW.dimension, NEW.state, 1, NEW.quantity);
  RETURN NULL; END $$;
CREATE TRIGGER usage_record_counted_insert AFTER INSERT ON usage_record FOR EACH ROW EXECUTE FUNCTION usage_record_counted();
CREATE TRIGGER usage_record_counted_update AFTER UPDATE OF state ON usage_record FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION usage_record_counted();

CREATE TABLE transfer (
  seq SEQ, meter bigint NOT NULL, hour bigint NOT NULL, source TEXT NOT NULL, target TEXT NOT NULL,
  amount bigint NOT NULL CHECK (amount > 0), at bigint NOT NULL, record bigint
);
CREATE INDEX transfer_meter ON transfer (meter, hour);
CREATE INDEX transfer_lost ON transfer (meter) WHERE source = 'forgiven' OR target = 'forgiven' OR (target = 'refused' AND record IS NULL);

CREATE FUNCTION is_final() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '% are never changed or deleted', TG_ARGV[0]; END $$;
CREATE TRIGGER transfer_is_final BEFORE UPDATE OR DELETE OR TRUNCATE ON transfer FOR EACH STATEMENT EXECUTE FUNCTION is_final('transfers');

CREATE TABLE request (seq SEQ, hash bytea NOT NULL UNIQUE, body TEXT NOT NULL);
CREATE TABLE attempt (
  seq SEQ, id TEXT NOT NULL UNIQUE, product TEXT NOT NULL, region TEXT NOT NULL, started_at bigint NOT NULL,
  finished_at bigint, outcome TEXT NOT NULL, request bigint NOT NULL REFERENCES request (seq), response TEXT
);
CREATE TABLE attempt_record (record bigint NOT NULL, attempt bigint NOT NULL, PRIMARY KEY (record, attempt));
CREATE INDEX attempt_record_attempt ON attempt_record (attempt);
CREATE TABLE isolation (product TEXT NOT NULL, kind TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (product, kind, value));
CREATE TABLE halt (product TEXT PRIMARY KEY, reason TEXT NOT NULL, since bigint NOT NULL, probe_at bigint);
CREATE TABLE rate (region TEXT PRIMARY KEY, next_at bigint NOT NULL);
CREATE TABLE alarm (
  kind TEXT NOT NULL, subject TEXT NOT NULL, message TEXT NOT NULL, raised bigint NOT NULL, first_at bigint NOT NULL, last_at bigint NOT NULL, PRIMARY KEY (kind, subject)
);
CREATE INDEX alarm_last_at ON alarm (last_at);
CREATE INDEX alarm_subject ON alarm (subject);
CREATE TABLE late_across (
  subject TEXT PRIMARY KEY, product TEXT NOT NULL, months bigint NOT NULL, agreements bigint NOT NULL, amount bigint NOT NULL
);

CREATE TABLE audit_entry (
  seq SEQ, id TEXT NOT NULL UNIQUE, at bigint NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL,
  before TEXT, after TEXT
);
CREATE INDEX audit_entry_subject ON audit_entry (subject, seq);

CREATE TRIGGER audit_is_final BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry FOR EACH STATEMENT EXECUTE FUNCTION is_final('entries of the audit trail');

CREATE TABLE agreement (
  seq SEQ, key TEXT NOT NULL UNIQUE, product TEXT, customer_aws_account_id TEXT, customer_identifier TEXT, license_tail TEXT,
  subscription TEXT, facts json NOT NULL, updated_at bigint NOT NULL
);
CREATE INDEX agreement_account ON agreement (product, customer_aws_account_id) WHERE customer_aws_account_id IS NOT NULL;
CREATE INDEX agreement_customer ON agreement (product, customer_identifier) WHERE customer_identifier IS NOT NULL;
CREATE INDEX agreement_license ON agreement (license_tail) WHERE license_tail IS NOT NULL;
CREATE INDEX agreement_homeless ON agreement (seq) WHERE product IS NULL;
CREATE INDEX agreement_unattached ON agreement (seq) WHERE subscription IS NULL;
CREATE TABLE marketplace_event (
  seq SEQ, id TEXT NOT NULL UNIQUE, agreement bigint REFERENCES agreement (seq), product TEXT, kind TEXT NOT NULL,
  occurred_at bigint NOT NULL, received_at bigint NOT NULL, event json NOT NULL
);
CREATE INDEX marketplace_event_agreement ON marketplace_event (agreement) WHERE agreement IS NOT NULL;
CREATE INDEX marketplace_event_notice ON marketplace_event ((event ->> 'agreementId'), seq) WHERE agreement IS NULL;
CREATE INDEX marketplace_event_product ON marketplace_event (product, seq) WHERE product IS NOT NULL;
CREATE TABLE rejected_message (
  seq SEQ, id TEXT NOT NULL UNIQUE, channel TEXT NOT NULL, reason TEXT NOT NULL, received_at bigint NOT NULL, payload TEXT NOT NULL
);

CREATE TABLE entitlement_reading (
  subscription TEXT PRIMARY KEY REFERENCES subscription (id), product TEXT NOT NULL, entitlements TEXT NOT NULL, read_at bigint, empty_since bigint,
  failed_at bigint, failure TEXT, next_at bigint, revoked_at bigint
);
CREATE INDEX entitlement_reading_due ON entitlement_reading (product, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX entitlement_reading_empty ON entitlement_reading (product, empty_since) WHERE empty_since IS NOT NULL AND next_at IS NOT NULL;
CREATE INDEX entitlement_reading_revoked ON entitlement_reading (product, revoked_at) WHERE revoked_at IS NOT NULL;
CREATE FUNCTION is_live(status text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT status IN ('pending', 'active', 'suspended') $$;
CREATE FUNCTION entitlement_reading_begins() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO entitlement_reading (subscription, product, entitlements, next_at) VALUES (NEW.id, NEW.product, '[]', CASE WHEN is_live(NEW.status) THEN 0 END);
  RETURN NULL; END $$;
CREATE TRIGGER entitlement_reading_begins AFTER INSERT ON subscription FOR EACH ROW WHEN (NEW.channel = 'aws') EXECUTE FUNCTION entitlement_reading_begins();
CREATE FUNCTION entitlement_reading_follows() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  UPDATE entitlement_reading SET next_at = CASE WHEN is_live(NEW.status) THEN 0 END WHERE subscription = NEW.id;
  RETURN NULL; END $$;
CREATE TRIGGER entitlement_reading_follows AFTER UPDATE OF status ON subscription FOR EACH ROW
  WHEN (is_live(NEW.status) <> is_live(OLD.status)) EXECUTE FUNCTION entitlement_reading_follows();
CREATE FUNCTION entitlement_reading_is_asked() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  UPDATE entitlement_reading SET next_at = 0 WHERE next_at > 0 AND subscription = (SELECT a.subscription FROM agreement a WHERE a.seq = NEW.agreement);
  RETURN NULL; END $$;
CREATE TRIGGER entitlement_reading_is_asked AFTER INSERT ON marketplace_event FOR EACH ROW WHEN (NEW.agreement IS NOT NULL) EXECUTE FUNCTION entitlement_reading_is_asked();
CREATE TABLE entitlement_period (
  subscription TEXT NOT NULL REFERENCES subscription (id), dimension TEXT NOT NULL, from_ms bigint NOT NULL, units bigint NOT NULL, PRIMARY KEY (subscription, dimension, from_ms)
);
CREATE TABLE plan_period (
  subscription TEXT NOT NULL REFERENCES subscription (id), from_ms bigint NOT NULL, plan TEXT, PRIMARY KEY (subscription, from_ms)
);
CREATE TABLE contract_term (
  subscription TEXT NOT NULL REFERENCES subscription (id), from_ms bigint NOT NULL, PRIMARY KEY (subscription, from_ms)
);
CREATE INDEX agreement_follower ON agreement (subscription) WHERE subscription IS NOT NULL;

CREATE TABLE domain_event (
  seq SEQ, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL, at bigint NOT NULL, product TEXT NOT NULL, buyer TEXT NOT NULL, subscription TEXT NOT NULL, data json NOT NULL
);
CREATE INDEX domain_event_subscription ON domain_event (subscription, seq);
CREATE TABLE sink (
  name TEXT PRIMARY KEY, cursor bigint NOT NULL, seen_at bigint NOT NULL, failures bigint NOT NULL DEFAULT 0, failing_since bigint, paused_until bigint
);
CREATE TABLE delivery (
  event bigint NOT NULL REFERENCES domain_event (seq), sink TEXT NOT NULL, subscription TEXT NOT NULL, state TEXT NOT NULL, attempts bigint NOT NULL DEFAULT 0,
  failures bigint NOT NULL DEFAULT 0, queued_at bigint NOT NULL, next_at bigint NOT NULL, last_error TEXT, finished_at bigint, PRIMARY KEY (event, sink)
);
CREATE INDEX delivery_due ON delivery (sink, next_at, event) WHERE state = 'waiting';
CREATE INDEX delivery_order ON delivery (sink, subscription, event) WHERE state = 'waiting';
CREATE INDEX delivery_waiting ON delivery (event, sink) WHERE state = 'waiting';
CREATE INDEX delivery_dead ON delivery (event, sink) WHERE state = 'dead';
CREATE INDEX delivery_delivered ON delivery (finished_at) WHERE state = 'delivered';
CREATE TABLE mail (
  seq SEQ, id TEXT NOT NULL UNIQUE, at bigint NOT NULL, sender TEXT NOT NULL, recipient TEXT NOT NULL, subject TEXT NOT NULL, text TEXT NOT NULL, html TEXT NOT NULL
);

CREATE TABLE service_key (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, scopes TEXT NOT NULL, product TEXT, hash TEXT NOT NULL UNIQUE, created_at bigint NOT NULL, revoked_at bigint
);

CREATE TABLE work_lease (name TEXT PRIMARY KEY, holder TEXT NOT NULL, held_until bigint NOT NULL);

CREATE VIEW meter_usage AS
  SELECT r.id AS metering_record, s.id AS subscription, r.product, r.dimension, to_timestamp(r.hour * 3600) AS usage_hour,
         r.quantity, r.state AS status, r.metering_record_id AS aws_metering_record_id, r.attempts,
         s.buyer, s.customer_aws_account_id, r.region, to_timestamp(r.sealed_at / 1000.0) AS sealed_at, to_timestamp(r.deadline / 1000.0) AS deadline
  FROM usage_record r JOIN meter m ON m.seq = r.meter JOIN subscription s ON s.seq = m.subscription;
`

/** Texts are compared by their bytes, as SQLite does it: whatever language the server speaks, ranges and orders are the same. */
const IDENTITY = 'bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY'

export const POSTGRES_MIGRATIONS: Readonly<Record<string, string>> = {
  '2026-11-21-ledger':
    TABLES.replaceAll(/\bSEQ\b/g, IDENTITY).replaceAll(/\bTEXT\b/g, 'text COLLATE "C"') + POSTGRES_COMMENTS,
  '2026-11-22-access': POSTGRES_ACCESS_TABLES,
}
