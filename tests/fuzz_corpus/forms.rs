//! Webhooks: whoever has overheard a signed form and moves the borders between its fields gets no other call's id; what is reported is read as it
//! was written; no body does harm.

use serde_json::{Map, Value, json};
use tieline::twilio::dialect::Dialect;
use tieline::twilio::form::{Form, LONGEST_ID, is_sid};
use tieline::twilio::signature::{self, Algorithm, Body};
use tieline::twilio::status::{AnsweredBy, CallStatus, Report as Told};

use crate::reader::{Reader, Report};

/// Runs one webhook, and panics where a rule is broken.
pub(crate) fn run(bytes: &[u8]) -> Report {
    let mut reader = Reader::new(bytes);
    let mut report = Report::default();
    match reader.next() % 4 {
        0 | 1 => moved_borders(&mut reader, &mut report),
        2 => told(&mut reader, &mut report),
        _ => any_body(&mut reader, &mut report),
    }
    report
}

type Fields = Vec<(String, String)>;

/// The name of the call's id, and the form of a call that rings: its fields sorted, as they are signed.
fn genuine(dialect: Dialect, reader: &mut Reader<'_>) -> (&'static str, Fields) {
    let hex: String = (0..16).map(|_| format!("{:02x}", reader.next())).collect();
    let [a, b, c, d, e] = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &hex[part]);
    let uuid = format!("{a}-{b}-{c}-{d}-{e}");
    let (from, to) = (format!("1555{:07}", reader.below(65_536)), "15550100200".to_owned());
    let extra = reader.pick(&[
        None,
        Some(("ParentCallSid", "CAffffffffffffffffffffffffffffffff")),
        Some(("ParentCallUUID", "ffffffff-ffff-4fff-8fff-ffffffffffff")),
        Some(("CallerName", "A CALLER")),
        Some(("agent", "billing")),
        Some(("ToCity", "")),
    ]);
    let mut fields = vec![
        ("CallStatus", "ringing".to_owned()),
        ("Direction", "inbound".to_owned()),
    ];
    let name = if dialect == Dialect::Plivo {
        "CallUUID"
    } else {
        "CallSid"
    };
    if dialect == Dialect::Plivo {
        fields.extend([
            (name, uuid),
            ("Event", "StartApp".to_owned()),
            ("From", from),
            ("To", to),
        ]);
    } else {
        let id = if dialect == Dialect::Twilio {
            format!("CA{hex}")
        } else {
            uuid
        };
        fields.extend([
            ("AccountSid", "AC00000000000000000000000000000001".to_owned()),
            ("ApiVersion", "2010-04-01".to_owned()),
            (name, id),
            ("From", format!("+{from}")),
            ("To", format!("+{to}")),
        ]);
    }
    fields.extend(extra.map(|(name, value)| (name, value.to_owned())));
    fields.sort();
    let owned = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
    (name, owned.collect())
}

/// The same text is cut into fields anew.
fn moved_borders(reader: &mut Reader<'_>, report: &mut Report) {
    let dialect = reader.pick(&[Dialect::Twilio, Dialect::SignalWire, Dialect::Plivo]);
    let (name, fields) = genuine(dialect, reader);
    let form = as_sent(&fields);
    assert!(form.is_whole(dialect), "the genuine one is taken");
    let call = form.id(name).expect("and its id").to_owned();
    let text = text_of(&fields);
    let mut cuts: Vec<usize> = vec![0];
    for part in fields.iter().flat_map(|(name, value)| [name, value]) {
        cuts.push(cuts[cuts.len() - 1] + part.len());
    }
    for _ in 0..=reader.below(6) {
        let at = reader.below(cuts.len());
        match reader.next() % 6 {
            // The borders on both sides of a name or of a value.
            0 if cuts.len() > at + 3 => drop(cuts.drain(at + 1..at + 3)),
            1 => cuts.extend([reader.below(text.len() + 1), reader.below(text.len() + 1)]),
            2 => cuts[at] = reader.below(text.len() + 1),
            // The end of a value begins the name of all that is behind it.
            3 => {
                cuts.truncate(at + 1);
                cuts[at] = cuts[at].saturating_sub(reader.below(40));
            }
            // Where the id's name stands once more, a field begins; what is before it was a value.
            4 => {
                let again = text.match_indices(name).nth(1).map_or(0, |(again, _)| again);
                let before = cuts[at].min(again);
                cuts.retain(|&cut| cut <= before || cut > again);
                cuts.extend([again, again + name.len()]);
            }
            _ => cuts[at] = (cuts[at] + reader.below(40)).saturating_sub(20).min(text.len()),
        }
        cuts.sort_unstable();
    }
    // The ends stand there once, and what an odd number of borders leaves over is nobody's.
    let inner: Vec<usize> = cuts.into_iter().filter(|&cut| cut > 0 && cut < text.len()).collect();
    let ends = [vec![0], inner, vec![text.len()]].concat();
    let parts: Vec<String> = ends.windows(2).map(|cut| text[cut[0]..cut[1]].to_owned()).collect();
    let mut forged: Fields = parts
        .chunks_exact(2)
        .map(|pair| (pair[0].clone(), pair[1].clone()))
        .collect();
    if parts.len() % 2 == 1 {
        forged.push((parts[parts.len() - 1].clone(), String::new()));
    }
    if reader.next() % 2 == 1 {
        forged.reverse();
    }
    let signature = signature::sign(TOKEN, URL, &fields);
    let signed = signature::verify(
        &[TOKEN],
        Algorithm::Sha1,
        &[URL.to_owned()],
        Body::Form(&forged),
        &signature,
    );
    let form = as_sent(&forged);
    let kind = match form.id(name) {
        _ if !signed => 0,
        None => 1,
        Some(_) if !form.is_whole(dialect) => 2,
        Some(id) => {
            assert_eq!(id, call, "{}: {forged:?} is signed as well", dialect.name());
            3
        }
    };
    report.note(kind, format!("{forged:?}").as_bytes());
}

/// Through the encoding of a body and back.
fn as_sent(fields: &[(String, String)]) -> Form {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    let form = Form::urlencoded(body.as_bytes());
    assert_eq!(form.pairs(), fields, "what was sent arrives");
    form
}

fn text_of(fields: &[(String, String)]) -> String {
    fields
        .iter()
        .flat_map(|(name, value)| [name.as_str(), value.as_str()])
        .collect()
}

/// How far a call is, how long it took, what it cost, who answered.
fn told(reader: &mut Reader<'_>, report: &mut Report) {
    let status = word(reader, &STATES);
    let by = word(reader, &ANSWERERS);
    let amount: String = (0..reader.below(12))
        .map(|_| char::from(reader.pick(b"--0123456789..e+ ")))
        .collect();
    let unit = reader.pick(&["USD", "usd", "Eur", "US", "USDX", "U$D", "ÄB", ""]);
    let seconds = reader.pick(&["42", "0", "86400", "86401", "-1", "4294967296", " 7", ""]);
    let fields = [
        ("CallStatus", status.as_str()),
        ("CallDuration", seconds),
        (reader.pick(&["Price", "CallPrice"]), &amount),
        ("PriceUnit", unit),
        ("AnsweredBy", &by),
    ];
    let fields: Fields = fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let form = as_sent(&fields);
    let known = STATES.contains(&status.as_str());
    assert_eq!(
        AnsweredBy::parse(&by).map(AnsweredBy::name),
        ANSWERERS.iter().copied().find(|known| *known == by)
    );
    let Some(told) = Told::read(|name| form.field(name)) else {
        assert!(!known, "{status} is a state");
        return report.note(4, by.as_bytes());
    };
    assert_eq!((told.status.name(), known), (status.as_str(), true));
    let last = ["completed", "busy", "no-answer", "canceled", "failed"].contains(&status.as_str());
    assert_eq!(told.status.is_final(), last, "{status}");
    assert_eq!(CallStatus::parse(&status), Some(told.status));
    let whole: Option<u32> = seconds.parse().ok();
    assert_eq!(told.duration_s, whole.filter(|&seconds| seconds <= 86_400), "{seconds}");
    let price = told
        .price
        .map(|price| (i128::from(price.micros), price.currency().to_owned()));
    assert_eq!(price, price_of(&amount, unit), "{amount:?} {unit:?}");
    report.note(if price.is_some() { 6 } else { 5 }, amount.as_bytes());
}

/// One that is known, or something like it.
fn word(reader: &mut Reader<'_>, known: &[&str]) -> String {
    let word = reader.pick(known);
    match reader.next() % 8 {
        0 => word.to_uppercase(),
        1 => word[..word.len() - 1].to_owned(),
        2 => format!("{word} "),
        _ => word.to_owned(),
    }
}

/// A decimal number, by its digits.
fn price_of(amount: &str, unit: &str) -> Option<(i128, String)> {
    let unit = unit.to_ascii_uppercase();
    let good_unit = unit.len() == 3 && unit.chars().all(|c| c.is_ascii_uppercase());
    let (charged, number) = (amount.starts_with('-'), amount.trim_start_matches('-'));
    let minus = amount.len() - number.len();
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits = whole.chars().chain(part.chars()).all(|c| c.is_ascii_digit());
    if !good_unit || minus > 1 || !digits || !(1..=9).contains(&whole.len()) {
        return None;
    }
    let all: String = whole
        .chars()
        .chain(part.chars().chain("000000".chars()).take(6))
        .collect();
    let micros: i128 = all.parse().ok()?;
    Some((if charged { micros } else { -micros }, unit))
}

/// Whatever was posted.
fn any_body(reader: &mut Reader<'_>, report: &mut Report) {
    let choice = reader.next() % 4;
    let length = reader.below(200);
    let form = match choice {
        0 => object(reader),
        1 => Form::json(reader.raw(length)),
        _ => Form::urlencoded(reader.raw(length)),
    };
    as_sent(form.pairs());
    for (name, _) in form.pairs() {
        assert!(form.field(name).is_some(), "{name} is there");
        if let Some(id) = form.id(name) {
            assert!(is_sid(id) && id.len() <= LONGEST_ID && id.is_ascii(), "{id}");
        }
    }
    let url = String::from_utf8_lossy(reader.raw(60)).into_owned();
    let urls = signature::candidates(&url);
    assert!(!urls.is_empty());
    let good = signature::sign(TOKEN, &url, form.pairs());
    let verify =
        |token: &str, given: &str| signature::verify(&[token], Algorithm::Sha1, &urls, Body::Form(form.pairs()), given);
    assert!(verify(TOKEN, &good), "{url:?}");
    assert!(!verify("another", &good) && !verify(TOKEN, "") && !verify("", &good));
    let flipped = if good.starts_with('A') { 'B' } else { 'A' };
    assert!(!verify(TOKEN, &format!("{flipped}{}", &good[1..])));
    let kind = match (choice, form.pairs().is_empty()) {
        (0, _) => 10,
        (1, _) => 9,
        (_, true) => 7,
        (_, false) => 8,
    };
    report.note(kind, good.as_bytes());
}

/// A JSON object; of what it holds, texts, numbers and truth values are fields.
fn object(reader: &mut Reader<'_>) -> Form {
    let (mut object, mut expected) = (Map::new(), Vec::new());
    for n in 0..reader.below(6) {
        let text = String::from_utf8_lossy(reader.raw(8)).into_owned();
        // In the order of their names, as the object has them.
        let name = format!("{n}{text}");
        let (value, told) = match reader.next() % 6 {
            0 => (json!(text), Some(text)),
            1 => (json!(n), Some(n.to_string())),
            2 => (json!(true), Some("true".to_owned())),
            3 => (json!(null), None),
            4 => (json!([text]), None),
            _ => (json!({ "CallSid": text }), None),
        };
        expected.extend(told.map(|told| (name.clone(), told)));
        object.insert(name, value);
    }
    let form = Form::json(Value::Object(object).to_string().as_bytes());
    assert_eq!(form.pairs(), expected);
    form
}

/// Bits of [`Report::kinds`] that a corpus reaches.
pub(crate) const ALL: u32 = 0x7FF;
const URL: &str = "https://voice.example.org/voice/incoming";
const TOKEN: &str = "2f7c1a90b4e3d6587f0e9a1b2c3d4e5f";
const STATES: [&str; 9] = [
    "queued",
    "initiated",
    "ringing",
    "in-progress",
    "completed",
    "busy",
    "no-answer",
    "canceled",
    "failed",
];
const ANSWERERS: [&str; 7] = [
    "human",
    "machine_start",
    "machine_end_beep",
    "machine_end_silence",
    "machine_end_other",
    "fax",
    "unknown",
];
