-- The same tables as in migrations/sqlite. The audit trail as a chain: each event holds the MAC of the one before it, by a key that is not
-- in the database (src/store/audit). The rows of before are set aside until the first start puts them into it.
DROP INDEX audit_events_at;
DROP INDEX audit_events_action;
ALTER TABLE audit_events RENAME TO plain_audit_events;

CREATE TABLE audit_events (
    seq BIGINT NOT NULL PRIMARY KEY, -- from 1, without gaps
    at_ms BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    outcome TEXT NOT NULL,
    detail TEXT NOT NULL,
    origin TEXT NOT NULL, -- from where: an address, a line, a command line
    previous TEXT NOT NULL, -- the MAC of the event before
    mac TEXT NOT NULL -- HMAC-SHA-256 of all the rest, in hexadecimal
);
CREATE INDEX audit_events_at ON audit_events (at_ms);
CREATE INDEX audit_events_action ON audit_events (action, outcome, at_ms);
CREATE INDEX audit_events_subject ON audit_events (subject, seq);

-- Where the trail ends (head), and where it begins since older events were purged (checkpoint).
CREATE TABLE audit_marks (
    name TEXT NOT NULL PRIMARY KEY CHECK (name IN ('head', 'checkpoint')),
    seq BIGINT NOT NULL CHECK (seq >= 0),
    mac TEXT NOT NULL, -- of the event of that number
    seal TEXT NOT NULL -- HMAC-SHA-256 of the row
);

-- A second line: what happens by mistake. Whoever can drop a trigger is found by the MACs.
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is not changed';
END
$$;
CREATE FUNCTION audit_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.seq > coalesce((SELECT seq FROM audit_marks WHERE name = 'checkpoint'), 0) THEN
        RAISE EXCEPTION 'audit events are not deleted but behind a checkpoint';
    END IF;
    RETURN OLD;
END
$$;
CREATE FUNCTION audit_forward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.name <> OLD.name
        OR (NEW.seq < OLD.seq AND NEW.seq < coalesce((SELECT max(seq) FROM audit_events), 0)) THEN
        RAISE EXCEPTION 'the marks of the audit trail do not go back to before its last event';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER audit_events_stay BEFORE UPDATE OR TRUNCATE ON audit_events FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_events_kept BEFORE DELETE ON audit_events FOR EACH ROW EXECUTE FUNCTION audit_keep();
CREATE TRIGGER audit_marks_forward BEFORE UPDATE ON audit_marks FOR EACH ROW EXECUTE FUNCTION audit_forward();
CREATE TRIGGER audit_marks_kept BEFORE DELETE OR TRUNCATE ON audit_marks FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();

-- For how long a key may see what is private, in an emergency.
CREATE TABLE break_glass (
    id TEXT NOT NULL PRIMARY KEY,
    api_key TEXT NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    reason_sealed TEXT NOT NULL,
    begun_at_ms BIGINT NOT NULL,
    ends_at_ms BIGINT NOT NULL,
    revoked_at_ms BIGINT
);
CREATE INDEX break_glass_key ON break_glass (api_key, ends_at_ms);

-- What the settings were at the last start, as keyed hashes.
CREATE TABLE seen_settings (
    node TEXT NOT NULL,
    name TEXT NOT NULL,
    value_hash TEXT NOT NULL,
    PRIMARY KEY (node, name)
);
