//! Which `CTranslate2` variable becomes which ggml tensor.

use std::ops::Range;

use super::ConvertError;
use super::ct2::Ct2Model;

/// Everything the output holds, before a single weight is read.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) vocabulary_size: usize,
    pub(super) mel_bands: usize,
    pub(super) tensors: Vec<Tensor>,
    audio_positions: usize,
    text_positions: usize,
    width: usize,
    heads: usize,
    encoder_layers: usize,
    decoder_layers: usize,
    /// Fused biases and the rows that belong to the key, which must be zero.
    key_biases: Vec<(String, usize, Range<usize>)>,
}

/// One tensor of the output, and the rows of the variable that it is made of.
#[derive(Debug)]
pub(super) struct Tensor {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) source: String,
    pub(super) source_shape: Vec<usize>,
    pub(super) rows: Range<usize>,
}

impl Tensor {
    /// whisper.cpp wants vectors, convolution biases and position tables in f32, everything else in f16.
    pub(super) fn is_f32(&self) -> bool {
        self.shape.len() < 2 || self.shape.last() == Some(&1) || self.name.ends_with("positional_embedding")
    }
}

impl Plan {
    pub(super) fn of(model: &Ct2Model<'_>) -> Result<Self, ConvertError> {
        let [vocabulary_size, width] = model.shape("decoder/embeddings/weight")?;
        let [audio_positions, _] = model.shape("encoder/position_encodings/encodings")?;
        let [text_positions, _] = model.shape("decoder/position_encodings/encodings")?;
        let [_, mel_bands, _] = model.shape("encoder/conv1/weight")?;
        if mel_bands > MOST_MEL_BANDS {
            let (found, expected) = (vec![width, mel_bands, KERNEL], vec![width, MOST_MEL_BANDS, KERNEL]);
            return Err(ConvertError::Shape {
                name: "encoder/conv1/weight".to_owned(),
                found,
                expected,
            });
        }
        let mut plan = Self {
            vocabulary_size,
            mel_bands,
            tensors: Vec::new(),
            audio_positions,
            text_positions,
            width,
            heads: model.scalar("encoder/num_heads").unwrap_or(width / WHISPER_HEAD_WIDTH),
            encoder_layers: count_layers(model, "encoder"),
            decoder_layers: count_layers(model, "decoder"),
            key_biases: Vec::new(),
        };
        plan.add_ends();
        for layer in 0..plan.encoder_layers {
            plan.add_layer("encoder", layer);
        }
        for layer in 0..plan.decoder_layers {
            plan.add_layer("decoder", layer);
        }
        Ok(plan)
    }

    /// The twelve numbers at the start of the file.
    pub(super) fn header(&self) -> [usize; 12] {
        [
            GGML_MAGIC,
            self.vocabulary_size,
            self.audio_positions,
            self.width,
            self.heads,
            self.encoder_layers,
            self.text_positions,
            self.width,
            self.heads,
            self.decoder_layers,
            self.mel_bands,
            F16,
        ]
    }

    pub(super) fn check_key_biases(&self, model: &Ct2Model<'_>) -> Result<(), ConvertError> {
        for (name, length, rows) in &self.key_biases {
            let bias = model.floats(name, &[*length], rows.clone())?;
            if bias.iter().any(|value| value.abs() > LARGEST_KEY_BIAS) {
                return Err(ConvertError::KeyBias(name.clone()));
            }
        }
        Ok(())
    }

    /// What stands before and after the layers.
    fn add_ends(&mut self) {
        let width = self.width;
        self.add(
            "encoder.positional_embedding",
            "encoder/position_encodings/encodings",
            &[self.audio_positions, width],
        );
        self.add(
            "decoder.positional_embedding",
            "decoder/position_encodings/encodings",
            &[self.text_positions, width],
        );
        for (name, inputs) in [("conv1", self.mel_bands), ("conv2", width)] {
            self.add(
                &format!("encoder.{name}.weight"),
                &format!("encoder/{name}/weight"),
                &[width, inputs, KERNEL],
            );
            self.add(
                &format!("encoder.{name}.bias"),
                &format!("encoder/{name}/bias"),
                &[width],
            );
            // ggml adds this bias to a matrix, hence the column.
            self.tensors
                .iter_mut()
                .last()
                .into_iter()
                .for_each(|bias| bias.shape.push(1));
        }
        self.add_norm("encoder.ln_post", "encoder/layer_norm");
        self.add_norm("decoder.ln", "decoder/layer_norm");
        self.add(
            "decoder.token_embedding.weight",
            "decoder/embeddings/weight",
            &[self.vocabulary_size, width],
        );
    }

    fn add_layer(&mut self, side: &str, layer: usize) {
        let width = self.width;
        let (from, to) = (format!("{side}/layer_{layer}"), format!("{side}.blocks.{layer}"));
        let own = format!("{from}/self_attention");
        self.add_norm(&format!("{to}.attn_ln"), &format!("{own}/layer_norm"));
        self.add_fused(
            &format!("{to}.attn"),
            &format!("{own}/linear_0"),
            &["query", "key", "value"],
        );
        self.add_linear(&format!("{to}.attn.out"), &format!("{own}/linear_1"), width, width);
        if side == "decoder" {
            let cross = format!("{from}/attention");
            self.add_norm(&format!("{to}.cross_attn_ln"), &format!("{cross}/layer_norm"));
            self.add_linear(
                &format!("{to}.cross_attn.query"),
                &format!("{cross}/linear_0"),
                width,
                width,
            );
            self.add_fused(
                &format!("{to}.cross_attn"),
                &format!("{cross}/linear_1"),
                &["key", "value"],
            );
            self.add_linear(
                &format!("{to}.cross_attn.out"),
                &format!("{cross}/linear_2"),
                width,
                width,
            );
        }
        let inner = width.saturating_mul(FEED_FORWARD_FACTOR);
        self.add_norm(&format!("{to}.mlp_ln"), &format!("{from}/ffn/layer_norm"));
        self.add_linear(&format!("{to}.mlp.0"), &format!("{from}/ffn/linear_0"), inner, width);
        self.add_linear(&format!("{to}.mlp.2"), &format!("{from}/ffn/linear_1"), width, inner);
    }

    /// `CTranslate2` stacks query, key and value into one matrix; ggml wants them apart, and the key without a bias.
    fn add_fused(&mut self, to: &str, from: &str, parts: &[&str]) {
        let width = self.width;
        let total = width.saturating_mul(parts.len());
        let mut add = |name: String, source: String, source_shape: &[usize], shape: &[usize], rows: &Range<usize>| {
            let (shape, source_shape) = (shape.to_vec(), source_shape.to_vec());
            self.tensors.push(Tensor {
                name,
                shape,
                source,
                source_shape,
                rows: rows.clone(),
            });
        };
        let mut start = 0;
        for part in parts {
            let rows = start..start + width;
            add(
                format!("{to}.{part}.weight"),
                format!("{from}/weight"),
                &[total, width],
                &[width, width],
                &rows,
            );
            if *part == "key" {
                self.key_biases.push((format!("{from}/bias"), total, rows.clone()));
            } else {
                add(
                    format!("{to}.{part}.bias"),
                    format!("{from}/bias"),
                    &[total],
                    &[width],
                    &rows,
                );
            }
            start = rows.end;
        }
    }

    fn add_linear(&mut self, to: &str, from: &str, outputs: usize, inputs: usize) {
        self.add(&format!("{to}.weight"), &format!("{from}/weight"), &[outputs, inputs]);
        self.add(&format!("{to}.bias"), &format!("{from}/bias"), &[outputs]);
    }

    fn add_norm(&mut self, to: &str, from: &str) {
        self.add(&format!("{to}.weight"), &format!("{from}/gamma"), &[self.width]);
        self.add(&format!("{to}.bias"), &format!("{from}/beta"), &[self.width]);
    }

    fn add(&mut self, name: &str, source: &str, shape: &[usize]) {
        self.tensors.push(Tensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
            source: source.to_owned(),
            source_shape: shape.to_vec(),
            rows: 0..shape.first().copied().unwrap_or(1),
        });
    }
}

fn count_layers(model: &Ct2Model<'_>, side: &str) -> usize {
    (0..)
        .take_while(|layer| model.has(&format!("{side}/layer_{layer}/self_attention/layer_norm/gamma")))
        .count()
}

const GGML_MAGIC: usize = 0x6767_6d6c;
/// The header's "matrices are f16".
const F16: usize = 1;
const KERNEL: usize = 3;
/// large-v3 has them; all others have 80.
const MOST_MEL_BANDS: usize = 128;
const FEED_FORWARD_FACTOR: usize = 4;
/// All published Whisper models.
const WHISPER_HEAD_WIDTH: usize = 64;
/// Whisper's key projection has no bias; a converter may store it as zeros.
const LARGEST_KEY_BIAS: f32 = 1e-6;
