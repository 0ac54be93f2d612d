//! Calls over other lines than Twilio's: SignalWire, Telnyx, Plivo, Exotel, and a PBX's AudioSocket.
//!
//! Each carrier's part is played by hand, through real sockets, after its documentation; the engines do as they are told.

mod calls;
#[path = "../server/engines.rs"]
#[allow(dead_code, reason = "shared with tests/server")]
mod engines;
mod fixtures;
mod handset;
#[path = "../server/http_server.rs"]
#[allow(dead_code, reason = "shared with tests/server")]
mod http_server;
mod pbx;
mod pbx_faults;
#[path = "../server/phone.rs"]
#[allow(dead_code, reason = "shared with tests/server")]
mod phone;
mod proof;
mod replays;
#[path = "../server/support.rs"]
#[allow(dead_code, reason = "shared with tests/server")]
mod support;
#[path = "../server/wire.rs"]
mod wire;
