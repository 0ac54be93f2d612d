//! Telephone audio: μ-law, re-framing, resampling, level, noise floor, keypad tones, echo and WAV. Pure; buffers belong
//! to the caller.

pub mod backlog;
pub mod dtmf;
pub mod echo;
pub mod frame;
pub mod level;
pub mod line;
pub mod mel;
pub mod mulaw;
pub mod noise_floor;
pub mod resample;
pub mod wav;
