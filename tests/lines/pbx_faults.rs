//! Connections that are not what a PBX makes, or that break.

use tieline::call::audiosocket::Callers;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;

use crate::engines::{Order, USUAL};
use crate::http_server::tokens;
use crate::pbx::{Office, Pbx, frame, linear};
use crate::phone::{silence, voice};
use crate::support::{Setup, until};

const KNOWN: [u8; 16] = *b"a-known-uuid-001";

#[tokio::test]
async fn who_does_not_begin_with_a_uuid_is_no_call() {
    let office = Office::open(Setup::default(), Callers::default()).await;
    let audio = frame(0x10, &linear(&silence(20)));
    for (what, bytes) in [
        ("audio", audio.as_slice()),
        ("a short UUID", &frame(0x01, &[1; 15])),
        ("a long UUID", &frame(0x01, &[1; 17])),
        ("a hangup", &[0, 0, 0]),
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n"),
        ("a length beyond all frames", &[0x10, 0xFF, 0xFF]),
        ("an unknown frame", &frame(0x42, b"?")),
    ] {
        let mut pbx = Pbx::dial(office.address).await;
        pbx.raw(bytes).await;
        pbx.over().await;
        assert_eq!((pbx.frames(), office.server.app.registry.live()), (0, 0), "{what}");
    }
    assert!(office.store.recent_calls(1).await.expect("readable").is_empty());
}

#[tokio::test]
async fn only_known_uuids_are_let_in_where_they_are_listed() {
    let callers = Callers {
        known: vec![(KNOWN, Some("+15550100200".to_owned()))],
        number: None,
    };
    let office = Office::open(Setup::default(), callers).await;
    let stranger = Pbx::call(office.address, *b"a-known-uuid-002").await;
    assert!(stranger.over().await);
    assert_eq!(office.server.app.registry.live(), 0);
    // Two calls may come with the UUID of one extension.
    let _first = Pbx::call(office.address, KNOWN).await;
    let _second = Pbx::call(office.address, KNOWN).await;
    until("both calls", || office.server.app.registry.live() == 2).await;
    let call = office.recorded("the call", |_| true).await;
    assert_eq!(call.call.to.as_deref(), Some("+15550100200"));
}

#[tokio::test]
async fn a_call_that_finds_no_line_is_hung_up() {
    let office = Office::open(
        Setup {
            max_calls: 1,
            ..Setup::default()
        },
        Callers::default(),
    )
    .await;
    let first = Pbx::call(office.address, [1; 16]).await;
    until("the first call", || first.frames() > 0).await;
    let second = Pbx::call(office.address, [2; 16]).await;
    assert!(second.over().await, "no hangup frame");
    drop(first);
    until("the end", || office.server.app.registry.live() == 0).await;
    office.server.app.registry.drain();
    let third = Pbx::call(office.address, [3; 16]).await;
    assert!(third.over().await, "no hangup frame");
}

#[tokio::test]
async fn bytes_may_come_one_at_a_time() {
    let office = Office::open(Setup::default(), Callers::default()).await;
    office.llm.answer([tokens(&["Heard."])]);
    let mut pbx = Pbx::dial(office.address).await;
    let bytes_of = |audio: Vec<u8>| {
        audio
            .chunks(160)
            .flat_map(|piece| frame(0x10, &linear(piece)))
            .collect::<Vec<u8>>()
    };
    for byte in frame(0x01, &[9; 16]) {
        pbx.raw(&[byte]).await;
    }
    office.greeted().await;
    for byte in bytes_of([voice(300), silence(300)].concat()) {
        pbx.raw(&[byte]).await;
    }
    let call = office
        .recorded("the turn", |call| call.turns.iter().any(|turn| turn.said == USUAL))
        .await;
    assert!(call.turns.iter().any(|turn| turn.heard == "Heard."));
}

#[tokio::test]
async fn a_call_whose_bytes_make_no_sense_is_lost() {
    for bytes in [
        [0x10, 0xFF, 0xFF].as_slice(),
        &frame(0x10, &[1, 2, 3]),
        &frame(0x12, &[0; 640]),
        &frame(0xFF, &[4]),
    ] {
        let office = Office::open(Setup::default(), Callers::default()).await;
        let mut pbx = Pbx::call(office.address, [1; 16]).await;
        office.greeted().await;
        // What may come in a call and says nothing.
        pbx.frame(0x42, b"later").await;
        pbx.frame(0x03, b"x").await;
        pbx.frame(0x10, &[]).await;
        pbx.frame(0x01, &[1; 16]).await;
        pbx.raw(bytes).await;
        pbx.over().await;
        assert_eq!(office.ended().await, "lost", "{bytes:?}");
    }
}

#[tokio::test]
async fn a_pbx_that_closes_has_hung_up() {
    let office = Office::open(Setup::default(), Callers::default()).await;
    let mut pbx = Pbx::call(office.address, [1; 16]).await;
    office.greeted().await;
    pbx.speak(&voice(200)).await;
    drop(pbx);
    assert_eq!(office.ended().await, "caller");
}

/// It is noticed by what it does not take, after five seconds.
#[tokio::test]
async fn a_pbx_that_does_not_read_is_lost() {
    let office = Office::open(Setup::default(), Callers::default()).await;
    office
        .server
        .tts
        .give([Order::Tone(std::time::Duration::from_secs(20))]);
    office.llm.answer([tokens(&["A story without end."])]);
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(2_048).expect("a small buffer");
    let mut stream = socket.connect(office.address).await.expect("a connection");
    stream.write_all(&frame(0x01, &[5; 16])).await.expect("room");
    office.greeted().await;
    for piece in [voice(400), silence(600)].concat().chunks(160) {
        stream.write_all(&frame(0x10, &linear(piece))).await.expect("room");
    }
    assert_eq!(office.ended().await, "lost");
    drop(stream);
}
