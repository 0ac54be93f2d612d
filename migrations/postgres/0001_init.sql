-- The same tables as in migrations/sqlite. Columns that end in _ms are UTC, milliseconds since 1970-01-01T00:00Z; dates are
-- YYYY-MM-DD; money is in cents; a truth value is 0 or 1; JSON is text. Only BIGINT and TEXT, so that one driver reads both databases.

-- What was decided once for this database, such as whether it got the seed data.
CREATE TABLE facts (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE customers (
    customer_number TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    phone TEXT, -- E.164; several customers may share one
    email TEXT,
    address TEXT,
    idempotency_key TEXT UNIQUE,
    created_at_ms BIGINT NOT NULL DEFAULT (CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT))
);
CREATE INDEX customers_phone ON customers (phone);

CREATE TABLE task_orders (
    order_number TEXT NOT NULL PRIMARY KEY,
    customer_number TEXT NOT NULL REFERENCES customers (customer_number),
    service_type TEXT NOT NULL,
    description TEXT NOT NULL,
    location TEXT NOT NULL,
    urgency TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'open',
    idempotency_key TEXT NOT NULL UNIQUE,
    call_sid TEXT, -- outlives the call's own row, so no reference
    created_at_ms BIGINT NOT NULL DEFAULT (CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT))
);
CREATE INDEX task_orders_customer ON task_orders (customer_number);

CREATE TABLE patients (
    member_id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    date_of_birth TEXT NOT NULL,
    plan TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'terminated')),
    terminated_on TEXT,
    deductible_total_cents BIGINT NOT NULL CHECK (deductible_total_cents >= 0),
    deductible_remaining_cents BIGINT NOT NULL
        CHECK (deductible_remaining_cents >= 0 AND deductible_remaining_cents <= deductible_total_cents),
    created_at_ms BIGINT NOT NULL DEFAULT (CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)),
    CHECK ((status = 'terminated') = (terminated_on IS NOT NULL))
);

-- What a patient's plan pays of a procedure. No row: not covered.
CREATE TABLE coverage (
    member_id TEXT NOT NULL REFERENCES patients (member_id) ON DELETE CASCADE,
    procedure_name TEXT NOT NULL,
    covered BIGINT NOT NULL CHECK (covered IN (0, 1)),
    copay_cents BIGINT NOT NULL CHECK (copay_cents >= 0),
    coinsurance_percent BIGINT NOT NULL CHECK (coinsurance_percent BETWEEN 0 AND 100),
    prior_authorization BIGINT NOT NULL CHECK (prior_authorization IN (0, 1)),
    PRIMARY KEY (member_id, procedure_name)
);
CREATE INDEX coverage_procedure ON coverage (procedure_name);

CREATE TABLE calls (
    call_sid TEXT NOT NULL PRIMARY KEY,
    from_number TEXT,
    to_number TEXT,
    agent TEXT NOT NULL,
    started_at_ms BIGINT NOT NULL DEFAULT (CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)),
    ended_at_ms BIGINT,
    outcome TEXT
);
CREATE INDEX calls_started ON calls (started_at_ms);

CREATE TABLE turns (
    call_sid TEXT NOT NULL REFERENCES calls (call_sid) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    said TEXT NOT NULL,
    heard TEXT NOT NULL,
    outcome TEXT NOT NULL,
    ledger TEXT NOT NULL,
    saved_at_ms BIGINT NOT NULL DEFAULT (CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)),
    PRIMARY KEY (call_sid, number)
);

CREATE TABLE tool_calls (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    call_sid TEXT NOT NULL REFERENCES calls (call_sid) ON DELETE CASCADE,
    turn_number BIGINT NOT NULL, -- may be saved before its turn, so no reference
    tool TEXT NOT NULL,
    args TEXT NOT NULL,
    outcome TEXT NOT NULL,
    duration_ms BIGINT NOT NULL,
    saved_at_ms BIGINT NOT NULL DEFAULT (CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT))
);
CREATE INDEX tool_calls_call ON tool_calls (call_sid);
