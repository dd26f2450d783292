//! Inference on a host: many inputs at once, in the runtime's integers or as real numbers.

use rayon::prelude::*;
use sepconv::model::Tensor;
use sepconv::{AlignedVec, Element, Model, RunError};

/// Runs a model on `inputs`, one after the other in memory, on the threads of the current rayon pool, and returns the
/// outputs likewise. All are the bytes of quantized values, NHWC; each thread has an arena of its own.
///
/// # Errors
///
/// [`RunError`] if `inputs` is not a whole number of the model's inputs.
pub fn run_many(model: &Model, inputs: &[i8]) -> Result<Vec<i8>, RunError> {
    let (needed, given) = (model.input().bytes(), inputs.len());
    if !given.is_multiple_of(needed) {
        return Err(RunError::InputLength { needed, given });
    }
    let mut outputs = vec![0; given / needed * model.output().bytes()];
    outputs
        .par_chunks_exact_mut(model.output().bytes())
        .zip(inputs.par_chunks_exact(needed))
        .try_for_each_init(
            || AlignedVec::zeroed(model.arena_len()),
            |arena, (output, input)| model.run(input, arena, output),
        )?;
    Ok(outputs)
}

/// Real numbers as a tensor's bytes: `round(x / scale) + zero_point`, ties away from zero, clamped to the type.
pub fn quantize(values: &[f32], tensor: &Tensor) -> Vec<i8> {
    let quantized = values.iter().map(|value| (value / tensor.scale).round() as i32);
    let quantized = quantized.map(|value| value.saturating_add(tensor.zero_point));
    match tensor.element {
        Element::Int8 => quantized.map(|value| value.clamp(-128, 127) as i8).collect(),
        Element::Int16 => int16_bytes(quantized.map(|value| value.clamp(-32768, 32767) as i16)),
    }
}

/// A tensor's bytes as integers.
pub fn integers(bytes: &[i8], element: Element) -> Vec<i32> {
    match element {
        Element::Int8 => bytes.iter().map(|value| *value as i32).collect(),
        Element::Int16 => {
            let pairs = bytes.as_chunks().0.iter();
            pairs
                .map(|[low, high]| i16::from_le_bytes([*low as u8, *high as u8]) as i32)
                .collect()
        }
    }
}

/// A tensor's bytes as real numbers: `scale × (q − zero_point)`.
pub fn dequantize(bytes: &[i8], tensor: &Tensor) -> Vec<f32> {
    let values = integers(bytes, tensor.element).into_iter();
    values
        .map(|value| tensor.scale * (value - tensor.zero_point) as f32)
        .collect()
}

/// int16 values as a tensor's bytes.
pub fn int16_bytes(values: impl Iterator<Item = i16>) -> Vec<i8> {
    values
        .flat_map(|value| value.to_le_bytes().map(|byte| byte as i8))
        .collect()
}

/// FNV-1a with 64 bits of values as bytes (Fowler, Noll, Vo; IETF draft-eastlake-fnv). The firmware reports the same hash
/// of an output, so that board and host can be compared.
///
/// ```
/// use sepconv_quantize::inference::fnv1a_64;
/// assert_eq!(fnv1a_64(&[]), 0xcbf2_9ce4_8422_2325);
/// assert_eq!(fnv1a_64(&[b'a' as i8]), 0xaf63_dc4c_8601_ec8c);
/// ```
pub fn fnv1a_64(values: &[i8]) -> u64 {
    values.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, value| {
        (hash ^ u64::from(value.cast_unsigned())).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sepconv::Shape;

    #[test]
    fn quantizing_rounds_and_clamps() {
        let tensor = Tensor {
            shape: Shape::vector(5),
            element: Element::Int8,
            zero_point: -1,
            scale: 0.5,
            ring_rows: 1,
            offset: 0,
        };
        let bytes = quantize(&[0.0, 0.25, -0.25, 1000.0, f32::NEG_INFINITY], &tensor);
        assert_eq!(bytes, [-1, 0, -2, 127, -128]);
        assert_eq!(dequantize(&bytes, &tensor), [0.0, 0.5, -0.5, 64.0, -63.5]);
        let wide = Tensor {
            element: Element::Int16,
            zero_point: 0,
            ..tensor
        };
        let bytes = quantize(&[1.0, -1.0, 1e9, 0.0, 128.0], &wide);
        assert_eq!(integers(&bytes, Element::Int16), [2, -2, 32767, 0, 256]);
    }
}
