//! `CTranslate2` Whisper weights to the ggml file that whisper.cpp loads.
//!
//! Some package indexes carry Whisper only in the `CTranslate2` format of faster-whisper. The weights are the same, so a site that
//! cannot reach Hugging Face still gets a working model. The output depends on nothing but the input (no clock, no platform maths),
//! which is why its sha256 can stand in the manifest. Header, mel filters and size equal those of the official ggml files.
//!
//! Formats: `ctranslate2/specs/model_spec.py` (binary version 6) and `models/convert-pt-to-ggml.py` of whisper.cpp.

mod ct2;
mod half;
mod plan;
mod vocabulary;

use std::io::Write;

use thiserror::Error;

use ct2::Ct2Model;
use plan::{Plan, Tensor};

use crate::audio::mel;

/// Why a `CTranslate2` model could not be converted. The input is untrusted: every fault in it ends here, never in a panic.
#[derive(Debug, Error)]
pub enum ConvertError {
    #[error("the CTranslate2 model ends early: {what} at byte {at} needs {needed} more bytes")]
    Truncated {
        what: &'static str,
        at: usize,
        needed: usize,
    },
    #[error("the CTranslate2 model has {0} unread bytes at its end")]
    TrailingBytes(usize),
    #[error("CTranslate2 binary version {0} is not supported (4 to 6 are)")]
    Version(u32),
    #[error("the CTranslate2 model is a `{0}`, not a `WhisperSpec`")]
    NotWhisper(String),
    #[error("a name in the CTranslate2 model at byte {0} is not UTF-8")]
    Name(usize),
    #[error("variable `{name}` has the unsupported type {id} (float32, float16, int16 and int8 are supported)")]
    Type { name: String, id: u8 },
    #[error("variable `{0}` holds a different number of bytes than its shape says")]
    Size(String),
    #[error("variable `{0}` is missing")]
    Missing(String),
    #[error("variable `{name}` has the shape {found:?}, expected {expected:?}")]
    Shape {
        name: String,
        found: Vec<usize>,
        expected: Vec<usize>,
    },
    #[error("variable `{0}` has a key bias that is not zero, which ggml cannot hold")]
    KeyBias(String),
    #[error("vocabulary: {0}")]
    Vocabulary(String),
    #[error("cannot write the converted model: {0}")]
    Write(#[from] std::io::Error),
}

/// Converts a `CTranslate2` Whisper `model.bin` and its `vocabulary.txt` (or `.json`) to a ggml file with f16 matrices.
///
/// Wrap `out` in a `BufWriter`: many small pieces are written.
pub fn ct2_to_ggml(model: &[u8], vocabulary: &[u8], out: &mut impl Write) -> Result<(), ConvertError> {
    let model = Ct2Model::parse(model)?;
    let plan = Plan::of(&model)?;
    let tokens = vocabulary::ordinary_tokens(vocabulary, plan.vocabulary_size)?;

    plan.header().iter().try_for_each(|value| put(out, *value))?;
    write_mel_filters(plan.mel_bands, out)?;
    put(out, tokens.len())?;
    for token in &tokens {
        put(out, token.len())?;
        out.write_all(token)?;
    }
    plan.check_key_biases(&model)?;
    plan.tensors
        .iter()
        .try_for_each(|tensor| write_tensor(&model, tensor, out))
}

fn write_mel_filters(bands: usize, out: &mut impl Write) -> Result<(), ConvertError> {
    put(out, bands)?;
    put(out, mel::BINS)?;
    for weight in mel::filters(bands) {
        out.write_all(&weight.to_le_bytes())?;
    }
    Ok(())
}

fn write_tensor(model: &Ct2Model<'_>, tensor: &Tensor, out: &mut impl Write) -> Result<(), ConvertError> {
    let values = model.floats(&tensor.source, &tensor.source_shape, tensor.rows.clone())?;
    put(out, tensor.shape.len())?;
    put(out, tensor.name.len())?;
    put(out, usize::from(!tensor.is_f32()))?;
    for size in tensor.shape.iter().rev() {
        put(out, *size)?;
    }
    out.write_all(tensor.name.as_bytes())?;
    let bytes: Vec<u8> = if tensor.is_f32() {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    } else {
        values
            .iter()
            .flat_map(|value| half::from_f32(*value).to_le_bytes())
            .collect()
    };
    out.write_all(&bytes)?;
    Ok(())
}

/// Writes one little-endian i32, the only integer the format knows.
fn put(out: &mut impl Write, value: usize) -> Result<(), ConvertError> {
    let value = i32::try_from(value).map_err(std::io::Error::other)?;
    out.write_all(&value.to_le_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::ct2::testing::{Ct2Writer, tiny_model};
    use super::*;

    const VOCABULARY: &str = "!\nĠa\n<|endoftext|>\n<|en|>\n";

    fn convert(model: &[u8]) -> Result<Vec<u8>, ConvertError> {
        let mut out = Vec::new();
        ct2_to_ggml(model, VOCABULARY.as_bytes(), &mut out)?;
        Ok(out)
    }

    fn int(bytes: &[u8], at: usize) -> i32 {
        i32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
    }

    /// Name, ggml shape (fastest dimension first), type and data of every tensor.
    fn tensors(mut bytes: &[u8]) -> Vec<(String, Vec<i32>, i32, Vec<u8>)> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let (rank, length, kind) = (int(bytes, 0) as usize, int(bytes, 4) as usize, int(bytes, 8));
            let shape: Vec<i32> = (0..rank).map(|i| int(bytes, 12 + 4 * i)).collect();
            let name_at = 12 + 4 * rank;
            let name = String::from_utf8(bytes[name_at..name_at + length].to_vec()).unwrap();
            let size = shape.iter().product::<i32>() as usize * if kind == 0 { 4 } else { 2 };
            let data = bytes[name_at + length..name_at + length + size].to_vec();
            bytes = &bytes[name_at + length + size..];
            found.push((name, shape, kind, data));
        }
        found
    }

    #[test]
    fn a_synthetic_model_becomes_the_expected_file() {
        let out = convert(&tiny_model().finish()).unwrap();
        let header: Vec<i32> = (0..12).map(|i| int(&out, 4 * i)).collect();
        assert_eq!(header, [0x6767_6d6c, 4, 3, 4, 2, 1, 5, 4, 2, 1, 2, 1]);
        assert_eq!((int(&out, 48), int(&out, 52)), (2, 201));
        let vocabulary_at = 56 + 2 * 201 * 4;
        assert_eq!(
            int(&out, vocabulary_at),
            3,
            "two ordinary tokens, and <|endoftext|> as in the official English files"
        );
        assert_eq!(&out[vocabulary_at + 4..vocabulary_at + 15], b"\x01\0\0\0!\x02\0\0\0 a");

        let tensors = tensors(&out[vocabulary_at + 15 + 4 + 13..]);
        assert_eq!(tensors.len(), 6 + 4 + 1 + 15 + 24);
        let get = |name: &str| {
            tensors
                .iter()
                .find(|t| t.0 == name)
                .unwrap_or_else(|| panic!("no tensor {name}"))
        };
        assert_eq!(
            (&get("encoder.conv1.weight").1, get("encoder.conv1.weight").2),
            (&vec![3, 2, 4], 1)
        );
        assert_eq!(
            (&get("encoder.conv1.bias").1, get("encoder.conv1.bias").2),
            (&vec![1, 4], 0)
        );
        assert_eq!(
            (
                &get("decoder.positional_embedding").1,
                get("decoder.positional_embedding").2
            ),
            (&vec![4, 5], 0)
        );
        assert_eq!(
            (
                &get("encoder.blocks.0.mlp.0.weight").1,
                get("encoder.blocks.0.mlp.0.weight").2
            ),
            (&vec![4, 16], 1)
        );
        assert!(
            tensors.iter().all(|t| !t.0.ends_with("key.bias")),
            "Whisper has no key bias"
        );
        // The fused matrix counts 0, 1, 2 …: the value rows are the last third.
        let value = &get("encoder.blocks.0.attn.value.weight").3;
        assert_eq!(value[..2], half::from_f32(32.0).to_le_bytes());
    }

    #[test]
    fn every_truncation_is_an_error_and_never_a_panic() {
        let whole = tiny_model().finish();
        for length in 0..whole.len() {
            assert!(
                convert(&whole[..length]).is_err(),
                "the first {length} of {} bytes were accepted",
                whole.len()
            );
        }
        let mut longer = whole;
        longer.push(0);
        assert!(matches!(convert(&longer), Err(ConvertError::TrailingBytes(1))));
    }

    #[test]
    fn every_changed_byte_is_survived() {
        let whole = tiny_model().finish();
        for at in 0..whole.len() {
            for value in [0x00, 0x7f, 0xff] {
                let mut changed = whole.clone();
                changed[at] = value;
                let _ = convert(&changed);
            }
        }
    }

    #[test]
    fn quantised_sources_are_scaled_back() {
        let mut model = tiny_model();
        model.replace(
            "encoder/layer_0/ffn/linear_0/weight",
            Ct2Writer::int8(&[16, 4], &[2; 64]),
        );
        model.replace(
            "encoder/layer_0/ffn/linear_0/weight_scale",
            Ct2Writer::float32(&[16], &[4.0; 16]),
        );
        model.replace(
            "encoder/layer_0/ffn/linear_1/weight",
            Ct2Writer::int16(&[4, 16], &[100; 64]),
        );
        model.replace(
            "encoder/layer_0/ffn/linear_1/weight_scale",
            Ct2Writer::float32(&[], &[50.0]),
        );
        let out = convert(&model.finish()).unwrap();
        let tensors = tensors(&out[56 + 2 * 201 * 4 + 32..]);
        let first = |name: &str| tensors.iter().find(|t| t.0 == name).unwrap().3[..2].to_vec();
        assert_eq!(
            first("encoder.blocks.0.mlp.0.weight"),
            half::from_f32(0.5).to_le_bytes()
        );
        assert_eq!(
            first("encoder.blocks.0.mlp.2.weight"),
            half::from_f32(2.0).to_le_bytes()
        );
    }

    #[test]
    fn faults_name_the_variable() {
        let mut model = tiny_model();
        model.replace("decoder/layer_norm/gamma", Ct2Writer::float32(&[3], &[0.0; 3]));
        assert_eq!(
            convert(&model.finish()).unwrap_err().to_string(),
            "variable `decoder/layer_norm/gamma` has the shape [3], expected [4]"
        );
        let mut model = tiny_model();
        model.replace(
            "encoder/layer_0/self_attention/linear_0/bias",
            Ct2Writer::float32(&[12], &[1.0; 12]),
        );
        assert!(matches!(convert(&model.finish()), Err(ConvertError::KeyBias(_))));
        let mut model = tiny_model();
        model.remove("encoder/conv2/bias");
        assert_eq!(
            convert(&model.finish()).unwrap_err().to_string(),
            "variable `encoder/conv2/bias` is missing"
        );
    }
}
