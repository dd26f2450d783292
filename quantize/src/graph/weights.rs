//! Weights of a convolution or fully connected layer.

/// Float weights, with the int8 values they came from where the source was already quantized.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// Values in the operator's order.
    pub values: Vec<f32>,
    /// One value per output channel, in the real domain; empty stands for no bias.
    pub bias: Vec<f32>,
    /// What an already quantized source gives exactly.
    pub quantized: Option<QuantizedWeights>,
}

/// int8 weights with their scales, as an already quantized source gives them: `real = scales[channel] * values[i]`.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedWeights {
    /// Values in the same order as the float weights; zero point 0.
    pub values: Vec<i8>,
    /// One scale for all, or one per output channel.
    pub scales: Vec<f32>,
    /// Bias in steps of input scale times weight scale, where the source quantizes it.
    pub bias: Option<Vec<i32>>,
}

impl Weights {
    /// Float weights.
    pub fn new(values: Vec<f32>, bias: Vec<f32>) -> Self {
        Weights {
            values,
            bias,
            quantized: None,
        }
    }

    /// The bias of a channel; 0 where there is none.
    pub fn bias_of(&self, channel: usize) -> f32 {
        self.bias.get(channel).copied().unwrap_or(0.0)
    }

    /// Multiplies each output channel's weights and bias by `scale` and then adds `offset` to the bias. `channel_of`
    /// gives the output channel of a weight's index. The weights must not be quantized.
    pub fn scale_outputs(&mut self, scale: &[f32], offset: &[f32], channel_of: impl Fn(usize) -> usize) {
        assert!(self.quantized.is_none(), "quantized weights are fixed");
        for (i, value) in self.values.iter_mut().enumerate() {
            *value *= scale[channel_of(i)];
        }
        self.bias = (0..scale.len())
            .map(|c| self.bias_of(c) * scale[c] + offset[c])
            .collect();
    }
}
