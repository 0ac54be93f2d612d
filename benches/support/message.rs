//! Caller audio as Twilio writes it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tieline::audio::mulaw;

/// One `media` message per 20 ms of `speech`, with every field Twilio sends.
pub(crate) fn media_messages(speech: &[i16]) -> Vec<String> {
    let frames = speech.chunks_exact(160).enumerate();
    frames
        .map(|(n, frame)| {
            let bytes: Vec<u8> = frame.iter().map(|&sample| mulaw::encode(sample)).collect();
            let payload = BASE64_STANDARD.encode(bytes);
            let (sequence, chunk, timestamp) = (n + 2, n + 1, n * 20);
            format!(
                r#"{{"event":"media","sequenceNumber":"{sequence}","media":{{"track":"inbound","chunk":"{chunk}","timestamp":"{timestamp}","payload":"{payload}"}},"streamSid":"MZ18ad3ab5a668481ce02b83e7395059f0"}}"#
            )
        })
        .collect()
}
