//! The server's own account of a call, read from its trace stream: what it heard, said, and how long each step took.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// One event of `GET /voice/trace/{CallSid}`. Turn 0 is the greeting.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TraceEvent {
    /// What speech recognition made of the caller.
    Caller {
        /// The server's turn.
        turn: u64,
        /// The transcript.
        text: String,
    },
    /// A sentence of the agent, as it is synthesised.
    Agent {
        /// The server's turn.
        turn: u64,
        /// The sentence.
        text: String,
    },
    /// What the caller heard of the agent, known at the end of the turn.
    Heard {
        /// The server's turn.
        turn: u64,
        /// The text that was played.
        text: String,
    },
    /// The latency ledger of a turn.
    Turn {
        /// The server's turn.
        turn: u64,
        /// Named durations in milliseconds, null where unknown.
        latency: Map<String, Value>,
    },
    /// Nothing follows.
    End,
    /// An event of a newer server.
    #[serde(other)]
    Unknown,
}

/// Cuts a stream of server-sent events into the payloads of its `data:` lines.
#[derive(Debug, Default)]
pub struct EventLines {
    partial: Vec<u8>,
}

impl EventLines {
    /// Takes bytes as they come; returns the events completed by them. What is no event is left out.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<TraceEvent> {
        let mut events = Vec::new();
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.partial.extend_from_slice(part);
            if part.ends_with(b"\n") {
                events.extend(event(&self.partial));
                self.partial.clear();
            } else if self.partial.len() > LINE_BYTES {
                self.partial.clear();
            }
        }
        events
    }
}

/// The server's turns, each assigned to the caller's turn it belongs to.
///
/// The two counts differ as soon as the agent cuts in: one turn of the caller is then two of the server. A server turn
/// belongs to the caller turn that was current when the server first mentioned it.
#[derive(Debug, Default)]
pub struct Transcript {
    turns: BTreeMap<u64, ServerTurn>,
}

/// What the server told about one or more of its turns.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServerTurn {
    /// The caller's turn; 0 is the greeting.
    pub caller_turn: usize,
    /// Transcript of the caller.
    pub caller: Option<String>,
    /// What the agent said.
    pub agent: Option<String>,
    /// What of it was played.
    pub heard: Option<String>,
    /// The latency ledger.
    pub ledger: Option<Map<String, Value>>,
}

impl Transcript {
    /// Notes an event that came while the caller was in turn `current`.
    pub fn note(&mut self, event: &TraceEvent, current: usize) {
        match event {
            TraceEvent::Caller { turn, text } => append(&mut self.turn(*turn, current).caller, text),
            TraceEvent::Agent { turn, text } => append(&mut self.turn(*turn, current).agent, text),
            TraceEvent::Heard { turn, text } => self.turn(*turn, current).heard = Some(text.clone()),
            TraceEvent::Turn { turn, latency } => self.turn(*turn, current).ledger = Some(latency.clone()),
            TraceEvent::End | TraceEvent::Unknown => {}
        }
    }

    /// All the server said about a turn of the caller. Texts are joined; the ledger is that of the last server turn.
    pub fn about(&self, caller_turn: usize) -> ServerTurn {
        let mut whole = ServerTurn {
            caller_turn,
            ..ServerTurn::default()
        };
        for part in self.turns.values().filter(|part| part.caller_turn == caller_turn) {
            for (slot, text) in [
                (&mut whole.caller, &part.caller),
                (&mut whole.agent, &part.agent),
                (&mut whole.heard, &part.heard),
            ] {
                if let Some(text) = text {
                    append(slot, text);
                }
            }
            whole.ledger = part.ledger.clone().or(whole.ledger);
        }
        whole
    }

    fn turn(&mut self, turn: u64, current: usize) -> &mut ServerTurn {
        // Only turn 0 is the greeting, even if the server believes to hear the caller in the middle of it.
        let caller_turn = if turn == 0 { 0 } else { current.max(1) };
        self.turns.entry(turn).or_insert_with(|| ServerTurn {
            caller_turn,
            ..ServerTurn::default()
        })
    }
}

fn event(line: &[u8]) -> Option<TraceEvent> {
    let data = std::str::from_utf8(line).ok()?.trim_end().strip_prefix("data:")?;
    serde_json::from_str(data.trim_start()).ok()
}

fn append(slot: &mut Option<String>, text: &str) {
    match slot {
        Some(whole) => {
            whole.push(' ');
            whole.push_str(text.trim());
        }
        None => *slot = Some(text.trim().to_owned()),
    }
}

/// A longer line is no trace event.
const LINE_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_the_bytes_are_cut() {
        let text = concat!(
            ": keep-alive\n\nevent: trace\ndata: {\"type\":\"caller\",\"turn\":1,\"text\":\"grüß\"}\r\n\r\n",
            "data:{\"type\":\"turn\",\"turn\":1,\"latency\":{\"endpoint_ms\":300,\"stt_ms\":null}}\n\n",
            "data: {\"type\":\"weather\",\"x\":1}\ndata: nonsense\ndata: {\"type\":\"end\"}\n\n"
        );
        for size in [1, 2, 7, 1000] {
            let mut lines = EventLines::default();
            let events: Vec<_> = text
                .as_bytes()
                .chunks(size)
                .flat_map(|bytes| lines.push(bytes))
                .collect();
            assert_eq!(events.len(), 4, "{size}");
            assert_eq!(
                events[0],
                TraceEvent::Caller {
                    turn: 1,
                    text: "grüß".to_owned()
                }
            );
            assert!(matches!(&events[1], TraceEvent::Turn { latency, .. } if latency["stt_ms"].is_null()));
            assert_eq!(events[2..], [TraceEvent::Unknown, TraceEvent::End]);
        }
    }

    #[test]
    fn an_endless_line_is_dropped() {
        let mut lines = EventLines::default();
        for _ in 0..100 {
            assert!(lines.push(&[b'x'; 4096]).is_empty());
            assert!(lines.partial.len() <= LINE_BYTES + 4096);
        }
    }

    #[test]
    fn server_turns_follow_the_callers() {
        let say = |turn, text: &str| TraceEvent::Agent {
            turn,
            text: text.to_owned(),
        };
        let mut transcript = Transcript::default();
        transcript.note(&say(0, "Hello."), 0);
        transcript.note(
            &TraceEvent::Caller {
                turn: 1,
                text: "my id".to_owned(),
            },
            1,
        );
        transcript.note(&say(1, "Yes?"), 1);
        transcript.note(
            &TraceEvent::Caller {
                turn: 2,
                text: "is four".to_owned(),
            },
            1,
        );
        transcript.note(&say(2, "Thank you."), 1);
        transcript.note(&say(2, "Bye."), 1);
        // The ledger of the first turn comes late.
        transcript.note(
            &TraceEvent::Heard {
                turn: 2,
                text: "Thank".to_owned(),
            },
            2,
        );
        transcript.note(
            &TraceEvent::Turn {
                turn: 2,
                latency: Map::new(),
            },
            2,
        );

        assert_eq!(transcript.about(0).agent.as_deref(), Some("Hello."));
        let first = transcript.about(1);
        assert_eq!(first.caller.as_deref(), Some("my id is four"));
        assert_eq!(first.agent.as_deref(), Some("Yes? Thank you. Bye."));
        assert_eq!(first.heard.as_deref(), Some("Thank"));
        assert!(first.ledger.is_some());
        assert_eq!(
            transcript.about(2),
            ServerTurn {
                caller_turn: 2,
                ..ServerTurn::default()
            }
        );
    }
}
