//! Who is believed to be a carrier.

use tieline::http::Lines;
use tieline::twilio::dialect::Dialect;

use crate::handset::{CARRIERS, EXOTEL_SECRET, form, get, headers, lines, post, webhook};
use crate::support::{Setup, TestServer, encoded};

async fn server(lines: Lines) -> TestServer {
    TestServer::start(Setup {
        lines,
        ..Setup::default()
    })
    .await
}

#[tokio::test]
async fn a_line_that_is_not_configured_is_not_there() {
    let server = server(Lines::default()).await;
    for dialect in CARRIERS {
        let name = dialect.name();
        assert_eq!(webhook(&server, dialect, "incoming", "call-1").await.0, 404, "{name}");
        let stream = format!("ws://{}/{name}/stream/call-1/token", server.address);
        assert!(tokio_tungstenite::connect_async(stream).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn a_webhook_without_the_carriers_own_proof_is_refused() {
    let server = server(lines()).await;
    let now = jiff::Timestamp::now().as_second();
    for dialect in [Dialect::SignalWire, Dialect::Telnyx, Dialect::Plivo] {
        let name = dialect.name();
        for step in ["incoming", "fallback"] {
            let path = format!("/{name}/{step}");
            let url = server.url(&path);
            let good = form(dialect, &format!("{name}-1"));
            let mut more = good.clone();
            more.push(("Digits".to_owned(), "1".to_owned()));
            let elsewhere = url.replace("127.0.0.1", "localhost");
            let mut cases = vec![
                (good.clone(), Vec::new()),
                (more, headers(dialect, &url, &good, now)),
                (good.clone(), headers(dialect, &url, &form(dialect, "call-2"), now)),
            ];
            if dialect == Dialect::Telnyx {
                // Its scheme knows no URL, but a time.
                cases.push((good.clone(), headers(dialect, &url, &good, now - 400)));
            } else {
                cases.push((good.clone(), headers(dialect, &elsewhere, &good, now)));
            }
            for foreign in CARRIERS.into_iter().filter(|other| *other != dialect) {
                cases.push((good.clone(), headers(foreign, &url, &good, now)));
            }
            for (n, (form, headers)) in cases.into_iter().enumerate() {
                assert_eq!(post(&server, &path, &form, &headers).await.0, 403, "{path} case {n}");
            }
        }
        let call = format!("{name}-1");
        assert_eq!(webhook(&server, dialect, "incoming", &call).await.0, 200, "{name}");
        for strange in ["", "a/b", "a b", "<x>", &"x".repeat(129)] {
            let (status, _) = webhook(&server, dialect, "incoming", strange).await;
            assert_eq!(status, 400, "{name} {strange:?}");
        }
    }
}

#[tokio::test]
async fn exotel_brings_its_secret_in_the_path_or_as_a_password() {
    let server = server(lines()).await;
    let query = encoded(&form(Dialect::Exotel, "call-1"));
    for (path, password, status) in [
        (format!("/exotel/incoming?{query}"), None, 403),
        (format!("/exotel/incoming?{query}"), Some("wrong"), 403),
        (format!("/exotel/incoming?{query}"), Some(""), 403),
        (format!("/exotel/incoming?{query}"), Some(EXOTEL_SECRET), 200),
        (format!("/exotel/incoming/wrong?{query}"), None, 403),
        (format!("/exotel/incoming/wrong?{query}"), Some(EXOTEL_SECRET), 403),
        (format!("/exotel/incoming/{EXOTEL_SECRET}?{query}"), None, 200),
        (format!("/exotel/incoming/{EXOTEL_SECRET}"), None, 400),
    ] {
        assert_eq!(get(&server, &path, password).await.0, status, "{path} {password:?}");
    }
}
