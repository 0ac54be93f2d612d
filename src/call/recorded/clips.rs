//! Audio that waits to be fetched, once, from an address that nobody can guess.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use tokio::sync::watch;

use crate::engine::LineAudio;

/// All clips of this process. What is not fetched in time is gone; when there is too much, the oldest goes.
#[derive(Debug, Default)]
pub(super) struct Clips(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    clips: HashMap<String, Clip>,
    bytes: usize,
}

struct Clip {
    audio: LineAudio,
    until: Instant,
    /// Told when it is fetched.
    fetched: watch::Sender<bool>,
}

impl Clips {
    /// Offers audio until it is fetched or `now` is [`LIFE`] old. Returns its name and what tells that it was fetched.
    pub(super) fn offer(&self, audio: LineAudio, now: Instant) -> (String, watch::Receiver<bool>) {
        let name = BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let (fetched, told) = watch::channel(false);
        let mut kept = self.lock();
        kept.forget_until(now);
        kept.bytes += audio.len();
        let until = now + LIFE;
        kept.clips.insert(name.clone(), Clip { audio, until, fetched });
        while kept.bytes > MOST_BYTES {
            let Some(oldest) = kept.oldest() else { break };
            tracing::error!("audio that was not fetched yet is dropped, because too much of it waits");
            kept.remove(&oldest);
        }
        (name, told)
    }

    /// The audio of that name, which is gone then.
    pub(super) fn take(&self, name: &str, now: Instant) -> Option<LineAudio> {
        let mut kept = self.lock();
        kept.forget_until(now);
        let clip = kept.remove(name)?;
        clip.fetched.send_replace(true);
        Some(clip.audio)
    }

    /// The same without taking it.
    pub(super) fn look_at(&self, name: &str, now: Instant) -> Option<LineAudio> {
        let mut kept = self.lock();
        kept.forget_until(now);
        kept.clips.get(name).map(|clip| clip.audio.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn remove(&mut self, name: &str) -> Option<Clip> {
        let clip = self.clips.remove(name)?;
        self.bytes -= clip.audio.len();
        Some(clip)
    }

    fn forget_until(&mut self, now: Instant) {
        self.clips.retain(|_, clip| clip.until > now);
        self.bytes = self.clips.values().map(|clip| clip.audio.len()).sum();
    }

    fn oldest(&self) -> Option<String> {
        let oldest = self.clips.iter().min_by_key(|(_, clip)| clip.until);
        oldest.map(|(name, _)| name.clone())
    }
}

/// Tells no names: they are keys to what is said.
impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept")
            .field("clips", &self.clips.len())
            .field("bytes", &self.bytes)
            .finish()
    }
}

/// Twilio fetches a clip as it begins to play it.
pub(super) const LIFE: Duration = Duration::from_secs(60);
/// Two hours of line audio, a minute of which is a long answer.
const MOST_BYTES: usize = 64 << 20;

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use super::*;

    fn audio(bytes: usize) -> LineAudio {
        vec![0; bytes].into()
    }

    #[test]
    fn a_clip_is_there_once_and_not_for_long() {
        let (clips, now) = (Clips::default(), Instant::now());
        let (name, told) = clips.offer(audio(160), now);
        assert!(clips.look_at(&name, now).is_some() && !*told.borrow());
        assert!(clips.take(&name, now).is_some() && *told.borrow());
        assert!(clips.take(&name, now).is_none() && clips.look_at(&name, now).is_none());
        let (late, _) = clips.offer(audio(160), now);
        assert_ne!(late, name);
        assert!(clips.take(&late, now + LIFE).is_none());
        assert_eq!(clips.lock().bytes, 0);
    }

    #[test]
    fn the_oldest_goes_when_there_is_too_much() {
        let (clips, now) = (Clips::default(), Instant::now());
        let (first, told) = clips.offer(audio(MOST_BYTES / 2 + 1), now);
        let (second, _) = clips.offer(audio(MOST_BYTES / 2), now + Duration::from_secs(1));
        assert!(clips.take(&first, now).is_none() && !*told.borrow());
        assert!(clips.take(&second, now).is_some());
    }
}
