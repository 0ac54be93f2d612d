//! Telephone audio: μ-law, re-framing, resampling, level and WAV. Pure; buffers belong to the caller.

pub mod backlog;
pub mod frame;
pub mod level;
pub mod line;
pub mod mel;
pub mod mulaw;
pub mod resample;
pub mod wav;
