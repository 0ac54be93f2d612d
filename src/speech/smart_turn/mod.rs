//! smart-turn v3: from the sound of a turn's end, has the caller finished?
//!
//! Follows Pipecat 1.14's `LocalSmartTurnAnalyzerV3`; `tests/smart_turn.rs` compares the two. One answer costs about as
//! much for half a second as for eight (BENCHMARKS.md), because the model always looks at eight.

pub mod features;

use std::path::Path;

use ort::session::Session;
use ort::value::TensorRef;

use crate::speech::{EndOfTurn, SpeechError, onnx};
use features::{FRAMES, Features, MELS};

/// One worker's session and buffers. Holds nothing of a call between two questions.
pub struct SmartTurn {
    session: Session,
    features: Features,
}

impl SmartTurn {
    /// Loads `smart-turn-v3.2-cpu.onnx`, after [`super::piper::load_runtime`].
    pub fn load(model: &Path, threads: usize) -> Result<Self, SpeechError> {
        let session = onnx::session(model, threads).map_err(|reason| SpeechError::Load {
            engine: ENGINE,
            reason: format!("{} is not a usable smart-turn model: {reason}", model.display()),
        })?;
        Ok(Self {
            session,
            features: Features::new(),
        })
    }

    fn run(&mut self, audio: &[f32]) -> Result<f32, String> {
        let features = self.features.of(audio);
        let input = TensorRef::from_array_view(([1, MELS, FRAMES], features)).map_err(|error| error.to_string())?;
        let outputs = self
            .session
            .run(ort::inputs!["input_features" => input])
            .map_err(|error| error.to_string())?;
        // Named `logits`, but the graph ends in a sigmoid.
        let output = outputs.get("logits").ok_or("no output `logits`")?;
        let (_, values) = output.try_extract_tensor::<f32>().map_err(|error| error.to_string())?;
        values.first().copied().ok_or_else(|| "an empty output".to_owned())
    }
}

impl EndOfTurn for SmartTurn {
    /// Looks at the last eight seconds. Silence after the last word belongs to `audio`: Pipecat asks 0.2 s into the pause.
    fn probability(&mut self, audio: &[f32]) -> Result<f32, SpeechError> {
        self.run(audio)
            .map_err(|reason| SpeechError::Run { engine: ENGINE, reason })
    }
}

const ENGINE: &str = "smart-turn";
