//! A Piper model that says with its audio how long each phoneme lasts.
//!
//! A VITS model knows it inside, as the output of its only `Ceil`: frames for each phoneme id. But it gives out the audio alone, and piper-rs
//! takes one output. The model file is a protocol buffer (onnx.proto): nodes are added to its graph that put the durations behind the audio, in
//! one flat tensor, which becomes the first output.

/// The model file so changed; `None` if it is built otherwise.
pub(super) fn with_durations(model: &[u8]) -> Option<Vec<u8>> {
    let parts = fields(model)?;
    let graph = parts.iter().find(|field| field.number == MODEL_GRAPH)?;
    let changed = graph_with_durations(graph.body)?;
    let mut out = Vec::with_capacity(model.len() + 512);
    for part in &parts {
        match part.number {
            MODEL_GRAPH => put(&mut out, MODEL_GRAPH, &changed),
            _ => out.extend_from_slice(part.whole),
        }
    }
    Some(out)
}

fn graph_with_durations(graph: &[u8]) -> Option<Vec<u8>> {
    let parts = fields(graph)?;
    let (mut durations, mut outputs) = (Vec::new(), Vec::new());
    for part in &parts {
        match part.number {
            GRAPH_NODE => {
                let node = fields(part.body)?;
                if text(&node, NODE_OP) == Some(b"Ceil") {
                    durations.push(text(&node, NODE_OUTPUT)?);
                }
            }
            GRAPH_OUTPUT => outputs.push(text(&fields(part.body)?, NAME)?),
            _ => {}
        }
    }
    let ([durations], [audio]) = (durations.as_slice(), outputs.as_slice()) else {
        return None;
    };
    let mut out = Vec::with_capacity(graph.len() + 512);
    for part in parts.iter().filter(|part| part.number != GRAPH_OUTPUT) {
        out.extend_from_slice(part.whole);
    }
    for (from, to) in [(*audio, FLAT_AUDIO), (*durations, FLAT_DURATIONS)] {
        put(&mut out, GRAPH_NODE, &node(b"Reshape", &[from, SHAPE], to, &[]));
    }
    let axis = attribute(b"axis", 0);
    let both = node(b"Concat", &[FLAT_AUDIO, FLAT_DURATIONS], OUTPUT, &axis);
    put(&mut out, GRAPH_NODE, &both);
    put(&mut out, GRAPH_INITIALIZER, &shape());
    put(&mut out, GRAPH_OUTPUT, &output());
    Some(out)
}

fn node(op: &[u8], inputs: &[&[u8]], output: &[u8], attribute: &[u8]) -> Vec<u8> {
    let mut node = Vec::new();
    for input in inputs {
        put(&mut node, NODE_INPUT, input);
    }
    put(&mut node, NODE_OUTPUT, output);
    put(&mut node, NODE_NAME, output);
    put(&mut node, NODE_OP, op);
    if !attribute.is_empty() {
        put(&mut node, NODE_ATTRIBUTE, attribute);
    }
    node
}

fn attribute(name: &[u8], value: u64) -> Vec<u8> {
    let mut attribute = Vec::new();
    put(&mut attribute, NAME, name);
    put_number(&mut attribute, ATTRIBUTE_INT, value);
    put_number(&mut attribute, ATTRIBUTE_TYPE, TYPE_INT);
    attribute
}

/// The shape of a flat tensor, `[-1]`.
fn shape() -> Vec<u8> {
    let mut tensor = Vec::new();
    put_number(&mut tensor, TENSOR_DIMS, 1);
    put_number(&mut tensor, TENSOR_TYPE, INT64);
    put(&mut tensor, TENSOR_NAME, SHAPE);
    put(&mut tensor, TENSOR_RAW, &(-1_i64).to_le_bytes());
    tensor
}

fn output() -> Vec<u8> {
    let (mut tensor, mut kind, mut value) = (Vec::new(), Vec::new(), Vec::new());
    put_number(&mut tensor, ELEMENT_TYPE, FLOAT);
    put(&mut kind, TENSOR_KIND, &tensor);
    put(&mut value, NAME, OUTPUT);
    put(&mut value, VALUE_KIND, &kind);
    value
}

/// One field of a message.
struct Field<'a> {
    number: u64,
    /// With its key.
    whole: &'a [u8],
    /// What it holds, if that has a length; else empty.
    body: &'a [u8],
}

/// All fields of a message; `None` if it is none.
fn fields(message: &[u8]) -> Option<Vec<Field<'_>>> {
    let (mut fields, mut rest) = (Vec::new(), message);
    while !rest.is_empty() {
        let whole = rest;
        let key = number(&mut rest)?;
        let mut body: &[u8] = &[];
        match key & 7 {
            0 => drop(number(&mut rest)?),
            1 => rest = rest.get(8..)?,
            2 => {
                let length = usize::try_from(number(&mut rest)?).ok()?;
                (body, rest) = rest.split_at_checked(length)?;
            }
            5 => rest = rest.get(4..)?,
            _ => return None,
        }
        fields.push(Field {
            number: key >> 3,
            whole: &whole[..whole.len() - rest.len()],
            body,
        });
    }
    Some(fields)
}

fn text<'a>(message: &[Field<'a>], number: u64) -> Option<&'a [u8]> {
    let field = message.iter().find(|field| field.number == number)?;
    Some(field.body)
}

/// Takes a varint off the front.
fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn put(out: &mut Vec<u8>, number: u64, body: &[u8]) {
    put_varint(out, number << 3 | 2);
    put_varint(out, body.len() as u64);
    out.extend_from_slice(body);
}

fn put_number(out: &mut Vec<u8>, number: u64, value: u64) {
    put_varint(out, number << 3);
    put_varint(out, value);
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

const FLAT_AUDIO: &[u8] = b"tieline/audio";
const FLAT_DURATIONS: &[u8] = b"tieline/durations";
const SHAPE: &[u8] = b"tieline/flat";
const OUTPUT: &[u8] = b"tieline/output";

// Field numbers of onnx.proto.
const MODEL_GRAPH: u64 = 7;
const GRAPH_NODE: u64 = 1;
const GRAPH_INITIALIZER: u64 = 5;
const GRAPH_OUTPUT: u64 = 12;
const NODE_INPUT: u64 = 1;
const NODE_OUTPUT: u64 = 2;
const NODE_NAME: u64 = 3;
const NODE_OP: u64 = 4;
const NODE_ATTRIBUTE: u64 = 5;
/// Of an attribute, and of a value.
const NAME: u64 = 1;
const ATTRIBUTE_INT: u64 = 3;
const ATTRIBUTE_TYPE: u64 = 20;
const TENSOR_DIMS: u64 = 1;
const TENSOR_TYPE: u64 = 2;
const TENSOR_NAME: u64 = 8;
const TENSOR_RAW: u64 = 9;
const VALUE_KIND: u64 = 2;
const TENSOR_KIND: u64 = 1;
const ELEMENT_TYPE: u64 = 1;
// Its enumerations.
const TYPE_INT: u64 = 2;
const FLOAT: u64 = 1;
const INT64: u64 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    fn model(ops: &[&str]) -> Vec<u8> {
        let mut graph = Vec::new();
        for op in ops {
            put(&mut graph, GRAPH_NODE, &node(op.as_bytes(), &[b"in"], b"frames", &[]));
        }
        let mut value = Vec::new();
        put(&mut value, NAME, b"output");
        put(&mut graph, GRAPH_OUTPUT, &value);
        let mut model = Vec::new();
        put_number(&mut model, 1, 8);
        put(&mut model, MODEL_GRAPH, &graph);
        put(&mut model, 8, b"opset");
        model
    }

    #[test]
    fn the_durations_are_put_behind_the_audio() {
        let changed = with_durations(&model(&["Ceil", "Tanh"])).expect("a model as expected");
        let parts = fields(&changed).expect("well-formed");
        assert_eq!(parts.iter().map(|part| part.number).collect::<Vec<_>>(), [1, 7, 8]);
        let graph = fields(parts[1].body).expect("well-formed");
        let outputs: Vec<_> = graph.iter().filter(|part| part.number == GRAPH_OUTPUT).collect();
        assert_eq!(outputs.len(), 1);
        assert_eq!(text(&fields(outputs[0].body).expect("well-formed"), NAME), Some(OUTPUT));
        let ops = graph.iter().filter(|part| part.number == GRAPH_NODE);
        let ops: Vec<_> = ops
            .map(|part| text(&fields(part.body).expect("well-formed"), NODE_OP))
            .collect();
        let expected = ["Ceil", "Tanh", "Reshape", "Reshape", "Concat"];
        assert_eq!(ops, expected.map(|op| Some(op.as_bytes())));
    }

    #[test]
    fn other_models_and_other_files_are_left_alone() {
        for ops in [vec!["Tanh"], vec!["Ceil", "Ceil"]] {
            assert_eq!(with_durations(&model(&ops)), None);
        }
        let good = model(&["Ceil"]);
        for length in 0..good.len() {
            // A shorter file is no model, or one without a graph.
            assert!(with_durations(&good[..length]).is_none() || length > good.len() - 8);
        }
        assert_eq!(with_durations(b"<html>not found</html>"), None);
        assert_eq!(with_durations(&[0xFF; 64]), None);
    }
}
