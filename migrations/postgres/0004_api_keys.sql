-- Who may use the management API, and what was answered to requests that may be repeated. The same tables as in migrations/sqlite.

CREATE TABLE api_keys (
    id TEXT NOT NULL PRIMARY KEY, -- public: the part of the key that it is looked up by
    name TEXT NOT NULL,
    -- SHA-256 of the secret part, in hexadecimal. The secret has 256 random bits, so nobody can guess it from its hash, however
    -- quickly SHA-256 is computed; a slow hash is for what people choose themselves.
    secret_hash TEXT NOT NULL,
    scopes TEXT NOT NULL, -- separated by commas
    created_at_ms BIGINT NOT NULL DEFAULT (CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)),
    expires_at_ms BIGINT,
    revoked_at_ms BIGINT,
    last_used_at_ms BIGINT -- to the minute
);

-- A row without status is a request that is being answered, or was when its server died.
CREATE TABLE api_requests (
    api_key TEXT NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    idempotency_key TEXT NOT NULL,
    request_hash TEXT NOT NULL, -- SHA-256 of method, path and body, in hexadecimal
    status BIGINT,
    content_type TEXT,
    body TEXT,
    created_at_ms BIGINT NOT NULL DEFAULT (CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)),
    PRIMARY KEY (api_key, idempotency_key)
);
CREATE INDEX api_requests_created ON api_requests (created_at_ms);

-- Lists are read page by page, the newest first.
CREATE INDEX customers_created ON customers (created_at_ms);
CREATE INDEX task_orders_created ON task_orders (created_at_ms);
