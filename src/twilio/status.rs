//! What Twilio reports of a call beside its stream: how far it is, who answered, what it cost.
//! Source: <https://www.twilio.com/docs/voice/api/call-resource>.

/// How far a call is. Reports come unordered and more than once, so a state only ever gives way to a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallStatus {
    /// Accepted by Twilio, not dialled yet.
    Queued,
    /// Dialled.
    Initiated,
    /// The other telephone rings.
    Ringing,
    /// Answered.
    InProgress,
    /// It took place and is over.
    Completed,
    /// The line was busy.
    Busy,
    /// Nobody answered.
    NoAnswer,
    /// Taken back before it was answered.
    Canceled,
    /// It could not be connected.
    Failed,
}

impl CallStatus {
    /// Reads `CallStatus`; `None` for a word this version does not know.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == text)
    }

    /// Twilio's word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Initiated => "initiated",
            Self::Ringing => "ringing",
            Self::InProgress => "in-progress",
            Self::Completed => "completed",
            Self::Busy => "busy",
            Self::NoAnswer => "no-answer",
            Self::Canceled => "canceled",
            Self::Failed => "failed",
        }
    }

    /// How late in a call it comes. All ends are equally late, so that the first one told is kept.
    pub const fn rank(self) -> u8 {
        match self {
            Self::Queued => 0,
            Self::Initiated => 1,
            Self::Ringing => 2,
            Self::InProgress => 3,
            Self::Completed | Self::Busy | Self::NoAnswer | Self::Canceled | Self::Failed => FINAL,
        }
    }

    /// Whether nothing comes after it.
    pub const fn is_final(self) -> bool {
        self.rank() == FINAL
    }

    /// Every one there is.
    pub const ALL: [Self; 9] = [
        Self::Queued,
        Self::Initiated,
        Self::Ringing,
        Self::InProgress,
        Self::Completed,
        Self::Busy,
        Self::NoAnswer,
        Self::Canceled,
        Self::Failed,
    ];
}

/// Who or what took an outbound call, as Twilio's answering machine detection has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AnsweredBy {
    /// A person.
    Human,
    /// A machine, which still speaks.
    MachineStart,
    /// A machine, after its beep.
    MachineEndBeep,
    /// A machine, which has fallen silent without a beep.
    MachineEndSilence,
    /// A machine, whose greeting has ended otherwise.
    MachineEndOther,
    /// A fax.
    Fax,
    /// It cannot be told.
    Unknown,
}

impl AnsweredBy {
    /// Reads `AnsweredBy`; `None` for a word this version does not know.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.name() == text)
    }

    /// Twilio's word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::MachineStart => "machine_start",
            Self::MachineEndBeep => "machine_end_beep",
            Self::MachineEndSilence => "machine_end_silence",
            Self::MachineEndOther => "machine_end_other",
            Self::Fax => "fax",
            Self::Unknown => "unknown",
        }
    }

    /// Every one there is.
    pub const ALL: [Self; 7] = [
        Self::Human,
        Self::MachineStart,
        Self::MachineEndBeep,
        Self::MachineEndSilence,
        Self::MachineEndOther,
        Self::Fax,
        Self::Unknown,
    ];
}

/// One report of a call's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// How far the call is.
    pub status: CallStatus,
    /// Seconds from the answer to the end, once it is over.
    pub duration_s: Option<u32>,
    /// What Twilio charges, where it tells.
    pub price: Option<Price>,
}

impl Report {
    /// A report of the state alone.
    pub const fn of(status: CallStatus) -> Self {
        Self {
            status,
            duration_s: None,
            price: None,
        }
    }

    /// Reads the fields of a status callback; `None` without a status that is known. Details that cannot be read are absent.
    pub fn read<'a>(field: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let duration = field("CallDuration").and_then(|seconds| seconds.parse().ok());
        let price = field("Price").or_else(|| field("CallPrice"));
        let unit = field("PriceUnit").unwrap_or("USD");
        Some(Self {
            status: CallStatus::parse(field("CallStatus")?)?,
            duration_s: duration.filter(|&seconds| seconds <= LONGEST_S),
            price: price.and_then(|price| Price::parse(price, unit)),
        })
    }
}

/// Money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// In millionths of the currency's unit, what is charged being positive.
    pub micros: i64,
    /// ISO 4217.
    currency: [u8; 3],
}

impl Price {
    /// Reads a decimal number and a currency. Twilio writes what it charges as a negative number.
    pub fn parse(amount: &str, currency: &str) -> Option<Self> {
        let currency: [u8; 3] = currency.to_ascii_uppercase().into_bytes().try_into().ok()?;
        let unsigned = amount.strip_prefix('-').unwrap_or(amount);
        let (whole, part) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let good = !whole.is_empty() && whole.len() <= WHOLE_DIGITS && digits(whole) && digits(part);
        if !good || !currency.iter().all(u8::is_ascii_uppercase) {
            return None;
        }
        // Beyond a millionth nothing is kept.
        let millionths: String = part.chars().chain("000000".chars()).take(6).collect();
        let micros = whole.parse::<i64>().ok()? * 1_000_000 + millionths.parse::<i64>().ok()?;
        let micros = if amount.starts_with('-') { micros } else { -micros };
        Some(Self { micros, currency })
    }

    /// A price that was kept.
    pub fn from_micros(micros: i64, currency: &str) -> Option<Self> {
        let currency = currency.as_bytes().try_into().ok()?;
        Some(Self { micros, currency })
    }

    /// ISO 4217, such as `USD`.
    pub fn currency(&self) -> &str {
        std::str::from_utf8(&self.currency).unwrap_or_default()
    }
}

/// The rank of every end.
pub const FINAL: u8 = 4;
/// A day; Twilio ends calls before that.
const LONGEST_S: u32 = 86_400;
/// No call costs a billion.
const WHOLE_DIGITS: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_twilios() {
        for status in CallStatus::ALL {
            assert_eq!(CallStatus::parse(status.name()), Some(status));
        }
        for by in AnsweredBy::ALL {
            assert_eq!(AnsweredBy::parse(by.name()), Some(by));
        }
        assert_eq!(CallStatus::parse("Completed"), None);
        assert_eq!(AnsweredBy::parse(""), None);
        assert_eq!(CallStatus::ALL.iter().filter(|status| status.is_final()).count(), 5);
        assert!(!CallStatus::InProgress.is_final());
    }

    #[test]
    fn reports_hold_what_can_be_read() {
        let read = |fields: &[(&str, &'static str)]| {
            let fields = fields.to_vec();
            Report::read(move |name| fields.iter().find(|(key, _)| *key == name).map(|(_, value)| *value))
        };
        let whole = read(&[
            ("CallStatus", "completed"),
            ("CallDuration", "42"),
            ("Price", "-0.00850"),
            ("PriceUnit", "usd"),
        ]);
        let whole = whole.expect("a report");
        assert_eq!((whole.status, whole.duration_s), (CallStatus::Completed, Some(42)));
        let price = whole.price.expect("a price");
        assert_eq!((price.micros, price.currency()), (8_500, "USD"));
        let odd = read(&[
            ("CallStatus", "ringing"),
            ("CallDuration", "-1"),
            ("Price", "free"),
            ("PriceUnit", "$"),
        ]);
        assert_eq!(odd, Some(Report::of(CallStatus::Ringing)));
        assert_eq!(read(&[("CallDuration", "42")]), None);
        assert_eq!(read(&[("CallStatus", "tomorrow")]), None);
    }

    #[test]
    fn prices() {
        let micros = |amount| Price::parse(amount, "EUR").map(|price| price.micros);
        assert_eq!(micros("-1"), Some(1_000_000));
        assert_eq!(micros("-0.0000019"), Some(1));
        assert_eq!(micros("0.25"), Some(-250_000));
        for bad in ["", "-", ".5", "1,5", "1e3", "0x1", "--1", "-1.-5", "9999999999", "٣"] {
            assert_eq!(micros(bad), None, "{bad}");
        }
        assert_eq!(Price::parse("-1", "EURO"), None);
        assert_eq!(Price::parse("-1", "E1R"), None);
    }
}
