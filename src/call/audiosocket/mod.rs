//! Calls of a PBX that speaks Asterisk's AudioSocket: TCP, without a carrier in between.
//!
//! The protocol knows neither keys nor encryption, so it is for this machine and private networks. What it has is the UUID
//! the dialplan sends first; where a list of UUIDs is configured, it says who may call and which number was dialled.

pub mod frame;
mod line;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::call::driver::{self, Services};
use crate::call::registry::{LiveCall, Parties, Refused, Registry};
use crate::call::socket::Socket as _;
use line::Line;

/// Who may call.
#[derive(Clone, Default)]
pub struct Callers {
    /// UUIDs that are let in, each with the number that was dialled; empty: any UUID is.
    pub known: Vec<([u8; 16], Option<String>)>,
    /// The number that was dialled where the UUID does not say.
    pub number: Option<String>,
}

impl Callers {
    /// The number that a call with this UUID dialled, if it may call at all.
    fn dialled(&self, id: [u8; 16]) -> Option<Option<String>> {
        if self.known.is_empty() {
            return Some(self.number.clone());
        }
        // The list is short and the network private: a plain comparison does.
        let (_, number) = self.known.iter().find(|(known, _)| *known == id)?;
        Some(number.clone().or_else(|| self.number.clone()))
    }
}

/// Takes calls until the task is aborted.
pub async fn serve(listener: TcpListener, services: Services, registry: Arc<Registry>, callers: Callers) {
    let waiting = Arc::new(Semaphore::new(MAX_WAITING));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file handles: calls end first.
            tokio::time::sleep_until((now() + PAUSE).into()).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&waiting).try_acquire_owned() else {
            tracing::warn!("an AudioSocket connection was refused: too many have not said who they are");
            continue;
        };
        let (services, registry, callers) = (services.clone(), Arc::clone(&registry), callers.clone());
        tokio::spawn(async move {
            let mut line = line_of(stream);
            let admitted = admit(&mut line, &registry, &callers).await;
            drop(permit);
            match admitted {
                Ok(live) => call(&services, live, &mut line).await,
                Err(reason) => tracing::warn!(reason, "an AudioSocket connection was refused: {reason}"),
            }
            line.close().await;
        });
    }
}

fn line_of(stream: TcpStream) -> Line {
    // Frames are small and wait for nobody.
    let _ = stream.set_nodelay(true);
    Line::new(stream)
}

async fn admit(line: &mut Line, registry: &Arc<Registry>, callers: &Callers) -> Result<LiveCall, &'static str> {
    let id = tokio::time::timeout(ID_TIMEOUT, line.id()).await;
    let id = id
        .map_err(|_| "no UUID in time")?
        .ok_or("it does not begin with a UUID")?;
    let to = callers.dialled(id).ok_or("its UUID is not in AUDIOSOCKET_UUIDS")?;
    // Several calls may come with the UUID of one extension, so each gets an id of its own.
    let call_sid = format!("AS{}", hex(rand::random()));
    let parties = Parties { from: None, to };
    let token = registry.expect(&call_sid, ACCOUNT, parties, now());
    let token = token.map_err(|refused| match refused {
        Refused::Full => "all lines are busy (MAX_CALLS)",
        Refused::Draining => "the server is draining",
        // The id was drawn a moment ago.
        Refused::Foreign => "its id is another call's",
    })?;
    if callers.known.is_empty() {
        let uuid = hex(id);
        tracing::info!(
            call = call_sid,
            uuid,
            "call {call_sid} comes from the PBX with UUID {uuid}"
        );
    } else {
        tracing::info!(call = call_sid, "call {call_sid} comes from the PBX");
    }
    registry
        .open(&call_sid, ACCOUNT, &token, now())
        .map_err(|_| "not an expected call")
}

async fn call(services: &Services, mut live: LiveCall, line: &mut Line) {
    let call_sid = live.call_sid().to_owned();
    let Some(seat) = live.seat() else { return };
    let call = driver::Call {
        call_sid: &call_sid,
        stream_sid: &call_sid,
        parties: &live.parties,
        trace: &live.trace,
    };
    let end = Box::pin(driver::run(services, &call, seat, line)).await;
    live.ended(end);
}

fn hex(bytes: [u8; 16]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "when a call was let in is a fact of the monotonic clock"
)]
fn now() -> Instant {
    Instant::now()
}

/// The account of all calls that have no carrier. No [`Dialect`](crate::twilio::dialect::Dialect) has this name.
const ACCOUNT: &str = "audiosocket:";
/// Before the next attempt to take a connection.
const PAUSE: Duration = Duration::from_millis(100);
const ID_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that have not said who they are.
const MAX_WAITING: usize = 32;
