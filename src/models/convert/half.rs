//! IEEE 754 half precision, bit by bit: the same result on every machine.

/// The f32 with the same value; exact.
pub(super) fn to_f32(half: u16) -> f32 {
    let sign = u32::from(half >> 15) << 31;
    let exponent = u32::from(half >> 10) & 0x1f;
    let mantissa = u32::from(half) & 0x3ff;
    let bits = match exponent {
        0 => return f32::from_bits(sign | (mantissa as f32 * SMALLEST_SUBNORMAL).to_bits()),
        0x1f => 0x7f80_0000 | (mantissa << 13),
        _ => ((exponent + 112) << 23) | (mantissa << 13),
    };
    f32::from_bits(sign | bits)
}

/// The nearest half, ties to even, as numpy's `astype(float16)` rounds.
pub(super) fn from_f32(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    let magnitude = bits & 0x7fff_ffff;
    if magnitude > 0x7f80_0000 {
        return sign | 0x7e00;
    }
    if magnitude >= 0x4780_0000 {
        return sign | 0x7c00;
    }
    // Adding a power of two aligns a subnormal's last bit with the f32's last bit, so the FPU's rounding is the one we want.
    if magnitude < 0x3880_0000 {
        return sign | (f32::from_bits(magnitude) + 0.5).to_bits() as u16;
    }
    let rounded = magnitude - 0x3800_0000 + 0xfff + ((magnitude >> 13) & 1);
    sign | (rounded >> 13) as u16
}

/// 2^-24.
const SMALLEST_SUBNORMAL: f32 = 5.960_464_5e-8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_survives_the_round_trip() {
        for half in 0..=u16::MAX {
            let wide = to_f32(half);
            if wide.is_nan() {
                assert_eq!(from_f32(wide) & 0x7c00, 0x7c00);
            } else {
                assert_eq!(from_f32(wide), half, "{half:#06x} = {wide}");
            }
        }
    }

    #[test]
    fn known_values_and_rounding() {
        let table = [
            (1.0, 0x3c00),
            (-2.0, 0xc000),
            (65504.0, 0x7bff),
            (65519.9, 0x7bff),
            (65520.0, 0x7c00),
            (f32::INFINITY, 0x7c00),
            (0.1, 0x2e66),
            (1.0 + 1.0 / 2048.0, 0x3c00),
            (1.0 + 3.0 / 2048.0, 0x3c02),
            (5.960_464_5e-8, 0x0001),
            (2.980_232_2e-8, 0x0000),
            (6.1e-5, 0x03ff),
            (-0.0, 0x8000),
        ];
        for (value, half) in table {
            assert_eq!(from_f32(value), half, "{value}");
        }
    }
}
