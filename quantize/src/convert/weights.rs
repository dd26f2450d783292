//! Weights and biases as integers.

use super::ConvertError;
use crate::arithmetic;
use crate::graph::{Operator, Weights};
use crate::network::Linear;
use sepconv::operator::Window;

/// The greatest quantized weight: -128 is left out, so that weights are symmetric.
const GREATEST: f32 = 127.0;

/// A scale for each output channel: the greatest weight becomes 127.
pub fn weight_scales(operator: &Operator, weights: &Weights, channels: usize) -> Vec<f32> {
    let mut greatest = vec![0f32; channels];
    for (index, value) in weights.values.iter().enumerate() {
        let channel = operator.weight_channel(index);
        greatest[channel] = greatest[channel].max(value.abs());
    }
    // A channel without weights gets steps of 1/127: any will do.
    greatest
        .into_iter()
        .map(|value| {
            if value > 0.0 {
                value / GREATEST
            } else {
                1.0 / GREATEST
            }
        })
        .collect()
}

/// Weights as integers, rounded to nearest.
pub fn quantize_weights(operator: &Operator, weights: &Weights, scales: &[f32]) -> Vec<i8> {
    let quantized = |(index, value): (usize, &f32)| {
        let scale = scales[operator.weight_channel(index)];
        (value / scale).round().clamp(-GREATEST, GREATEST) as i8
    };
    weights.values.iter().enumerate().map(quantized).collect()
}

/// The scale of each output channel's weights: the one that the source fixes, or [`weight_scales`] for the bias's sake.
pub(super) fn scales(operator: &Operator, weights: &Weights, channels: usize, input_scale: f32) -> Vec<f32> {
    match &weights.quantized {
        Some(quantized) if quantized.scales.len() == 1 => vec![quantized.scales[0]; channels],
        Some(quantized) => quantized.scales.clone(),
        None => {
            let mut scales = weight_scales(operator, weights, channels);
            widen_for_bias(&mut scales, |channel| weights.bias_of(channel), input_scale);
            scales
        }
    }
}

/// The integer form of a linear operator between activations of the given scales. Its input has 16 bits if `wide`.
pub(super) fn linear(
    node: &str,
    operator: &Operator,
    channels: usize,
    window: Window,
    [input_scale, output_scale]: [f32; 2],
    wide: bool,
) -> Result<Linear, ConvertError> {
    let weights = operator.weights().expect("linear operators have weights");
    let fixed = weights.quantized.as_ref();
    let scales = scales(operator, weights, channels, input_scale);
    let values = fixed.map_or_else(
        || quantize_weights(operator, weights, &scales),
        |quantized| quantized.values.clone(),
    );
    let rounded = |channel: usize| {
        (weights.bias_of(channel) as f64 / (input_scale as f64 * scales[channel] as f64)).round()
    };
    let bias: Vec<i64> = match fixed.and_then(|quantized| quantized.bias.as_ref()) {
        Some(bias) => bias.iter().map(|bias| *bias as i64).collect(),
        None => (0..channels).map(|channel| rounded(channel) as i64).collect(),
    };
    prove_no_overflow(node, operator, &values, &bias, wide)?;
    let multipliers = scales.iter().map(|scale| {
        let ratio = input_scale as f64 * *scale as f64 / output_scale as f64;
        arithmetic::multiplier(ratio).ok_or_else(|| ConvertError::Scale {
            node: node.into(),
            ratio,
        })
    });
    let multipliers = multipliers.collect::<Result<_, _>>()?;
    Ok(Linear {
        window,
        weights: values,
        weight_bits: 8,
        bias,
        multipliers,
    })
}

/// Makes the scale of a channel larger where its bias would not fit 30 bits: a channel with tiny weights and an ordinary
/// bias is a constant, and its weights' precision does not matter.
pub fn widen_for_bias(scales: &mut [f32], bias: impl Fn(usize) -> f32, input_scale: f32) {
    const LIMIT: f32 = (1 << 30) as f32;
    for (channel, scale) in scales.iter_mut().enumerate() {
        let least = bias(channel).abs() / (input_scale * LIMIT);
        if *scale < least {
            *scale = least;
        }
    }
}

/// No input can overflow a channel's accumulator: `Σ|w| · 255 + |bias| < 2³¹`, or, with activations of 16 bits,
/// `Σ|w| · 32768 + |bias| < 2⁴⁷`.
fn prove_no_overflow(
    node: &str,
    operator: &Operator,
    values: &[i8],
    bias: &[i64],
    wide: bool,
) -> Result<(), ConvertError> {
    let (greatest, limit) = if wide { (1 << 15, 1 << 47) } else { (255, 1 << 31) };
    let mut reach: Vec<i64> = bias.iter().map(|bias| bias.saturating_abs()).collect();
    for (index, value) in values.iter().enumerate() {
        reach[operator.weight_channel(index)] += (*value as i64).abs() * greatest;
    }
    match reach.iter().position(|reach| *reach >= limit) {
        Some(channel) => Err(ConvertError::Overflow {
            node: node.into(),
            channel,
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::FullyConnected;

    fn fully_connected(values: Vec<f32>, bias: Vec<f32>) -> Operator {
        let (outputs, inputs) = (bias.len(), values.len() / bias.len());
        Operator::FullyConnected(FullyConnected {
            inputs,
            outputs,
            weights: Weights::new(values, bias),
        })
    }

    #[test]
    fn weights_are_within_half_a_step() {
        let values: Vec<f32> = (0..64).map(|i| ((i * 37 % 64) as f32 - 31.5) * 0.01).collect();
        let operator = fully_connected(values.clone(), vec![0.0; 4]);
        let linear = linear("fc", &operator, 4, Window::UNIT, [0.1, 0.2], false).unwrap();
        let scales = weight_scales(&operator, operator.weights().unwrap(), 4);
        for (index, (real, quantized)) in values.iter().zip(&linear.weights).enumerate() {
            let scale = scales[index / 16];
            assert!((real - *quantized as f32 * scale).abs() <= scale * 0.5001);
        }
    }

    #[test]
    fn a_channel_of_tiny_weights_keeps_its_bias() {
        let operator = fully_connected(vec![1e-12, -1e-12, 0.5, 0.5], vec![3.0, 1.0]);
        let linear = linear("fc", &operator, 2, Window::UNIT, [0.02, 0.05], false).unwrap();
        // The bias alone, requantized, is 3.0 / 0.05 steps.
        assert_eq!(linear.multipliers[0].apply(linear.bias[0] as i32), 60);
    }

    #[test]
    fn a_channel_that_can_overflow_is_refused() {
        let inputs = 70_000;
        let operator = fully_connected(vec![1.0; inputs], vec![0.0]);
        let error = linear("fc", &operator, 1, Window::UNIT, [0.1, 0.2], false).unwrap_err();
        assert_eq!(
            error,
            ConvertError::Overflow {
                node: "fc".into(),
                channel: 0
            }
        );
    }
}
