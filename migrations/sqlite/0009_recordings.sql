-- Recordings of calls. The audio is RECORDINGS_DIR/<id>.rec.sealed, sealed by the call's data key. A call has a part for each of its streams; a part
-- that was refused by the caller has a row and no file. The sealed part holds what the caller was told and answered, how long it is, what of it was
-- lost or paused. A part whose audio was deleted keeps its row, and data_keys says when that was: recording/<id>.
CREATE TABLE recordings (
    id TEXT NOT NULL PRIMARY KEY,
    call_sid TEXT NOT NULL REFERENCES calls (call_sid) ON DELETE CASCADE,
    part INTEGER NOT NULL, -- from 1
    state TEXT NOT NULL CHECK (state IN ('open', 'whole', 'failed', 'refused', 'deleted')), -- open: it goes on, or its server was killed
    facts_sealed TEXT NOT NULL,
    began_at_ms INTEGER NOT NULL,
    UNIQUE (call_sid, part)
);
