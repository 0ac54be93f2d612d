//! The management API through a real socket: keys and scopes, pages, masks, live calls, events, repetitions, limits, the document.

mod audit;
mod calls;
mod desk;
mod document;
mod doors;
#[path = "../server/engines.rs"]
#[allow(dead_code, reason = "not all of it is used by each target")]
mod engines;
#[path = "../store/fresh.rs"]
#[allow(
    dead_code,
    unused_macros,
    unused_imports,
    reason = "not all of it is used by each target"
)]
mod fresh;
#[path = "../server/http_server.rs"]
#[allow(dead_code, reason = "not all of it is used by each target")]
mod http_server;
mod limits;
mod live;
#[path = "../server/phone.rs"]
#[allow(dead_code, reason = "not all of it is used by each target")]
mod phone;
mod recording;
mod records;
#[path = "../server/support.rs"]
#[allow(dead_code, reason = "not all of it is used by each target")]
mod support;
#[path = "../server/wire.rs"]
#[allow(dead_code, reason = "not all of it is used by each target")]
mod wire;
