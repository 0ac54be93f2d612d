-- What the carrier reports of a call beside its stream. A call may have a row here and none in calls: one that nobody answered
-- had no stream.
CREATE TABLE call_status (
    call_sid TEXT NOT NULL PRIMARY KEY,
    status TEXT, -- the carrier's word; NULL while only the answer is known
    status_rank BIGINT NOT NULL DEFAULT -1, -- 0 queued to 4 over; a status only gives way to one of a higher rank
    duration_s BIGINT CHECK (duration_s >= 0),
    price_micros BIGINT, -- millionths of the currency's unit, what is charged being positive
    currency TEXT, -- ISO 4217
    answered_by TEXT, -- the carrier's word, of outbound calls
    updated_at_ms BIGINT NOT NULL DEFAULT (CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT))
);
CREATE INDEX call_status_updated ON call_status (updated_at_ms);
