-- The same as in migrations/postgres. Recordings that the carrier may still have, so that a server that stops forgets none.
CREATE TABLE undeleted_recordings (
    recording_sid TEXT PRIMARY KEY,
    since_ms INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER))
);
