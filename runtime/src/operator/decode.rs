//! From records to operators.

use super::{
    ArgMax, Binary, Concatenation, Kind, Linear, Lookup, Mean, Operator, Pad, Pool, Requantize,
    ResizeNearest, Softmax, Transpose, Window,
};
use crate::fixed_point::Multiplier;
use crate::format::OperatorRecord;
use crate::layout::Layout;
use crate::layout::x86_sum::SumConstants;

/// Zero points of an operator's tensors: the first input's, the second's, the output's.
pub(crate) struct ZeroPoints {
    pub a: i32,
    pub b: i32,
    pub output: i32,
}

/// The operator of a record. `constants` is the section of constants, `channels` the number of output channels.
#[inline]
pub(crate) fn decode<'m>(
    record: &OperatorRecord,
    kind: Kind,
    layout: Layout,
    zero_points: &ZeroPoints,
    constants: &'m [u8],
    channels: usize,
    bias_bytes: usize,
) -> Operator<'m> {
    let window = || Window {
        kernel_height: record.kernel_height as usize,
        kernel_width: record.kernel_width as usize,
        stride_height: record.stride_height as usize,
        stride_width: record.stride_width as usize,
        dilation_height: record.dilation_height as usize,
        dilation_width: record.dilation_width as usize,
        pad_top: record.pad_top as usize,
        pad_left: record.pad_left as usize,
    };
    let section = |offset: u32, len: usize| {
        let offset = offset as usize;
        constants.get(offset..offset.saturating_add(len)).unwrap_or(&[])
    };
    let weights = || section(record.weights_offset, record.weights_len as usize);
    let (activation_min, activation_max) = (record.activation_min as i32, record.activation_max as i32);
    let linear = || {
        // A packed layout keeps everything with the weights.
        let channels = if layout == Layout::Plain { channels } else { 0 };
        Linear {
            window: window(),
            layout,
            weight_bits: record.weight_bits,
            weights: weights(),
            bias: section(record.bias_offset, channels * bias_bytes),
            multipliers: section(record.multipliers_offset, channels * 4),
            shifts: section(record.shifts_offset, channels),
            input_zero_point: zero_points.a,
            output_zero_point: zero_points.output,
            activation_min,
            activation_max,
        }
    };
    let [p0, p1, p2, p3, p4, p5, p6] = record.params;
    let binary = || Binary {
        constant: weights(),
        packed: match record.bias_offset {
            offset if SumConstants::KNOWN && offset > 0 => section(offset, SumConstants::SIZE),
            _ => &[],
        },
        a_zero_point: zero_points.a,
        b_zero_point: if record.weights_len == 0 {
            zero_points.b
        } else {
            (p6 as i16) as i32
        },
        output_zero_point: zero_points.output,
        left_shift: (p6 >> 16) as u8,
        a_multiplier: Multiplier::from_bits(p0, p1 as i8),
        b_multiplier: Multiplier::from_bits(p2, p3 as i8),
        output_multiplier: Multiplier::from_bits(p4, p5 as i8),
        activation_min,
        activation_max,
    };
    let pool = || Pool {
        window: window(),
        activation_min,
        activation_max,
    };
    match kind {
        Kind::Convolution => Operator::Convolution(linear()),
        Kind::Depthwise => Operator::Depthwise(linear()),
        Kind::Pointwise => Operator::Pointwise(linear()),
        Kind::FullyConnected => Operator::FullyConnected(linear()),
        Kind::Add => Operator::Add(binary()),
        Kind::Mul => Operator::Mul(binary()),
        Kind::AveragePool => Operator::AveragePool(pool()),
        Kind::MaxPool => Operator::MaxPool(pool()),
        Kind::Mean => Operator::Mean(Mean {
            input_zero_point: zero_points.a,
            output_zero_point: zero_points.output,
            multiplier: Multiplier::from_bits(p0, p1 as i8),
            activation_min,
            activation_max,
        }),
        Kind::Pad => Operator::Pad(Pad {
            top: record.pad_top as u32,
            left: record.pad_left as u32,
            front: p0 as u32,
            value: p1,
        }),
        Kind::Concatenation => Operator::Concatenation(Concatenation { axis: p0 as u8 }),
        Kind::Reshape => Operator::Reshape,
        Kind::Softmax => Operator::Softmax(Softmax {
            multiplier: Multiplier::from_bits(p0, p1 as i8),
            difference_min: p2,
        }),
        Kind::Lookup => Operator::Lookup(Lookup { table: weights() }),
        Kind::Requantize => Operator::Requantize(Requantize {
            input_zero_point: zero_points.a,
            output_zero_point: zero_points.output,
            multiplier: Multiplier::from_bits(p0, p1 as i8),
            activation_min,
            activation_max,
        }),
        Kind::ResizeNearest => {
            let (rows, columns) = weights().split_at_checked(p0 as usize).unwrap_or((&[], &[]));
            Operator::ResizeNearest(ResizeNearest { rows, columns })
        }
        Kind::Transpose => Operator::Transpose(Transpose {
            permutation: [p0 as u8, p1 as u8, p2 as u8],
        }),
        Kind::ArgMax => Operator::ArgMax(ArgMax),
    }
}
