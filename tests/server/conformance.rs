//! The conformance checklist of a Media Streams server, each item through a real socket. Which test holds which:
//!
//! | item | test |
//! |---|---|
//! | signed webhook: 200 and TwiML | `webhook::the_answer_connects_a_stream_and_falls_through_to_the_fallback` |
//! | bad signature: 403 | `signed::every_webhook_wants_a_signature`, `signed::an_upgrade_is_signed_over_its_wss_address_with_or_without_slash_and_port` |
//! | upgrade without a token closes with 1008 | `media::a_stream_without_its_own_token_is_closed_unheard` |
//! | another call or account in `start` closes | the same |
//! | media before `start` is ignored | `media::media_before_start_is_not_heard` |
//! | payloads of 1, 159, 160, 161 and 8000 bytes | `media::payloads_of_any_length_are_heard` |
//! | a payload that is not base64 is ignored | `media::strange_messages_change_nothing` |
//! | timestamps with gaps | `media::lost_audio_counts_as_silence`, `call::inbound`'s own |
//! | numbers instead of strings | `media::numbers_may_stand_where_strings_belong_and_the_other_way_round` |
//! | unknown event, binary frame, second `start` | `media::strange_messages_change_nothing` |
//! | outbound frames: three fields, multiples of 160 | `every_message_out_has_three_fields_and_whole_frames`; every test's [`Phone`] asserts it |
//! | `clear`, then late marks, echoed and not | `playout::after_a_barge_in_returned_marks_prove_nothing`, `…missing_marks_hurt_nothing` |
//! | a mark with an unknown name | `playout::marks_may_come_late_twice_or_unknown` |
//! | DTMF 0-9 * # A-D during speech | `all_sixteen_keys_during_speech_are_typed_and_end_nothing` |
//! | `stop` without close, close without `stop` | `media::a_stop_without_a_close_ends_the_call_and_so_does_a_close_without_a_stop` |
//! | 64 KiB + 1 | `media::a_message_over_64_kib_closes_and_one_of_64_kib_does_not` |
//! | slow consumer | `a_carrier_that_does_not_read_loses_its_call_and_no_other` |
//! | 100 calls at once | `media::a_hundred_calls_at_once_are_greeted_and_ended` |
//! | SIGTERM drain | `sigterm_lets_the_call_finish_and_takes_no_other`, and `drain` |

use std::io::Cursor;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tieline::audio::wav;
use tieline::call::trace::TraceEvent;
use tieline::caller::{Happened, Pace, Plan, Target, place_call};
use tieline::turn::policy::Policy;
use tieline::twilio::signature;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Notify;

use crate::engines::{Order, tone};
use crate::http_server::{Answer, HttpServer, tokens};
use crate::phone::{Phone, Seen, silence, voice};
use crate::support::{ACCOUNT, AUTH_TOKEN, FROM, Setup, TestServer, encoded, form, policy, soon, until};

#[tokio::test]
async fn every_message_out_has_three_fields_and_whole_frames() {
    let (server, llm) = TestServer::with_llm(Setup::default()).await;
    llm.answer([tokens(&["One. ", "Two. ", "Three."])]);
    // None of them ends with a frame.
    server
        .tts
        .give([1, 333, 1_001].map(|ms| Order::Tone(Duration::from_millis(ms))));
    let mut phone = Phone::greeted(&server, "CA1").await;
    phone.audio = 0;
    phone.say().await;
    let (mut frames, mut marks, mut heard) = (0, 0, String::new());
    phone
        .until("the end of the turn", |seen| match seen {
            Seen::Media(audio) => {
                frames += audio.len() / 160;
                None
            }
            Seen::Mark(_) => {
                marks += 1;
                None
            }
            Seen::Event(TraceEvent::Heard { text, .. }) => {
                heard.clone_from(text);
                None
            }
            Seen::Event(TraceEvent::Turn { .. }) => Some(()),
            Seen::Event(_) | Seen::Clear | Seen::Closed(_) => None,
        })
        .await;
    assert_eq!((heard.as_str(), marks), ("One. Two. Three.", 3));
    assert!(frames * 20 >= 1_335 && phone.audio == frames * 160, "{frames} frames");
    phone.hang_up().await;
}

#[tokio::test]
async fn all_sixteen_keys_during_speech_are_typed_and_end_nothing() {
    let (server, _llm) = TestServer::with_llm(Setup::default()).await;
    let mut phone = Phone::greeted(&server, "CA1").await;
    phone.frames(&voice(200)).await;
    for digit in "0123456789*ABCD#".chars() {
        phone.dtmf(digit).await;
    }
    phone.frames(&voice(200)).await;
    phone.frames(&silence(600)).await;
    let typed = phone
        .until("what was typed", |seen| match seen {
            Seen::Event(TraceEvent::Caller { text, .. }) if text.contains("0123456789*ABCD") => Some(text.clone()),
            Seen::Event(_) | Seen::Media(_) | Seen::Mark(_) | Seen::Clear | Seen::Closed(_) => None,
        })
        .await;
    assert!(!typed.contains('#'), "{typed}");
    phone.turn().await;
    phone.hang_up().await;
}

#[tokio::test]
async fn a_carrier_that_does_not_read_loses_its_call_and_no_other() {
    let (server, llm) = TestServer::with_llm(Setup {
        // All of it is sent at once, and does not fit.
        policy: Policy {
            playout_lead: Duration::from_secs(120),
            ..policy()
        },
        send_buffer: Some(4_096),
        workers: 2,
        ..Setup::default()
    })
    .await;
    let mut other = Phone::greeted(&server, "CA2").await;
    let mut slow = Phone::greeted(&server, "CA1").await;
    llm.answer([tokens(&["This takes a while."])]);
    server.tts.give([Order::Tone(Duration::from_secs(60))]);
    slow.say().await;
    until("the reply", || {
        server.tts.jobs().iter().any(|text| text.contains("takes a while"))
    })
    .await;
    assert_eq!(other.exchange().await.outcome, "completed");
    until("the loss is noticed", || server.app.registry.live() == 1).await;
    assert_eq!(other.exchange().await.outcome, "completed");
    other.hang_up().await;
    // The caller is still there: the call gets another stream.
    let (_, twiml) = server.webhook("/voice/stream-ended", "CA1").await;
    crate::support::token_in(&twiml);
}

#[tokio::test]
async fn sigterm_lets_the_call_finish_and_takes_no_other() {
    let (stt, tts, dir) = (
        HttpServer::start().await,
        HttpServer::start().await,
        tempfile::tempdir().expect("a temporary directory"),
    );
    stt.answer_always(Answer::Full(200, "application/json", br#"{"text": "Hello."}"#.to_vec()));
    tts.answer_always(Answer::Full(200, "audio/wav", spoken()));
    let (mut child, url) = serve(dir.path(), &stt, &tts).await;
    let pid = child.id().expect("it runs").to_string();
    let plan = Plan {
        target: Target::Webhook {
            url: format!("{url}/voice/incoming"),
            public_url: None,
        },
        auth_token: Some(AUTH_TOKEN.to_owned()),
        account_sid: ACCOUNT.to_owned(),
        from: FROM.to_owned(),
        to: "+15550100200".to_owned(),
        turns: Vec::new(),
        pace: Pace::default(),
    };
    let connected = Notify::new();
    let mut notice = |event: tieline::caller::Event| {
        if let Happened::Connected { .. } = event.happened {
            connected.notify_one();
        }
    };
    let call = Box::pin(place_call(plan, &mut notice));
    let stop = async {
        connected.notified().await;
        let killed = Command::new("kill").args(["-TERM", &pid]).status().await;
        assert!(killed.expect("kill").success());
        refused(&url).await;
    };
    let (report, ()) = soon("the call", async { tokio::join!(call, stop) }).await;
    let report = report.expect("a call");
    assert_eq!(report.errors, Vec::<String>::new());
    assert!(report.greeting.agent_heard.is_some(), "the agent was heard out");
    let ended = soon("the end of the program", child.wait()).await.expect("a status");
    assert!(ended.success(), "{ended}");
}

/// `tieline serve` with speech engines elsewhere, and its address.
async fn serve(dir: &Path, stt: &HttpServer, tts: &HttpServer) -> (Child, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_tieline"))
        .arg("serve")
        .current_dir(dir)
        .env_clear()
        .env("BIND", "127.0.0.1:0")
        .env("TWILIO_AUTH_TOKEN", AUTH_TOKEN)
        .env("STT_URL", stt.url())
        .env("TTS_URL", tts.url())
        .env("ENDPOINTING", "silence")
        .env("AGENTS_DIR", root.join("agents"))
        .env("MODELS_DIR", root.join("models"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let ready = async {
        while let Some(line) = lines.next_line().await.expect("readable") {
            if let Some(url) = line.strip_prefix("ready ") {
                return url.to_owned();
            }
        }
        panic!("it ended; without models run: tieline models pull")
    };
    let url = soon("the server", ready).await;
    (child, url)
}

/// New calls are refused once the signal has arrived.
async fn refused(url: &str) {
    let path = format!("{url}/voice/incoming");
    let http = reqwest::Client::new();
    let mut tries = 0;
    loop {
        let fields = form(&format!("CAlate{tries}"));
        let signature = signature::sign(AUTH_TOKEN, &path, &fields);
        let request = http.post(&path).body(encoded(&fields));
        let answer = request.header(signature::HEADER, signature).send().await;
        if answer.expect("an answer").status() == 503 {
            return;
        }
        tries += 1;
    }
}

/// Half a second of sound.
fn spoken() -> Vec<u8> {
    let speech = tone(Duration::from_millis(500));
    let mut file = Cursor::new(Vec::new());
    wav::write_mono(&mut file, &speech.samples, speech.rate).expect("a WAV");
    file.into_inner()
}
