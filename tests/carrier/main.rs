//! What goes out to the carrier: hand-overs, calls that we place, text messages, over Twilio's REST API played by a server that
//! records what it is asked and fails when told to. The calls themselves are real: a server, its webhooks, its streams.

#[allow(dead_code, reason = "shared with the tests of the server, which use all of it")]
#[path = "../server/engines.rs"]
mod engines;
#[allow(dead_code, reason = "shared with the tests of the server, which use all of it")]
#[path = "../server/http_server.rs"]
mod http_server;
#[allow(dead_code, reason = "shared with the tests of the server, which use all of it")]
#[path = "../server/phone.rs"]
mod phone;
#[allow(dead_code, reason = "shared with the tests of the server, which use all of it")]
#[path = "../server/support.rs"]
mod support;
#[path = "../server/wire.rs"]
mod wire;

mod client;
mod commands;
mod line;
mod oracle;
mod placing;
mod texting;
mod transfer;
mod twilio;
