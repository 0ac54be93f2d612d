//! The whole configuration: defaults, precedence, faults, and `.env.example` against the code.

use std::time::Duration;

use super::*;
use crate::turn::policy::Policy;

fn parse(pairs: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    Config::parse(&pairs.iter().copied().collect())
}

fn good(pairs: &[(&str, &str)]) -> Config {
    parse(pairs).expect("a good configuration")
}

fn messages(pairs: &[(&str, &str)]) -> Vec<String> {
    let errors = parse(pairs).expect_err("a faulty configuration");
    errors.0.iter().map(ToString::to_string).collect()
}

#[test]
fn nothing_set_gives_the_defaults() {
    let config = good(&[]);
    assert_eq!(config.server.bind.to_string(), "0.0.0.0:8080");
    assert_eq!(config.server.max_calls, None);
    assert_eq!(config.server.shutdown_grace, Duration::from_secs(30));
    assert_eq!(config.agent, "front-desk");
    assert_eq!(config.twilio, Twilio::default());
    assert_eq!(config.llm.base_url, None);
    assert_eq!(config.stt.model, "tiny.en");
    assert_eq!(config.tts.voice, "en_US-joe-medium");
    assert_eq!(config.turn.policy, Policy::default());
    assert_eq!(config.turn.vad_mode, 2);
    assert_eq!(
        config.log,
        Log {
            filter: "info".into(),
            format: LogFormat::Text,
            transcripts: false
        }
    );
    assert!(config.warnings.is_empty());
}

#[test]
fn the_defaults_in_the_table_are_the_defaults_in_effect() {
    let pairs: Vec<_> = KEYS.iter().filter_map(|key| Some((key.name, key.default?))).collect();
    assert_eq!(good(&pairs), good(&[]));
}

#[test]
fn values_arrive_where_they_belong() {
    let config = good(&[
        ("PUBLIC_URL", "https://phone.example.org/tieline/"),
        ("TWILIO_AUTH_TOKEN", "t0ken"),
        ("MAX_CALLS", "12"),
        ("ENDPOINT_DELAY", "1.5s"),
        ("STT_URL", "http://gpu:8000/v1/"),
        ("STT_WORKERS", "3"),
        ("LOG_FORMAT", "json"),
        ("LOG_TRANSCRIPTS", "yes"),
        ("LLM_TEMPERATURE", "0"),
    ]);
    assert_eq!(
        config.server.public_url.as_ref().map(url::Url::as_str),
        Some("https://phone.example.org/tieline")
    );
    assert_eq!(config.server.max_calls, Some(12));
    assert_eq!(config.twilio.auth_token, Some(Secret::new("t0ken")));
    assert_eq!(config.turn.policy.endpointing.delay, Duration::from_millis(1500));
    assert_eq!(config.stt.url.as_deref(), Some("http://gpu:8000/v1"));
    assert_eq!(config.stt.workers, Some(3));
    assert_eq!((config.log.format, config.log.transcripts), (LogFormat::Json, true));
    assert!(config.llm.temperature.abs() < f32::EPSILON);
}

#[test]
fn an_llm_key_alone_means_openai_and_its_own_name_wins() {
    let config = good(&[("OPENAI_API_KEY", "theirs")]);
    assert_eq!(config.llm.base_url.as_deref(), Some("https://api.openai.com/v1"));
    assert_eq!(config.llm.api_key, Some(Secret::new("theirs")));
    let config = good(&[
        ("OPENAI_API_KEY", "theirs"),
        ("LLM_API_KEY", "ours"),
        ("LLM_BASE_URL", "http://gpu/v1"),
    ]);
    assert_eq!(config.llm.base_url.as_deref(), Some("http://gpu/v1"));
    assert_eq!(config.llm.api_key, Some(Secret::new("ours")));
}

#[test]
fn every_fault_is_reported_at_once_with_its_remedy() {
    let found = messages(&[
        ("ENDPOINT_DELAY", "600"),
        ("BIND", "8080"),
        ("LLM_TEMPERATURE", "3"),
        ("AGENT", "../etc/passwd"),
        ("TWILIO_ACCOUNT_SID", "0123456789abcdef0123456789abcdef"),
        ("TWILIO_PHONE_NUMBER", "(555) 123-4567"),
        ("LOG_TRANSCRIPTS", "maybe"),
    ]);
    assert_eq!(
        found,
        [
            "TWILIO_ACCOUNT_SID from the environment is \"01\"… of 32 characters: expected the account SID: AC and 32 \
             hexadecimal digits in lower case. Write TWILIO_ACCOUNT_SID=AC0123456789abcdef0123456789abcdef",
            "TWILIO_PHONE_NUMBER from the environment is \"(***) ***-**67\": expected a number in E.164 form: + and 7 to 15 \
             digits, without spaces, country code first. Write TWILIO_PHONE_NUMBER=+15551234567",
            "AGENT from the environment is \"../etc/passwd\": expected an agent's name of a-z, 0-9 and -, without directory \
             or .toml. Write AGENT=front-desk",
            "LLM_TEMPERATURE from the environment is \"3\": expected a number from 0 to 2. Write LLM_TEMPERATURE=0.4",
            "ENDPOINT_DELAY from the environment is \"600\": expected a duration with a unit (ms, s, m, h), 100ms to 5s. \
             Write ENDPOINT_DELAY=600ms",
            "BIND from the environment is \"8080\": expected an IP address and a port. Write BIND=0.0.0.0:8080",
            "LOG_TRANSCRIPTS from the environment is \"maybe\": expected true or false (1, 0, yes and no do too). \
             Write LOG_TRANSCRIPTS=false",
        ]
    );
}

/// Every key with a parser of its own refuses nonsense, names itself, and offers an example that it then accepts.
#[test]
fn every_example_that_a_fault_offers_is_accepted() {
    let nonsense = "\u{1}nonsense/..?";
    let mut faulty = 0;
    for key in KEYS {
        // A file may have any name, and one of the two is none.
        let other = [("TLS_CERT", "TLS_KEY"), ("TLS_KEY", "TLS_CERT")];
        let other = other.into_iter().find(|(name, _)| *name == key.name);
        let pairs: Vec<_> = other.map(|(_, other)| (other, "file.pem")).into_iter().collect();
        let Err(ConfigErrors(errors)) = parse(&[&pairs[..], &[(key.name, nonsense)]].concat()) else {
            continue;
        };
        faulty += 1;
        let ConfigError::Value {
            key: name,
            example,
            shown,
            ..
        } = &errors[0]
        else {
            panic!("{:?}", errors[0])
        };
        assert_eq!((*name, errors.len()), (key.name, 1));
        assert!(!key.secret || shown == "***", "{}", key.name);
        if !key.secret {
            assert!(!example.is_empty(), "{} offers no example", key.name);
            // What some keys need beside them.
            let mut pairs = vec![
                ("PUBLIC_URL", "http://127.0.0.1:8080"),
                ("TWILIO_ACCOUNT_SID", "AC0123456789abcdef0123456789abcdef"),
                ("TWILIO_AUTH_TOKEN", "t0ken"),
                ("TWILIO_PHONE_NUMBER", "+15551234567"),
            ];
            pairs.retain(|(name, _)| *name != key.name);
            pairs.push((key.name, example.as_str()));
            parse(&pairs).expect(key.name);
        }
    }
    let any_text = [
        "TLS_CERT",
        "TLS_KEY",
        "DATA_DIR",
        "KEK_FILE",
        "CREDENTIALS_DIRECTORY",
        "AUDIT_ANCHOR_FILE",
        "SHRED_LIST",
        "RECORDINGS_DIR",
        "MODELS_DIR",
        "AGENTS_DIR",
        "LLM_MODEL",
        "STT_MODEL",
        "TTS_VOICE",
        "TTS_VOICE_ES",
        "TTS_MODEL",
    ];
    assert_eq!(faulty, KEYS.len() - any_text.len());
}

#[test]
fn no_secret_is_ever_shown() {
    let secrets: Vec<_> = KEYS
        .iter()
        .filter(|key| key.secret)
        .map(|key| (key.name, "hid den"))
        .collect();
    let found = messages(&secrets);
    assert_eq!(found.len(), secrets.len());
    assert!(
        found
            .iter()
            .all(|message| message.contains("is ***") && !message.contains("hid")),
        "{found:?}"
    );
    let secrets: Vec<_> = secrets
        .iter()
        .map(|(name, _)| (*name, "hidden-hidden-hidden-hidden"))
        .collect();
    let config = good(&secrets);
    let all = format!("{config:?} {:?}", config.describe());
    assert!(!all.contains("hidden") && all.contains("***"), "{all}");
}

#[test]
fn a_public_server_needs_the_auth_token() {
    let found = messages(&[("PUBLIC_URL", "https://phone.example.org")]);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].contains("PUBLIC_URL") && found[0].contains("Set TWILIO_AUTH_TOKEN"),
        "{}",
        found[0]
    );
    good(&[("PUBLIC_URL", "http://127.0.0.1:8080")]);
    good(&[
        ("PUBLIC_URL", "https://phone.example.org"),
        ("TWILIO_AUTH_TOKEN", "t0ken"),
    ]);
    // A faulty token is one fault, not two.
    assert_eq!(
        messages(&[
            ("PUBLIC_URL", "https://phone.example.org"),
            ("TWILIO_AUTH_TOKEN", "t 0")
        ])
        .len(),
        1
    );
}

#[test]
fn a_public_server_verifies_what_comes() {
    let public = ("PUBLIC_URL", "http://127.0.0.1:8080, https://phone.example.org");
    let token = ("TWILIO_AUTH_TOKEN", "t0ken");
    let off = ("TWILIO_VERIFY", "off");
    let found = messages(&[public, token, off]);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].contains("phone.example.org") && found[0].contains("Remove TWILIO_VERIFY=off"),
        "{}",
        found[0]
    );
    for local in ["http://127.0.0.1:8080", "http://localhost:1,http://10.0.0.1:2"] {
        assert!(good(&[("PUBLIC_URL", local), off]).twilio.unverified, "{local}");
    }
    assert!(good(&[off]).twilio.unverified && !good(&[]).twilio.unverified);
    assert_eq!(messages(&[public]).len(), 1, "any of the addresses may be public");
}

#[test]
fn signatures_are_of_one_kind_with_up_to_two_keys() {
    use crate::twilio::signature::Algorithm;
    let secrets = [
        ("TWILIO_AUTH_TOKEN", "a"),
        ("TWILIO_AUTH_TOKEN_OLD", "b"),
        ("TWILIO_SHARED_KEY", "c"),
        ("TWILIO_SHARED_KEY_OLD", "d"),
    ];
    let keys = |pairs: &[(&str, &str)]| {
        let twilio = good(pairs).twilio;
        let (present, other) = twilio.signing_keys();
        let text = |secret: Option<&Secret>| secret.map(|secret| secret.expose().to_owned()).unwrap_or_default();
        (twilio.signature, text(present) + &text(other))
    };
    assert_eq!(keys(&secrets), (Algorithm::Sha1, "ab".to_owned()));
    let sha256 = ("TWILIO_SIGNATURE", "sha256");
    let pairs: Vec<_> = secrets.into_iter().chain([sha256]).collect();
    assert_eq!(keys(&pairs), (Algorithm::Sha256, "cd".to_owned()));
    // The other kind's keys do not do.
    let found = messages(&[sha256, secrets[0], secrets[3]]);
    assert!(
        found.len() == 1 && found[0].contains("Set TWILIO_SHARED_KEY"),
        "{found:?}"
    );
    good(&[sha256, secrets[2], ("PUBLIC_URL", "https://phone.example.org")]);
    good(&[sha256, ("TWILIO_VERIFY", "off")]);
    assert!(messages(&[("TWILIO_SIGNATURE", "md5")])[0].contains("expected sha1 or sha256"));
}

#[test]
fn the_first_public_address_is_the_one_given_out() {
    let config = good(&[("PUBLIC_URL", "http://a/x/, http://b,http://c:1")]);
    let also: Vec<&str> = config.server.also_public.iter().map(url::Url::as_str).collect();
    assert_eq!(
        config.server.public_url.as_ref().map(url::Url::as_str),
        Some("http://a/x")
    );
    assert_eq!(also, ["http://b/", "http://c:1/"]);
    let shown = ("PUBLIC_URL", "http://a/x,http://b/,http://c:1/".to_owned());
    assert!(config.describe().contains(&shown), "{:?}", config.describe());
    for wrong in ["http://a,", "http://a,b", "http://a http://b"] {
        assert_eq!(messages(&[("PUBLIC_URL", wrong)]).len(), 1, "{wrong}");
    }
    let found = messages(&[("PUBLIC_URL", "nonsense,http://u:hidden@b")]);
    assert!(!found[0].contains("hidden"), "{}", found[0]);
}

#[test]
fn barge_in_takes_at_least_an_onset() {
    let found = messages(&[("BARGE_IN_MIN", "40ms")]);
    assert!(
        found[0].contains("SPEECH_ONSET is 60ms") && found[0].contains("Write BARGE_IN_MIN=60ms"),
        "{}",
        found[0]
    );
    good(&[("BARGE_IN_MIN", "60ms")]);
    // The default that replaces a faulty value is not held against the other key.
    assert_eq!(messages(&[("BARGE_IN_MIN", "x"), ("SPEECH_ONSET", "900ms")]).len(), 1);
}

#[test]
fn recording_takes_credentials_and_an_address() {
    let found = messages(&[("TRANSPORT", "record"), ("PUBLIC_URL", "http://127.0.0.1:8080")]);
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("TWILIO_AUTH_TOKEN"), "{found:?}");
    let account = ("TWILIO_ACCOUNT_SID", "AC0123456789abcdef0123456789abcdef");
    let ready = [("TRANSPORT", "RECORD"), account, ("TWILIO_AUTH_TOKEN", "t0ken")];
    assert_eq!(messages(&ready).len(), 1, "no PUBLIC_URL");
    let config = good(&[&ready[..], &[("PUBLIC_URL", "https://phone.example.org")]].concat());
    assert_eq!(config.twilio.transport, Transport::Record);
}

#[test]
fn an_english_model_for_another_language_is_warned_of() {
    assert!(good(&[("STT_LANGUAGE", "de")]).warnings[0].contains("STT_MODEL tiny.en understands English only"));
    assert!(
        good(&[("STT_LANGUAGE", "de"), ("STT_MODEL", "base")])
            .warnings
            .is_empty()
    );
}

#[test]
fn describe_names_every_key_in_order() {
    let described = good(&[("TWILIO_PHONE_NUMBER", "+15551234567"), ("LLM_API_KEY", "x")]).describe();
    let names: Vec<_> = described.iter().map(|(name, _)| *name).collect();
    let expected: Vec<_> = KEYS
        .iter()
        .map(|key| key.name)
        .filter(|name| *name != "OPENAI_API_KEY")
        .collect();
    assert_eq!(names, expected);
    for line in [
        ("TWILIO_PHONE_NUMBER", "+*********67"),
        ("LLM_API_KEY", "set"),
        ("STT_API_KEY", "not set"),
    ] {
        assert!(described.contains(&(line.0, line.1.to_owned())), "{line:?}");
    }
}

const EXAMPLE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/.env.example"));

/// The key and value of a commented assignment (`# KEY=value`).
fn assignment(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.strip_prefix("# ")?.split_once('=')?;
    let is_key = key
        .bytes()
        .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    is_key.then_some((key, value))
}

#[test]
fn calls_that_have_no_stream_cannot_be_recorded() {
    let turn_by_turn = [
        ("TRANSPORT", "record"),
        ("PUBLIC_URL", "http://127.0.0.1:8080"),
        ("TWILIO_ACCOUNT_SID", "AC0123456789abcdef0123456789abcdef"),
        ("TWILIO_AUTH_TOKEN", "t0ken"),
    ];
    assert!(!parse(&turn_by_turn).expect("good").server.recording);
    let recorded = [&turn_by_turn[..], &[("RECORDING", "on")]].concat();
    let error = parse(&recorded).expect_err("refused").to_string();
    assert!(error.contains("RECORDING is on and TRANSPORT is record"), "{error}");
    let config = parse(&[("RECORDING", "on"), ("DATA_DIR", "/srv/tieline")]).expect("good");
    assert_eq!(config.server.recordings_dir.to_str(), Some("/srv/tieline/recordings"));
}

#[test]
fn a_bad_list_of_numbers_shows_none_of_them() {
    for (key, list) in [
        ("OUTBOUND_ALLOW", "+15558675309,1212*"),
        ("OUTBOUND_ALLOW", "+15558675309 *,+1212*"),
        ("OUTBOUND_ALLOW", "15558675309"),
        ("TRANSFER_NUMBERS", "+15557654321,15558675309"),
        ("SMS_NUMBERS", "15558675309"),
    ] {
        let found = messages(&[(key, list)]).join("\n");
        assert!(found.contains(key), "{found}");
        for number in ["5558675309", "5557654321"] {
            assert!(!found.contains(number), "{list}: {found}");
        }
    }
}

#[test]
fn calls_that_are_placed_have_a_stream() {
    let placing = [
        ("OUTBOUND_ALLOW", "+1212*"),
        ("PUBLIC_URL", "http://127.0.0.1:8080"),
        ("TWILIO_PHONE_NUMBER", "+15551234567"),
        ("TWILIO_ACCOUNT_SID", "AC0123456789abcdef0123456789abcdef"),
        ("TWILIO_AUTH_TOKEN", "t0ken"),
    ];
    assert_eq!(good(&placing).outbound.allow.len(), 1);
    let found = messages(&[&placing[..], &[("TRANSPORT", "record")]].concat());
    assert_eq!(found.len(), 1);
    assert!(
        found[0].contains("OUTBOUND_ALLOW is set and TRANSPORT is record"),
        "{found:?}"
    );
}

#[test]
fn env_example_lists_exactly_the_keys_with_their_defaults() {
    let listed: Vec<_> = EXAMPLE.lines().filter_map(assignment).collect();
    let expected: Vec<_> = KEYS
        .iter()
        .map(|key| (key.name, key.default.unwrap_or_default()))
        .collect();
    assert_eq!(listed, expected);
}

#[test]
fn env_example_explains_each_key() {
    let lines: Vec<_> = EXAMPLE.lines().collect();
    for (index, (key, _)) in lines
        .iter()
        .enumerate()
        .filter_map(|(index, line)| Some((index, assignment(line)?)))
    {
        let above = lines[index - 1];
        assert!(
            above.starts_with("# ") && assignment(above).is_none(),
            "{key} has no explanation above it"
        );
    }
    assert!(
        lines.iter().all(|line| line.is_empty() || line.starts_with('#')),
        "an example sets nothing by itself"
    );
}

#[test]
fn env_example_uncommented_gives_the_defaults() {
    let uncommented: String = EXAMPLE
        .lines()
        .map(|line| assignment(line).map_or(line, |_| &line[2..]).to_owned() + "\n")
        .collect();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join(".env");
    std::fs::write(&path, uncommented).expect("a writable directory");
    let strings = gather(std::iter::empty(), Some(&path)).expect("a readable file");
    assert_eq!(Config::parse(&strings).expect("good defaults"), good(&[]));
}

#[test]
fn tls_takes_a_certificate_and_its_key() {
    assert_eq!(good(&[]).server.tls, None);
    let both = good(&[
        ("TLS_CERT", "/etc/tls/fullchain.pem"),
        ("TLS_KEY", "/etc/tls/privkey.pem"),
    ]);
    let tls = both.server.tls.expect("both are set");
    assert_eq!(tls.cert.to_str(), Some("/etc/tls/fullchain.pem"));
    assert_eq!(tls.key.to_str(), Some("/etc/tls/privkey.pem"));
    for one in ["TLS_CERT", "TLS_KEY"] {
        let found = messages(&[(one, "/etc/tls/file.pem")]);
        assert!(found.len() == 1 && found[0].contains("TLS needs both"), "{found:?}");
    }
}

#[test]
fn the_key_is_in_one_place() {
    let kek = |pairs: &[(&str, &str)]| good(pairs).database.kek;
    assert_eq!(kek(&[]), KekSource::File("./data/kek.key".into()));
    let dirs = [("DATA_DIR", "/srv"), ("CREDENTIALS_DIRECTORY", "/run/c")];
    assert_eq!(kek(&dirs[..1]), KekSource::File("/srv/kek.key".into()));
    let credential = KekSource::Credential {
        directory: "/run/c".into(),
        otherwise: "/srv/kek.key".into(),
    };
    assert_eq!(kek(&dirs), credential);
    let file = ("KEK_FILE", "/keys/kek");
    assert_eq!(kek(&[dirs[1], file]), KekSource::File("/keys/kek".into()));
    let given = ("KEK", "aGlkZGVu");
    assert_eq!(kek(&[dirs[1], given]), KekSource::Given("aGlkZGVu".into()));
    let described = format!("{:?} {:?}", good(&[given]).describe(), good(&[given]));
    assert!(described.contains("(\"KEK\", \"set\")") && !described.contains("aGlkZGVu"));
    let found = messages(&[given, file]);
    assert!(
        found.len() == 1 && found[0].contains("KEK and KEK_FILE are both set"),
        "{found:?}"
    );
}

#[test]
fn the_audit_trail_outlasts_what_it_tells_of() {
    use super::retention::Keep;
    let kept = good(&[]).retention;
    assert!(kept.audit >= Keep::Days(2_190) && kept.audit >= kept.calls && kept.recordings < kept.transcripts);
    let all = [
        ("RETAIN_CALLS", "forever"),
        ("RETAIN_TRANSCRIPTS", "2y"),
        ("RETAIN_RECORDINGS", "30d"),
    ];
    let found = messages(&all);
    assert!(
        found.len() == 1
            && found[0].contains("RETAIN_AUDIT is 2557d and RETAIN_CALLS is forever")
            && found[0].contains("must be known for as long as there is the record")
            && found[0].contains("Write RETAIN_AUDIT=forever or longer"),
        "{found:?}"
    );
    good(&[&all[..], &[("RETAIN_AUDIT", "forever")]].concat());
    let found = messages(&[("RETAIN_RECORDINGS", "2y"), ("RETAIN_TRANSCRIPTS", "1y")]);
    assert!(found.len() == 1 && found[0].contains("its call's key"), "{found:?}");
    let found = messages(&[("RETAIN_CALLS", "1y")]);
    assert!(found.len() == 1 && found[0].contains("goes with the call"), "{found:?}");
    let short = [
        ("RETAIN_CALLS", "1y"),
        ("RETAIN_TRANSCRIPTS", "1y"),
        ("RETAIN_AUDIT", "3y"),
    ];
    let warned = good(&short).warnings;
    assert!(
        warned.len() == 1 && warned[0].contains("asks for six years"),
        "{warned:?}"
    );
}
