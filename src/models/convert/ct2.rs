//! Reader of the `CTranslate2` model file: named, shaped, possibly quantised arrays.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{ConvertError, half};

/// A parsed file; the weights stay where they are.
#[derive(Debug)]
pub(super) struct Ct2Model<'a> {
    variables: BTreeMap<&'a str, Variable<'a>>,
}

#[derive(Debug, Clone)]
struct Variable<'a> {
    shape: Vec<usize>,
    kind: Kind,
    data: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Float32,
    Int8,
    Int16,
    Int32,
    Float16,
}

impl<'a> Ct2Model<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, ConvertError> {
        let mut reader = Reader { bytes, at: 0 };
        let version = reader.u32("the binary version")?;
        if !VERSIONS.contains(&version) {
            return Err(ConvertError::Version(version));
        }
        let spec = reader.string("the model type")?;
        if spec != "WhisperSpec" {
            return Err(ConvertError::NotWhisper(spec.to_owned()));
        }
        reader.u32("the specification revision")?;
        let mut variables = BTreeMap::new();
        for _ in 0..reader.u32("the number of variables")? {
            let name = reader.string("a variable's name")?;
            variables.insert(name, reader.variable(name)?);
        }
        for _ in 0..reader.u32("the number of aliases")? {
            let alias = reader.string("an alias")?;
            let name = reader.string("an alias's target")?;
            let target = variables
                .get(name)
                .cloned()
                .ok_or_else(|| ConvertError::Missing(name.to_owned()))?;
            variables.insert(alias, target);
        }
        match bytes.len() - reader.at {
            0 => Ok(Self { variables }),
            rest => Err(ConvertError::TrailingBytes(rest)),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.variables.contains_key(name)
    }

    /// The shape of a variable that must have `RANK` dimensions, none of them empty.
    pub(super) fn shape<const RANK: usize>(&self, name: &str) -> Result<[usize; RANK], ConvertError> {
        let found = &self.variable(name)?.shape;
        match <[usize; RANK]>::try_from(found.as_slice()) {
            Ok(shape) if shape.iter().all(|size| (1..=LARGEST_DIMENSION).contains(size)) => Ok(shape),
            _ => Err(ConvertError::Shape {
                name: name.to_owned(),
                found: found.clone(),
                expected: vec![1; RANK],
            }),
        }
    }

    /// A positive whole number stored as a variable, if it is there.
    pub(super) fn scalar(&self, name: &str) -> Option<usize> {
        let variable = self.variables.get(name)?;
        let mut bytes = [0; 4];
        match variable.kind {
            Kind::Int8 | Kind::Int16 | Kind::Int32 => {
                bytes.get_mut(..variable.data.len())?.copy_from_slice(variable.data);
            }
            Kind::Float32 | Kind::Float16 => return None,
        }
        usize::try_from(u32::from_le_bytes(bytes))
            .ok()
            .filter(|value| (1..=LARGEST_DIMENSION).contains(value))
    }

    /// The given rows as f32, scaled back if they are quantised. `shape` is what the whole variable must have.
    pub(super) fn floats(&self, name: &str, shape: &[usize], rows: Range<usize>) -> Result<Vec<f32>, ConvertError> {
        let variable = self.variable(name)?;
        if variable.shape != shape {
            let (found, expected) = (variable.shape.clone(), shape.to_vec());
            return Err(ConvertError::Shape {
                name: name.to_owned(),
                found,
                expected,
            });
        }
        let row_length: usize = shape.iter().skip(1).product();
        let size = row_length * variable.kind.size();
        let Some(data) = variable.data.get(rows.start * size..rows.end * size) else {
            return Err(ConvertError::Size(name.to_owned()));
        };
        let unsupported = || ConvertError::Type {
            name: name.to_owned(),
            id: INT32,
        };
        match variable.kind {
            Kind::Float32 => Ok(chunks(data).map(f32::from_le_bytes).collect()),
            Kind::Float16 => Ok(chunks(data)
                .map(|pair| half::to_f32(u16::from_le_bytes(pair)))
                .collect()),
            Kind::Int16 => {
                let scale = self.scales(name, &[])?.first().copied().unwrap_or(1.0);
                Ok(chunks(data)
                    .map(|pair| f32::from(i16::from_le_bytes(pair)) / scale)
                    .collect())
            }
            Kind::Int8 => {
                let scales = self.scales(name, &[shape.first().copied().unwrap_or(1)])?;
                let scales = scales.get(rows).unwrap_or_default();
                let rows = data.chunks_exact(row_length.max(1)).zip(scales);
                Ok(rows
                    .flat_map(|(row, scale)| row.iter().map(move |byte| f32::from(*byte as i8) / scale))
                    .collect())
            }
            Kind::Int32 => Err(unsupported()),
        }
    }

    /// int8 has one scale per row, int16 a single one.
    fn scales(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ConvertError> {
        let name = format!("{name}_scale");
        let variable = self.variable(&name)?;
        if variable.kind != Kind::Float32 {
            return Err(ConvertError::Type { name, id: u8::MAX });
        }
        self.floats(&name, shape, 0..shape.first().copied().unwrap_or(1))
    }

    fn variable(&self, name: &str) -> Result<&Variable<'a>, ConvertError> {
        self.variables
            .get(name)
            .ok_or_else(|| ConvertError::Missing(name.to_owned()))
    }
}

impl Kind {
    fn of(id: u8) -> Option<Self> {
        match id {
            0 => Some(Self::Float32),
            1 => Some(Self::Int8),
            2 => Some(Self::Int16),
            INT32 => Some(Self::Int32),
            4 => Some(Self::Float16),
            _ => None,
        }
    }

    fn size(self) -> usize {
        match self {
            Self::Int8 => 1,
            Self::Int16 | Self::Float16 => 2,
            Self::Float32 | Self::Int32 => 4,
        }
    }
}

/// A cursor that cannot leave the file.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn variable(&mut self, name: &str) -> Result<Variable<'a>, ConvertError> {
        let rank = self.array::<1>("a variable's rank")?[0];
        let shape = (0..rank)
            .map(|_| self.size("a variable's shape"))
            .collect::<Result<Vec<_>, _>>()?;
        let id = self.array::<1>("a variable's type")?[0];
        let kind = Kind::of(id).ok_or_else(|| ConvertError::Type {
            name: name.to_owned(),
            id,
        })?;
        let length = self.size("a variable's size")?;
        let expected = shape
            .iter()
            .try_fold(kind.size(), |product, size| product.checked_mul(*size));
        if expected != Some(length) {
            return Err(ConvertError::Size(name.to_owned()));
        }
        Ok(Variable {
            shape,
            kind,
            data: self.take(length, "a variable's data")?,
        })
    }

    /// Length with the closing NUL, text, NUL.
    fn string(&mut self, what: &'static str) -> Result<&'a str, ConvertError> {
        let length = usize::from(u16::from_le_bytes(self.array(what)?));
        let start = self.at;
        let text = self.take(length, what)?;
        let text = text.strip_suffix(b"\0").unwrap_or(text);
        std::str::from_utf8(text).map_err(|_| ConvertError::Name(start))
    }

    fn size(&mut self, what: &'static str) -> Result<usize, ConvertError> {
        Ok(self.u32(what)? as usize)
    }

    fn u32(&mut self, what: &'static str) -> Result<u32, ConvertError> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], ConvertError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        Ok(array)
    }

    fn take(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], ConvertError> {
        let rest = &self.bytes[self.at..];
        let Some(taken) = rest.get(..length) else {
            return Err(ConvertError::Truncated {
                what,
                at: self.at,
                needed: length - rest.len(),
            });
        };
        self.at += length;
        Ok(taken)
    }
}

fn chunks<const N: usize>(data: &[u8]) -> impl Iterator<Item = [u8; N]> {
    data.as_chunks::<N>().0.iter().copied()
}

const VERSIONS: std::ops::RangeInclusive<u32> = 4..=6;
const INT32: u8 = 3;
/// Far above any Whisper, and far below what could overflow a product of three.
const LARGEST_DIMENSION: usize = 1 << 20;

#[cfg(test)]
pub(super) mod testing {
    //! A writer of synthetic models.

    /// Builds a `CTranslate2` file in memory.
    pub(crate) struct Ct2Writer {
        variables: Vec<(String, Vec<u8>)>,
    }

    impl Ct2Writer {
        pub(crate) fn float32(shape: &[u32], values: &[f32]) -> Vec<u8> {
            Self::variable(shape, 0, values.iter().flat_map(|value| value.to_le_bytes()).collect())
        }

        pub(crate) fn int8(shape: &[u32], values: &[i8]) -> Vec<u8> {
            Self::variable(shape, 1, values.iter().map(|value| *value as u8).collect())
        }

        pub(crate) fn int16(shape: &[u32], values: &[i16]) -> Vec<u8> {
            Self::variable(shape, 2, values.iter().flat_map(|value| value.to_le_bytes()).collect())
        }

        pub(crate) fn replace(&mut self, name: &str, variable: Vec<u8>) {
            self.remove(name);
            self.variables.push((name.to_owned(), variable));
        }

        pub(crate) fn remove(&mut self, name: &str) {
            self.variables.retain(|(other, _)| other != name);
        }

        pub(crate) fn finish(&self) -> Vec<u8> {
            let mut file = 6_u32.to_le_bytes().to_vec();
            put_string(&mut file, "WhisperSpec");
            file.extend(3_u32.to_le_bytes());
            file.extend((self.variables.len() as u32).to_le_bytes());
            for (name, variable) in &self.variables {
                put_string(&mut file, name);
                file.extend(variable);
            }
            file.extend(1_u32.to_le_bytes());
            put_string(&mut file, "decoder/projection/weight");
            put_string(&mut file, "decoder/embeddings/weight");
            file
        }

        fn counting(&mut self, name: &str, shape: &[u32]) {
            let values: Vec<f32> = (0..shape.iter().product::<u32>()).map(|i| i as f32).collect();
            self.replace(name, Self::float32(shape, &values));
        }

        fn zeros(&mut self, name: &str, shape: &[u32]) {
            self.replace(
                name,
                Self::float32(shape, &vec![0.0; shape.iter().product::<u32>() as usize]),
            );
        }

        fn variable(shape: &[u32], kind: u8, data: Vec<u8>) -> Vec<u8> {
            let mut variable = vec![shape.len() as u8];
            variable.extend(shape.iter().flat_map(|size| size.to_le_bytes()));
            variable.push(kind);
            variable.extend((data.len() as u32).to_le_bytes());
            variable.extend(data);
            variable
        }
    }

    /// Width 4, 2 heads, 1 layer a side, 2 mel bands, 3 and 5 positions, 4 tokens.
    pub(crate) fn tiny_model() -> Ct2Writer {
        let mut model = Ct2Writer { variables: Vec::new() };
        model.replace("encoder/num_heads", Ct2Writer::int16(&[], &[2]));
        model.counting("encoder/conv1/weight", &[4, 2, 3]);
        model.counting("encoder/conv2/weight", &[4, 4, 3]);
        model.counting("encoder/position_encodings/encodings", &[3, 4]);
        model.counting("decoder/position_encodings/encodings", &[5, 4]);
        model.counting("decoder/embeddings/weight", &[4, 4]);
        model.zeros("encoder/conv1/bias", &[4]);
        model.zeros("encoder/conv2/bias", &[4]);
        for (side, attentions) in [("encoder", 1), ("decoder", 2)] {
            let layer = format!("{side}/layer_0");
            let blocks = ["self_attention", "attention"];
            let linears = [vec![(12, 4), (4, 4)], vec![(4, 4), (8, 4), (4, 4)]];
            let mut parts: Vec<_> = blocks.into_iter().zip(linears).take(attentions).collect();
            parts.push(("ffn", vec![(16, 4), (4, 16)]));
            for (part, linears) in parts {
                let part = format!("{layer}/{part}");
                for (i, (outputs, inputs)) in linears.into_iter().enumerate() {
                    model.counting(&format!("{part}/linear_{i}/weight"), &[outputs, inputs]);
                    model.zeros(&format!("{part}/linear_{i}/bias"), &[outputs]);
                }
                model.zeros(&format!("{part}/layer_norm/gamma"), &[4]);
                model.zeros(&format!("{part}/layer_norm/beta"), &[4]);
            }
            model.zeros(&format!("{side}/layer_norm/gamma"), &[4]);
            model.zeros(&format!("{side}/layer_norm/beta"), &[4]);
        }
        model
    }

    fn put_string(file: &mut Vec<u8>, text: &str) {
        file.extend((text.len() as u16 + 1).to_le_bytes());
        file.extend(text.as_bytes());
        file.push(0);
    }
}
