-- Messages that callers left. The audio is DATA_DIR/voicemail/<id>.wav.
CREATE TABLE voicemails (
    id TEXT NOT NULL PRIMARY KEY,
    call_sid TEXT NOT NULL, -- outlives the call's own row, so no reference
    from_number TEXT,
    to_number TEXT,
    agent TEXT NOT NULL,
    language TEXT NOT NULL,
    duration_ms BIGINT NOT NULL CHECK (duration_ms >= 0),
    sha256 TEXT NOT NULL, -- of the file
    transcribed TEXT NOT NULL DEFAULT 'waiting' CHECK (transcribed IN ('waiting', 'done', 'failed')),
    transcript TEXT,
    created_at_ms BIGINT NOT NULL DEFAULT (CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)),
    CHECK ((transcribed = 'done') = (transcript IS NOT NULL))
);
CREATE INDEX voicemails_created ON voicemails (created_at_ms);
CREATE INDEX voicemails_call ON voicemails (call_sid);
