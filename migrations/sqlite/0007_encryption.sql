-- The same tables as in migrations/postgres. What is private is sealed: a column that ends in _sealed is encrypted by the record's data key, which
-- is in data_keys, wrapped by a key that is not in the database. A column that ends in _hash is a keyed hash of what is looked up by.
-- The tables of before keep their rows as plain_…, until the first start seals them (src/store/plain.rs).

CREATE TABLE data_keys (
    id TEXT NOT NULL PRIMARY KEY, -- whose: index, call/SID, customer/HASH, patient/HASH, order/NUMBER, voicemail/ID, answer/KEY/HASH
    kek_id TEXT, -- the key that wrapped it
    wrapped TEXT, -- NULL: deleted for good, and with it whatever the record held
    created_at_ms INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER)),
    shredded_at_ms INTEGER,
    CHECK ((wrapped IS NULL) = (kek_id IS NULL)),
    CHECK ((wrapped IS NULL) = (shredded_at_ms IS NOT NULL))
);
CREATE INDEX data_keys_kek ON data_keys (kek_id);

DROP INDEX customers_phone;
DROP INDEX customers_created;
DROP INDEX task_orders_customer;
DROP INDEX task_orders_created;
DROP INDEX coverage_procedure;
DROP INDEX calls_started;
DROP INDEX api_requests_created;
DROP INDEX voicemails_created;
DROP INDEX voicemails_call;
ALTER TABLE customers RENAME TO plain_customers;
ALTER TABLE task_orders RENAME TO plain_task_orders;
ALTER TABLE patients RENAME TO plain_patients;
ALTER TABLE coverage RENAME TO plain_coverage;
ALTER TABLE calls RENAME TO plain_calls;
ALTER TABLE turns RENAME TO plain_turns;
ALTER TABLE tool_calls RENAME TO plain_tool_calls;
ALTER TABLE voicemails RENAME TO plain_voicemails;
ALTER TABLE api_requests RENAME TO plain_api_requests;

CREATE TABLE customers (
    number_hash TEXT NOT NULL PRIMARY KEY,
    phone_hash TEXT, -- several customers may share one
    customer_sealed TEXT NOT NULL,
    key_hash TEXT UNIQUE, -- of the act that made it
    created_at_ms INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER))
);
CREATE INDEX customers_phone ON customers (phone_hash);
CREATE INDEX customers_created ON customers (created_at_ms);

-- The sealed part holds all of it; status and call_sid are there to be searched, and checked against it.
CREATE TABLE task_orders (
    order_number TEXT NOT NULL PRIMARY KEY,
    customer_hash TEXT NOT NULL REFERENCES customers (number_hash),
    order_sealed TEXT NOT NULL,
    status TEXT NOT NULL,
    key_hash TEXT NOT NULL UNIQUE,
    call_sid TEXT, -- outlives the call's own row, so no reference
    created_at_ms INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER))
);
CREATE INDEX task_orders_customer ON task_orders (customer_hash);
CREATE INDEX task_orders_created ON task_orders (created_at_ms);

CREATE TABLE patients (
    member_hash TEXT NOT NULL PRIMARY KEY,
    patient_sealed TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER))
);

-- What a patient's plan pays of a procedure. No row: not covered.
CREATE TABLE coverage (
    member_hash TEXT NOT NULL REFERENCES patients (member_hash) ON DELETE CASCADE,
    procedure_name TEXT NOT NULL,
    terms_sealed TEXT NOT NULL,
    PRIMARY KEY (member_hash, procedure_name)
);
CREATE INDEX coverage_procedure ON coverage (procedure_name);

CREATE TABLE calls (
    call_sid TEXT NOT NULL PRIMARY KEY,
    numbers_sealed TEXT NOT NULL,
    from_hash TEXT,
    contents_sealed TEXT NOT NULL, -- which turns and how many tool runs there are, so that none can go missing
    agent TEXT NOT NULL,
    started_at_ms INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER)),
    ended_at_ms INTEGER,
    outcome TEXT
);
CREATE INDEX calls_started ON calls (started_at_ms);
CREATE INDEX calls_from ON calls (from_hash);

CREATE TABLE turns (
    call_sid TEXT NOT NULL REFERENCES calls (call_sid) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    turn_sealed TEXT NOT NULL,
    PRIMARY KEY (call_sid, number)
);

CREATE TABLE tool_calls (
    call_sid TEXT NOT NULL REFERENCES calls (call_sid) ON DELETE CASCADE,
    number INTEGER NOT NULL, -- from 1, in the order of saving
    run_sealed TEXT NOT NULL,
    PRIMARY KEY (call_sid, number)
);

-- Messages that callers left. The audio is DATA_DIR/voicemail/<id>.wav.sealed.
CREATE TABLE voicemails (
    id TEXT NOT NULL PRIMARY KEY,
    call_sid TEXT NOT NULL, -- outlives the call's own row, so no reference
    from_hash TEXT,
    message_sealed TEXT NOT NULL,
    transcribed TEXT NOT NULL DEFAULT 'waiting' CHECK (transcribed IN ('waiting', 'done', 'failed')),
    transcript_sealed TEXT,
    created_at_ms INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER)),
    CHECK ((transcribed = 'done') = (transcript_sealed IS NOT NULL))
);
CREATE INDEX voicemails_created ON voicemails (created_at_ms);
CREATE INDEX voicemails_call ON voicemails (call_sid);
CREATE INDEX voicemails_from ON voicemails (from_hash);

-- A row without status is a request that is being answered, or was when its server died.
CREATE TABLE api_requests (
    api_key TEXT NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    key_hash TEXT NOT NULL, -- of the idempotency key
    request_hash TEXT NOT NULL, -- of method, path and body
    status INTEGER,
    content_type TEXT,
    body_sealed TEXT,
    created_at_ms INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER)),
    PRIMARY KEY (api_key, key_hash)
);
CREATE INDEX api_requests_created ON api_requests (created_at_ms);
