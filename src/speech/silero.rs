//! Silero VAD on the telephone's own 8 kHz: a second opinion, slower than WebRTC's and far harder to fool with noise.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ort::session::Session;
use ort::value::TensorRef;

use crate::speech::{SpeechError, onnx};

/// The loaded network. Clones share it and take turns: see BENCHMARKS.md for what a turn costs.
#[derive(Clone)]
pub struct SileroModel(Arc<Mutex<Session>>);

/// One stream of audio: about 2 kB of memory beside the shared network.
#[derive(Clone)]
pub struct Silero {
    model: SileroModel,
    /// What the network remembers.
    state: Vec<f32>,
    /// The end of the window before, then the window.
    input: [f32; CONTEXT + SILERO_WINDOW],
}

impl SileroModel {
    /// Loads `silero_vad.onnx`, after [`super::piper::load_runtime`]. Always one thread: the network is too small for more.
    pub fn load(model: &Path) -> Result<Self, SpeechError> {
        let session = onnx::session(model, 1).map_err(|reason| SpeechError::Load {
            engine: ENGINE,
            reason: format!("{} is not a usable Silero model: {reason}", model.display()),
        })?;
        Ok(Self(Arc::new(Mutex::new(session))))
    }

    /// For one call, or one passage of it.
    pub fn stream(&self) -> Silero {
        Silero {
            model: self.clone(),
            state: vec![0.0; STATE],
            input: [0.0; CONTEXT + SILERO_WINDOW],
        }
    }
}

impl std::fmt::Debug for SileroModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SileroModel").finish_non_exhaustive()
    }
}

impl Silero {
    /// How likely it is that the window holds speech. Windows follow each other without a gap.
    pub fn probability(&mut self, window: &[i16; SILERO_WINDOW]) -> Result<f32, SpeechError> {
        self.input.copy_within(SILERO_WINDOW.., 0);
        for (place, &sample) in self.input[CONTEXT..].iter_mut().zip(window) {
            *place = f32::from(sample) / 32_768.0;
        }
        self.run().map_err(|reason| SpeechError::Run { engine: ENGINE, reason })
    }

    fn run(&mut self) -> Result<f32, String> {
        let text = |error: ort::Error| error.to_string();
        let rate = [LINE_HERTZ];
        let no_dimensions: [i64; 0] = [];
        let inputs = ort::inputs![
            "input" => TensorRef::from_array_view(([1, self.input.len()], &self.input[..])).map_err(text)?,
            "state" => TensorRef::from_array_view((STATE_SHAPE, &self.state[..])).map_err(text)?,
            "sr" => TensorRef::from_array_view((no_dimensions, &rate[..])).map_err(text)?,
        ];
        let mut session = self.model.0.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = session.run(inputs).map_err(text)?;
        let (_, state) = outputs
            .get("stateN")
            .ok_or("no output `stateN`")?
            .try_extract_tensor::<f32>()
            .map_err(text)?;
        let (_, probability) = outputs
            .get("output")
            .ok_or("no output `output`")?
            .try_extract_tensor::<f32>()
            .map_err(text)?;
        if state.len() != STATE {
            return Err(format!("a state of {} values", state.len()));
        }
        self.state.copy_from_slice(state);
        probability.first().copied().ok_or_else(|| "an empty output".to_owned())
    }
}

/// Samples in one of Silero's windows: 32 ms at the line rate, so not a multiple of [`super::WINDOW`].
pub const SILERO_WINDOW: usize = 256;
const ENGINE: &str = "silero";
// Input sizes at 8 kHz: silero-vad 6.2.1, `silero_vad/utils_vad.py`, `OnnxWrapper`.
const CONTEXT: usize = 32;
const STATE_SHAPE: [usize; 3] = [2, 1, 128];
const STATE: usize = 2 * 128;
const LINE_HERTZ: i64 = 8_000;
