//! G.711 μ-law, ITU-T G.711 (11/88) table 2a/2b with the usual 16-bit scaling.

/// μ-law for zero. 0x00 would be full-scale negative, a loud bang.
pub const SILENCE: u8 = 0xFF;

/// One μ-law byte to 16-bit PCM.
#[inline]
pub const fn decode(byte: u8) -> i16 {
    DECODE[byte as usize]
}

/// 16-bit PCM to one μ-law byte.
#[inline]
pub const fn encode(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80_u8 } else { 0 };
    let magnitude = sample.unsigned_abs();
    let magnitude = if magnitude > CLIP { CLIP } else { magnitude } + BIAS;
    // magnitude is 132..=32767, so its highest bit is 7..=14 and the segment is 0..=7.
    let segment = 8 - magnitude.leading_zeros() as u8;
    let mantissa = (magnitude >> (segment + 3)) as u8 & 0x0F;
    !(sign | (segment << 4) | mantissa)
}

/// Appends the PCM of `bytes` to `out`.
pub fn decode_into(bytes: &[u8], out: &mut Vec<i16>) {
    out.extend(bytes.iter().map(|&byte| decode(byte)));
}

/// Appends the μ-law of `samples` (−1.0..1.0, clipped) to `out`.
pub fn encode_f32_into(samples: &[f32], out: &mut Vec<u8>) {
    out.extend(samples.iter().map(|&sample| encode(to_i16(sample))));
}

/// −1.0..1.0 to 16-bit PCM, clipped; not-a-number becomes silence.
#[inline]
pub fn to_i16(sample: f32) -> i16 {
    (sample * 32_768.0).round() as i16
}

/// 16-bit PCM to −1.0..1.0.
#[inline]
pub fn to_f32(sample: i16) -> f32 {
    f32::from(sample) / 32_768.0
}

const BIAS: u16 = 0x84;
const CLIP: u16 = 32_635;

const DECODE: [i16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let code = !(byte as u8);
        let magnitude = ((((code & 0x0F) as i32) << 3) + BIAS as i32) << ((code >> 4) & 7);
        let value = magnitude - BIAS as i32;
        table[byte] = if code & 0x80 != 0 { -value as i16 } else { value as i16 };
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_decode_and_encode() {
        for byte in 0..=255_u8 {
            let again = encode(decode(byte));
            // 0x7F is negative zero; its canonical code is 0xFF.
            let expected = if byte == 0x7F { 0xFF } else { byte };
            assert_eq!(again, expected, "byte {byte:#04x}");
        }
    }

    #[test]
    fn known_values_from_the_recommendation() {
        for (byte, sample) in [
            (0xFF, 0),
            (0x80, 32_124),
            (0x00, -32_124),
            (0xFE, 8),
            (0x7E, -8),
            (0xCF, 924),
        ] {
            assert_eq!(decode(byte), sample, "byte {byte:#04x}");
        }
    }

    #[test]
    fn the_error_of_any_sample_is_at_most_half_a_step() {
        for sample in i16::MIN..=i16::MAX {
            let back = i32::from(decode(encode(sample)));
            let clipped = i32::from(sample).clamp(-32_635, 32_635);
            let step = ((clipped.abs() + 132) / 16).max(8);
            assert!((back - clipped).abs() <= step / 2 + 4, "{sample} came back as {back}");
        }
    }

    #[test]
    fn out_of_range_and_nan_floats_clip() {
        assert_eq!(to_i16(2.0), i16::MAX);
        assert_eq!(to_i16(-2.0), i16::MIN);
        assert_eq!(to_i16(f32::NAN), 0);
    }
}
