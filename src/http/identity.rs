//! `GET /voice/identity`: which running server this is. `tieline doctor` asks it at `PUBLIC_URL` and on this machine, and so
//! knows whether the address that Twilio calls leads here.

use axum::Json;
use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::routing::get;
use serde::{Deserialize, Serialize};

/// The answer. It tells nobody anything but whether two addresses are the same server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// [`Identity::SERVICE`].
    pub service: String,
    /// Of the program.
    pub version: String,
    /// 128 random bits in hex, new at each start.
    pub instance: String,
}

impl Identity {
    /// What `service` says.
    pub const SERVICE: &'static str = "tieline";
    /// Where it is asked for.
    pub const PATH: &'static str = "/voice/identity";

    /// One that no other server has.
    pub fn random() -> Self {
        Self {
            service: Self::SERVICE.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            instance: format!("{:032x}", rand::random::<u128>()),
        }
    }
}

/// Stands in for a server that does not run yet: it tells who it is, and takes a WebSocket where the media socket will be.
pub fn stand_in(identity: Identity) -> Router {
    let upgrade = |upgrade: WebSocketUpgrade| async { upgrade.on_upgrade(|_| async {}) };
    Router::new()
        .route("/voice/identity", get(move || async move { Json(identity) }))
        .route("/voice/stream", get(upgrade))
}
