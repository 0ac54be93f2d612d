//! A call that is over: the carrier may ask for an answer again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::super::{Answer, Ask, Shared, Step, Then};
use super::now;

/// What is left of a call that is over.
pub(super) struct Memory {
    pub(super) shared: Arc<Shared>,
    pub(super) answers: VecDeque<(Step, Arc<Answer>)>,
    pub(super) recordings: VecDeque<String>,
    pub(super) asked: mpsc::Receiver<Ask>,
}

impl Memory {
    /// Answers for a while what was answered before. Anything new is told that the call is over.
    pub(super) async fn remember(mut self) {
        let until = now() + REMEMBERED;
        while let Ok(Some(ask)) = tokio::time::timeout_at(until.into(), self.asked.recv()).await {
            let (reply, answer) = match ask {
                Ask::Step { step, posted, reply } => {
                    if let Some(recording) = posted.recording.filter(|new| !self.recordings.contains(new)) {
                        self.shared.deletions.add(&recording);
                    }
                    let known = self.answers.iter().find(|(of, _)| *of == step);
                    (reply, known.map(|(_, answer)| Arc::clone(answer)))
                }
                Ask::Again { reply } => (reply, None),
                Ask::HungUp => continue,
            };
            let over = || {
                Arc::new(Answer {
                    clip: None,
                    then: Then::Hangup,
                })
            };
            // Whoever asked may be gone.
            let _ = reply.send(Ok(answer.unwrap_or_else(over)));
        }
    }
}

/// How long a call that ended is remembered: longer than the carrier tries again.
const REMEMBERED: Duration = Duration::from_secs(120);
