-- The same as in migrations/sqlite. Recordings that the carrier may still have, so that a server that stops forgets none.
CREATE TABLE undeleted_recordings (
    recording_sid TEXT PRIMARY KEY,
    since_ms BIGINT NOT NULL DEFAULT (CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT))
);
