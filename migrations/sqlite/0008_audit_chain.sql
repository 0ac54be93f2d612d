-- The same tables as in migrations/postgres. The audit trail as a chain: each event holds the MAC of the one before it, by a key that is not
-- in the database (src/store/audit). The rows of before are set aside until the first start puts them into it.
DROP INDEX audit_events_at;
DROP INDEX audit_events_action;
ALTER TABLE audit_events RENAME TO plain_audit_events;

CREATE TABLE audit_events (
    seq INTEGER NOT NULL PRIMARY KEY, -- from 1, without gaps
    at_ms INTEGER NOT NULL,
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
    seq INTEGER NOT NULL CHECK (seq >= 0),
    mac TEXT NOT NULL, -- of the event of that number
    seal TEXT NOT NULL -- HMAC-SHA-256 of the row
);

-- A second line: what happens by mistake. Whoever can drop a trigger is found by the MACs.
CREATE TRIGGER audit_events_stay BEFORE UPDATE ON audit_events
BEGIN
    SELECT RAISE(ABORT, 'audit events are not changed');
END;
CREATE TRIGGER audit_events_kept BEFORE DELETE ON audit_events
WHEN OLD.seq > coalesce((SELECT seq FROM audit_marks WHERE name = 'checkpoint'), 0)
BEGIN
    SELECT RAISE(ABORT, 'audit events are not deleted but behind a checkpoint');
END;
CREATE TRIGGER audit_marks_forward BEFORE UPDATE ON audit_marks
WHEN NEW.name <> OLD.name
    OR (NEW.seq < OLD.seq AND NEW.seq < coalesce((SELECT max(seq) FROM audit_events), 0))
BEGIN
    SELECT RAISE(ABORT, 'the marks of the audit trail do not go back to before its last event');
END;
CREATE TRIGGER audit_marks_kept BEFORE DELETE ON audit_marks
BEGIN
    SELECT RAISE(ABORT, 'the marks of the audit trail are not deleted');
END;

-- For how long a key may see what is private, in an emergency.
CREATE TABLE break_glass (
    id TEXT NOT NULL PRIMARY KEY,
    api_key TEXT NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    reason_sealed TEXT NOT NULL,
    begun_at_ms INTEGER NOT NULL,
    ends_at_ms INTEGER NOT NULL,
    revoked_at_ms INTEGER
);
CREATE INDEX break_glass_key ON break_glass (api_key, ends_at_ms);

-- What the settings were at the last start, as keyed hashes.
CREATE TABLE seen_settings (
    node TEXT NOT NULL,
    name TEXT NOT NULL,
    value_hash TEXT NOT NULL,
    PRIMARY KEY (node, name)
);
