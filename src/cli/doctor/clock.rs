//! The clock, against the `Date` of an answer that came anyway: nobody is asked for the time.

use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};

use super::page::Line;

/// An answer's `Date`, and when it came by our clock.
#[derive(Debug, Clone)]
pub(super) struct Dated {
    /// Who said so.
    pub(super) by: String,
    theirs: Timestamp,
    ours: Timestamp,
}

impl Dated {
    /// The `Date` header of an answer that came just now.
    pub(super) fn of(by: &str, date: Option<&str>) -> Option<Self> {
        Some(Self {
            by: by.to_owned(),
            theirs: rfc2822::parse(date?).ok()?.timestamp(),
            ours: Timestamp::now(),
        })
    }

    fn skew(&self) -> SignedDuration {
        self.ours.duration_since(self.theirs)
    }
}

pub(super) fn judge(dated: Option<&Dated>) -> Line {
    let Some(dated) = dated else {
        return Line::ok(TOPIC, "not compared: no other machine was asked anything");
    };
    let seconds = dated.skew().as_secs();
    let found = format!(
        "this machine's clock is {} s {} that of {}",
        seconds.abs(),
        if seconds < 0 { "behind" } else { "ahead of" },
        dated.by
    );
    let remedy = "let the clock be set by the network: timedatectl set-ntp true";
    match seconds.abs() {
        0..=5 => Line::ok(TOPIC, format!("right by that of {}", dated.by)),
        6..=60 => Line::warn(TOPIC, found, remedy),
        _ => Line::fail(TOPIC, found, remedy),
    }
}

const TOPIC: &str = "clock";

#[cfg(test)]
mod tests {
    use super::super::page::State;
    use super::*;

    #[test]
    fn skew_is_judged_both_ways() {
        let judged = |ours: &str| {
            let mut dated = Dated::of("example.org", Some("Sun, 06 Nov 1994 08:49:37 GMT")).expect("a date");
            dated.ours = ours.parse().expect("a time");
            judge(Some(&dated))
        };
        assert_eq!(judged("1994-11-06T08:49:40Z").state, State::Ok);
        assert_eq!(judged("1994-11-06T08:49:07Z").state, State::Warn);
        let line = judged("1994-11-06T08:59:37Z");
        assert_eq!(line.state, State::Fail);
        assert!(
            line.found.contains("600 s ahead of that of example.org"),
            "{}",
            line.found
        );
        assert!(Dated::of("x", Some("yesterday")).is_none());
    }
}
