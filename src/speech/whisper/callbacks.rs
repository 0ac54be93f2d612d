//! The two C callbacks whisper.cpp offers while it works: one to stop the computation, one to see and change the logits.
//!
//! whisper-rs has a safe abort callback, but in 0.16 its trampoline casts to the wrong type, so this uses the C ones.
#![expect(unsafe_code, reason = "whisper.cpp's callbacks are C function pointers")]

use std::ffi::{c_int, c_void};

use whisper_rs::{FullParams, WhisperError, WhisperState, WhisperSysContext, WhisperSysState, WhisperTokenData};

use crate::speech::Cancelled;
use crate::speech::whisper::repeat::RepeatGuard;

/// What the callbacks look at during one run.
pub(super) struct Watch<'a> {
    guard: RepeatGuard,
    cancelled: Cancelled<'a>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(guard: RepeatGuard, cancelled: Cancelled<'a>) -> Self {
        Self { guard, cancelled }
    }

    /// Runs the model with this watching.
    pub(super) fn run(
        &mut self,
        state: &mut WhisperState,
        mut params: FullParams<'_, '_>,
        audio: &[f32],
    ) -> Result<(), WhisperError> {
        // SAFETY: both pointers outlive `full`, which is the only one to call the callbacks and returns before they are
        // dropped. Each callback has a pointee of its own: the guard is reached by the decoding thread only, `cancelled`
        // is `Sync` and only read.
        unsafe {
            params.set_filter_logits_callback(Some(on_logits));
            params.set_filter_logits_callback_user_data((&raw mut self.guard).cast::<c_void>());
            params.set_abort_callback(Some(on_abort));
            params.set_abort_callback_user_data((&raw mut self.cancelled).cast::<c_void>());
        }
        state.full(params, audio)
    }

    pub(super) fn into_guard(self) -> RepeatGuard {
        self.guard
    }
}

unsafe extern "C" fn on_abort(user: *mut c_void) -> bool {
    // SAFETY: `user` is the `cancelled` of the `Watch` that runs.
    let cancelled = unsafe { &*user.cast::<Cancelled<'_>>() };
    cancelled()
}

unsafe extern "C" fn on_logits(
    _context: *mut WhisperSysContext,
    _state: *mut WhisperSysState,
    tokens: *const WhisperTokenData,
    count: c_int,
    logits: *mut f32,
    user: *mut c_void,
) {
    // SAFETY: `user` is the guard of the `Watch` that runs, and nothing else refers to it meanwhile.
    let guard = unsafe { &mut *user.cast::<RepeatGuard>() };
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: whisper.cpp passes the tokens decoded so far; none at first, when the pointer may be null.
    let newest = (count > 0).then(|| unsafe { (*tokens.add(count - 1)).id });
    if guard.see(count, newest) {
        let end = usize::try_from(guard.end_of_text()).unwrap_or(0);
        // SAFETY: `logits` holds one value for each token of the vocabulary, and ids up to end-of-text are in every one.
        let words = unsafe { std::slice::from_raw_parts_mut(logits, end + 1) };
        words[..end].fill(f32::NEG_INFINITY);
        words[end] = CERTAIN;
    }
}

/// Far above any logit.
const CERTAIN: f32 = 1e6;
