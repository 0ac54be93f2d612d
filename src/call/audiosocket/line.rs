//! One AudioSocket connection as a line. There is no clock but ours: audio is sent at the pace it is played, three frames
//! ahead at most, because nothing that was sent can be taken back.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::net::TcpStream;

use super::frame::{Frame, Frames, HANGUP_FRAME, audio_head};
use crate::audio::mulaw;
use crate::call::socket::{Audio, Outgoing, Received, Socket};
use crate::turn::event::MarkName;

pub(super) struct Line {
    stream: TcpStream,
    frames: Frames,
    pcm: Vec<i16>,
    queue: VecDeque<Waiting>,
    /// Bytes on their way.
    out: Vec<u8>,
    /// Of which so many are gone.
    sent: usize,
    /// Since when none of them went.
    stuck: Option<Instant>,
    /// When everything sent will have been played.
    played: Option<Instant>,
}

enum Waiting {
    /// μ-law.
    Frame([u8; FRAME]),
    Mark(MarkName),
}

/// [`Received`] without the audio, which is in `pcm`.
enum Event {
    Frame(Frame),
    Mark(MarkName),
    Closed,
}

impl Line {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            frames: Frames::default(),
            pcm: Vec::new(),
            queue: VecDeque::new(),
            out: Vec::new(),
            sent: 0,
            stuck: None,
            played: None,
        }
    }

    /// The next frame alone, before there is a call.
    pub(super) async fn id(&mut self) -> Option<[u8; 16]> {
        match self.event().await {
            Event::Frame(Frame::Id(id)) => Some(id),
            Event::Frame(_) | Event::Mark(_) | Event::Closed => None,
        }
    }

    /// Safe to drop while waiting: what is read or written in part stays in the buffers.
    async fn event(&mut self) -> Event {
        loop {
            let now = now();
            if let Some(mark) = self.pump(now) {
                return Event::Mark(mark);
            }
            match self.frames.take(&mut self.pcm) {
                Ok(Some(frame)) => return Event::Frame(frame),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "an AudioSocket connection cannot be read: {error}");
                    return Event::Closed;
                }
            }
            if self.stuck.is_some_and(|since| since + STUCK <= now) {
                return Event::Closed;
            }
            let interest = if self.out.is_empty() {
                Interest::READABLE
            } else {
                Interest::READABLE | Interest::WRITABLE
            };
            let due = self.due().unwrap_or(now + IDLE);
            tokio::select! {
                ready = self.stream.ready(interest) => {
                    let Ok(ready) = ready else { return Event::Closed };
                    if ready.is_writable() && !self.write() {
                        return Event::Closed;
                    }
                    if ready.is_readable() {
                        match self.stream.try_read_buf(self.frames.space()) {
                            // Closing is enough of a hangup.
                            Ok(0) => return Event::Frame(Frame::Hangup),
                            Ok(_) => {}
                            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                            Err(_) => return Event::Closed,
                        }
                    }
                }
                () = tokio::time::sleep_until(due.into()) => {}
            }
        }
    }

    /// Sends what is due; a mark whose audio was played is returned.
    fn pump(&mut self, now: Instant) -> Option<MarkName> {
        loop {
            let ahead = self
                .played
                .map_or(Duration::ZERO, |end| end.saturating_duration_since(now));
            match self.queue.front()? {
                Waiting::Frame(frame) if ahead <= AHEAD && self.out.is_empty() => {
                    audio_head(FRAME, &mut self.out);
                    let samples = frame.iter().flat_map(|&code| mulaw::decode(code).to_le_bytes());
                    self.out.extend(samples);
                    self.queue.pop_front();
                    self.played = Some(self.played.map_or(now, |end| end.max(now)) + FRAME_TIME);
                    // A failure shows when the line is read.
                    self.write();
                }
                &Waiting::Mark(mark) if ahead.is_zero() && self.out.is_empty() => {
                    self.queue.pop_front();
                    return Some(mark);
                }
                Waiting::Frame(_) | Waiting::Mark(_) => return None,
            }
        }
    }

    /// When there will be something to do without anything received.
    fn due(&self) -> Option<Instant> {
        if !self.out.is_empty() {
            return self.stuck.map(|since| since + STUCK);
        }
        match (self.queue.front()?, self.played) {
            (Waiting::Frame(_), Some(played)) => played.checked_sub(AHEAD),
            (Waiting::Mark(_), played) => played,
            (Waiting::Frame(_), None) => None,
        }
    }

    /// Writes as much as the connection takes; `false` if it is gone.
    fn write(&mut self) -> bool {
        match self.stream.try_write(&self.out[self.sent..]) {
            Ok(count) => {
                self.sent += count;
                self.stuck = None;
                if self.sent == self.out.len() {
                    self.out.clear();
                    self.sent = 0;
                } else {
                    self.stuck = Some(now());
                }
                true
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                self.stuck.get_or_insert_with(now);
                true
            }
            Err(_) => false,
        }
    }

    async fn hang_up(&mut self) -> std::io::Result<()> {
        self.stream.write_all(&self.out[self.sent..]).await?;
        self.stream.write_all(&HANGUP_FRAME).await?;
        self.stream.shutdown().await
    }
}

impl Socket for Line {
    async fn receive(&mut self) -> Received<'_> {
        match self.event().await {
            Event::Frame(Frame::Audio) => Received::Audio(Audio {
                at_ms: None,
                pcm: &self.pcm,
            }),
            Event::Frame(Frame::Dtmf(key)) => Received::Dtmf(key),
            Event::Frame(Frame::Hangup) => Received::Stop,
            Event::Frame(Frame::Id(_) | Frame::Other) => Received::Ignored,
            Event::Frame(Frame::Error) | Event::Closed => Received::Closed,
            Event::Mark(mark) => Received::Mark(mark),
        }
    }

    async fn send(&mut self, outgoing: Outgoing<'_>) -> bool {
        match outgoing {
            Outgoing::Audio(audio) => self.queue.extend(audio.chunks(FRAME).map(|part| {
                let mut frame = [mulaw::SILENCE; FRAME];
                frame[..part.len()].copy_from_slice(part);
                Waiting::Frame(frame)
            })),
            Outgoing::Mark(mark) => self.queue.push_back(Waiting::Mark(mark)),
            Outgoing::Clear => self.queue.clear(),
        }
        true
    }

    async fn close(&mut self) {
        // It may be gone already, or not reading.
        let _ = tokio::time::timeout(CLOSING, self.hang_up()).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "this line has no clock but the server's")]
fn now() -> Instant {
    Instant::now()
}

/// Samples of 20 ms.
const FRAME: usize = 160;
const FRAME_TIME: Duration = Duration::from_millis(20);
/// Two frames are with the PBX when the third goes out.
const AHEAD: Duration = Duration::from_millis(40);
/// A PBX that takes nothing for so long is gone.
const STUCK: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_secs(3_600);
const CLOSING: Duration = Duration::from_secs(1);
