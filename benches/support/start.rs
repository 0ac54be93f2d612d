//! How a stream begins.

use tieline::twilio::dialect::Dialect;
use tieline::twilio::message::{Inbound, Start, parse};

/// The message a stream begins with.
pub(crate) fn start() -> Start {
    let text = r#"{"event":"start","streamSid":"MZ18ad3ab5a668481ce02b83e7395059f0","start":{"callSid":"CA1",
        "mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}}}"#;
    let Ok(Inbound::Start(start)) = parse(Dialect::Twilio, text) else {
        unreachable!("it is a start message")
    };
    *start
}
