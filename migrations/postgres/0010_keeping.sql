-- How long records are kept, and what must be kept. The same tables as in migrations/sqlite.

-- A record that comes back after it was deleted gets a key of the next generation, so that the list of deleted keys names the old one only.
ALTER TABLE data_keys ADD COLUMN generation BIGINT NOT NULL DEFAULT 1;
CREATE INDEX data_keys_shredded ON data_keys (shredded_at_ms);

-- Whom a call is about, by what its tools were asked. Keyed hashes: patients.member_id, customers.number, phone.
CREATE TABLE call_subjects (
    call_sid TEXT NOT NULL REFERENCES calls (call_sid) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('patient', 'customer', 'phone')),
    hash TEXT NOT NULL,
    PRIMARY KEY (call_sid, kind, hash)
);
CREATE INDEX call_subjects_whose ON call_subjects (kind, hash);

-- What must not be deleted. A released hold keeps its row, and loses what it holds.
CREATE TABLE holds (
    id TEXT NOT NULL PRIMARY KEY,
    record TEXT NOT NULL, -- as in data_keys: call/SID, customer/HASH, patient/HASH
    hold_sealed TEXT NOT NULL, -- the reason
    created_at_ms BIGINT NOT NULL DEFAULT (CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)),
    released_at_ms BIGINT
);
CREATE TABLE held (
    hold_id TEXT NOT NULL REFERENCES holds (id) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('call', 'patient', 'customer', 'phone', 'calls.from', 'voicemails.from')),
    hash TEXT NOT NULL, -- of a call its sid
    PRIMARY KEY (hold_id, kind, hash)
);
CREATE INDEX held_what ON held (kind, hash);

-- Who does what only one server may do at a time. The row holds is locked by whoever adds a hold, and by whoever deletes.
CREATE TABLE leases (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT,
    until_ms BIGINT NOT NULL DEFAULT 0
);
INSERT INTO leases (name) VALUES ('purge'), ('holds');
