//! Whether a table's linear kernels give the bits of the specification, on random operators with adversarial shapes and
//! values. Runs wherever the table does: on a host, in an emulator, on a board.

use super::{Kernels, LinearKernels, reference};
use crate::layout::{Layout, LinearShape, pack_operator};
use crate::operator::{Kind, Linear, Window};
use crate::{AlignedVec, Band, Element, Rows, Shape};
use alloc::vec::Vec;

/// An operator on which a table differs from the specification.
///
/// ```
/// use sepconv::kernels::{equality, reference};
/// let difference = equality::check(&reference::KERNELS, 1, 3).err();
/// assert!(difference.is_none(), "{difference:?}"); // the specification equals itself
/// ```
#[derive(Clone, Debug)]
pub struct Difference {
    /// The operator.
    pub shape: LinearShape,
    /// How its constants were arranged.
    pub layout: Layout,
    /// The number that its values were drawn with.
    pub seed: u32,
    /// The first output value that differs: its number, the specification's value and the kernel's. The number after the
    /// last is that of the byte behind the output, which was written.
    pub first: (usize, i8, i8),
}

/// Which values of weights are drawn.
///
/// ```
/// use sepconv::kernels::equality::{Weights, check_remainders};
/// use sepconv::kernels::reference;
/// assert!(check_remainders(&reference::KERNELS, 1, Weights::NotNegative).is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// All from −128 to 127.
    All,
    /// Those from 0 to 127: for emulators that take weights as unsigned.
    NotNegative,
}

/// Compares a table with the specification on `count` operators of each kind, with int8 activations and weights. Returns
/// how many operators were compared in a packed layout.
///
/// ```
/// use sepconv::kernels::{best, equality};
/// let packed = equality::check(best(), 1, 3).expect("kernels equal the specification");
/// println!("{packed} operators in a packed layout");
/// ```
///
/// # Errors
///
/// [`Difference`] on the first operator that differs.
pub fn check(kernels: &Kernels, seed: u32, count: u32) -> Result<usize, Difference> {
    let mut packed = 0;
    for kind in [
        Kind::Pointwise,
        Kind::Depthwise,
        Kind::Convolution,
        Kind::FullyConnected,
    ] {
        for number in 0..count {
            let mut random = Random::new(seed ^ number.wrapping_mul(0x9e37_79b9) ^ (kind as u32) << 24);
            let shape = random.shape(kind);
            packed += compare(kernels, &shape, random.next())? as usize;
        }
    }
    Ok(packed)
}

/// Compares a table with the specification on pointwise convolutions of every small number of pixels, output channels and
/// inputs, so that every remainder of a tile occurs, and on some that take many tiles. Returns how many were compared in a
/// packed layout. Takes about a megabyte of memory.
///
/// ```
/// use sepconv::kernels::{best, equality};
/// use sepconv::kernels::equality::Weights;
/// let packed = equality::check_remainders(best(), 1, Weights::All).expect("kernels equal the specification");
/// println!("{packed} operators in a packed layout");
/// ```
///
/// # Errors
///
/// [`Difference`] on the first operator that differs.
pub fn check_remainders(kernels: &Kernels, seed: u32, weights: Weights) -> Result<usize, Difference> {
    // Each dimension runs through all its values while the others, at strides without common divisors, run through theirs.
    let steps = (0..2 * 130).map(|i| (i * 7 % 33 + 1, i * 11 % 65 + 1, i % 130 + 1));
    let large = [
        (33, 728, 130),
        (65, 33, 728),
        (49, 65, 728),
        (1, 728, 64),
        // More pixels than are prepared at a time.
        (4800, 17, 5),
        (400, 40, 700),
    ];
    let mut packed = 0;
    for (number, (pixels, channels, depth)) in steps.chain(large).enumerate() {
        let shape = LinearShape {
            kind: Kind::Pointwise,
            window: Window::UNIT,
            element: Element::Int8,
            weight_bits: 8,
            input: Shape::new(1, pixels, depth),
            output: Shape::new(1, pixels, channels),
        };
        let seed = seed ^ (number as u32).wrapping_mul(0x9e37_79b9);
        packed += compare_with(kernels, &shape, seed, weights)? as usize;
    }
    Ok(packed)
}

/// Compares a table with the specification on one operator whose values `seed` decides. Returns whether it was packed.
///
/// ```
/// use sepconv::kernels::{best, equality};
/// use sepconv::operator::{Kind, Window};
/// use sepconv::{Element, Shape, layout::LinearShape};
/// let shape = LinearShape {
///     kind: Kind::Pointwise,
///     window: Window::UNIT,
///     element: Element::Int8,
///     weight_bits: 8,
///     input: Shape::new(3, 5, 17),
///     output: Shape::new(3, 5, 9),
/// };
/// assert!(equality::compare(best(), &shape, 1).is_ok());
/// ```
///
/// # Errors
///
/// [`Difference`] if any band of rows differs.
pub fn compare(kernels: &Kernels, shape: &LinearShape, seed: u32) -> Result<bool, Difference> {
    compare_with(kernels, shape, seed, Weights::All)
}

/// As [`compare`], with weights of some values only.
fn compare_with(
    kernels: &Kernels,
    shape: &LinearShape,
    seed: u32,
    weights: Weights,
) -> Result<bool, Difference> {
    let mut random = Random::new(seed);
    let mut constants = Constants::random(shape, &mut random);
    if weights == Weights::NotNegative {
        constants.weights.iter_mut().for_each(|weight| *weight &= 127);
    }
    let linear = constants.linear(shape);
    let layout = kernels.target.layout(shape);
    let block = pack_operator(layout, &linear, shape).map(|block| AlignedVec::copy_of(&block));
    let layout = if block.is_some() { layout } else { Layout::Plain };
    let other = Linear {
        layout,
        weights: block.as_ref().map_or(linear.weights, |block| &block[..]),
        ..linear
    };
    // Rows of a band may be at odd addresses. What lies around the output must stay; around the input and in the scratch
    // memory it must not matter.
    let odd = random.below(2) as usize;
    let input: Vec<i8> = (0..odd + shape.input.values()).map(|_| random.value()).collect();
    let input = &input[odd..];
    let len = shape.output.values();
    let mut expected = alloc::vec![AROUND; len + 1];
    let mut around = alloc::vec![AROUND; odd + len + 1];
    let actual = &mut around[odd..];
    // Scratch memory is for the most rows that a band has.
    let split = random.below(shape.output.height);
    let band = Shape {
        height: split.max(shape.output.height - split),
        ..shape.output
    };
    let scratch_len = layout.scratch_len(&LinearShape {
        output: band,
        ..*shape
    });
    let mut scratch = AlignedVec::<i8>::zeroed(scratch_len);
    scratch.fill(random.value());
    run(
        &reference::KERNELS,
        shape,
        &linear,
        input,
        &mut expected[..len],
        0,
        &mut [],
    );
    run(
        kernels,
        shape,
        &other,
        input,
        &mut actual[..len],
        split as usize,
        &mut scratch,
    );
    let differs = expected.iter().zip(&*actual).position(|(a, b)| a != b);
    match differs {
        None => Ok(block.is_some()),
        Some(at) => Err(Difference {
            shape: *shape,
            layout,
            seed,
            first: (at, expected[at], actual[at]),
        }),
    }
}

/// A byte that lies around outputs.
const AROUND: i8 = 99;

/// Runs a table's kernel: rows before `split` first, then the others.
fn run(
    kernels: &Kernels,
    shape: &LinearShape,
    linear: &Linear,
    input: &[i8],
    output: &mut [i8],
    split: usize,
    scratch: &mut [i8],
) {
    let of_kind: &LinearKernels = match shape.kind {
        Kind::Convolution => &kernels.convolution,
        Kind::Depthwise => &kernels.depthwise,
        Kind::Pointwise => &kernels.pointwise,
        _ => &kernels.fully_connected,
    };
    let Some(kernel) = of_kind.int8 else { return };
    let rows = Rows::whole(input, shape.input, Element::Int8);
    let (head, tail) = output.split_at_mut(split * shape.output.row_values());
    for (data, first_row) in [(head, 0), (tail, split)] {
        if data.is_empty() {
            continue;
        }
        let rows_in_band = data.len() / shape.output.row_values();
        let mut band = Band {
            data,
            first_row,
            rows: rows_in_band,
            shape: shape.output,
            element: Element::Int8,
        };
        kernel(linear, &rows, &mut band, scratch);
    }
}

/// The plain constants of an operator.
struct Constants {
    weights: Vec<u8>,
    bias: Vec<u8>,
    multipliers: Vec<u8>,
    shifts: Vec<u8>,
    zero_points: (i32, i32),
    activation: (i32, i32),
}

impl Constants {
    fn random(shape: &LinearShape, random: &mut Random) -> Self {
        let channels = shape.output.channels as usize;
        let depth = shape.weights_per_channel();
        let extreme = random.below(4) == 0;
        // Sums are below depth × 2^15, so that outputs are neither all saturated nor all alike around such a shift.
        let usual = -(depth.ilog2() as i32) / 2 - 6 + random.below(5) as i32;
        let any_shift = random.below(4) == 0;
        let some_constant = random.below(4) == 0;
        let weights = (0..channels * depth).map(|_| match random.below(8) {
            0 => 127u8,
            1 => (if extreme { -128i8 } else { -127 }) as u8,
            _ if extreme => (if random.below(2) == 0 { 127 } else { -127i8 }) as u8,
            // Some kernels leave operators with weights of −128 to the specification.
            _ => (random.next() as i8).max(-127) as u8,
        });
        let weights = weights.collect();
        let mut constants = Self {
            weights,
            bias: Vec::new(),
            multipliers: Vec::new(),
            shifts: Vec::new(),
            zero_points: (random.value() as i32, random.value() as i32),
            activation: (-128, 127),
        };
        match random.below(4) {
            0 => constants.zero_points.1 = -128,
            1 => constants.activation = (random.below(128) as i32 - 128, random.below(128) as i32),
            2 => constants.zero_points = (-128, -128),
            _ => (),
        }
        for _ in 0..channels {
            let bias = (random.next() as i32) >> (8 + random.below(16));
            let mantissa = match random.below(8) {
                0 => 1 << 30,
                1 => i32::MAX,
                2 if any_shift => 0,
                _ => 1 << 30 | (random.next() >> 2) as i32,
            };
            let shift = if any_shift {
                -(random.below(33) as i32 - 1)
            } else {
                usual.min(-2)
            };
            // A channel that no input can change, among others that it can.
            let (mantissa, shift) = match some_constant {
                true if random.below(3) == 0 => (mantissa, -31),
                _ => (mantissa, shift),
            };
            constants.bias.extend_from_slice(&bias.to_le_bytes());
            constants.multipliers.extend_from_slice(&mantissa.to_le_bytes());
            constants.shifts.push(shift as i8 as u8);
        }
        constants
    }

    fn linear(&self, shape: &LinearShape) -> Linear<'_> {
        Linear {
            window: shape.window,
            layout: Layout::Plain,
            weight_bits: 8,
            weights: &self.weights,
            bias: &self.bias,
            multipliers: &self.multipliers,
            shifts: &self.shifts,
            input_zero_point: self.zero_points.0,
            output_zero_point: self.zero_points.1,
            activation_min: self.activation.0,
            activation_max: self.activation.1,
        }
    }
}

/// Marsaglia's xorshift with 32 bits.
struct Random(u32);

impl Random {
    fn new(seed: u32) -> Self {
        let mut random = Self(seed | 1);
        // Seeds that differ little start alike.
        for _ in 0..8 {
            random.next();
        }
        random
    }

    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    fn below(&mut self, limit: u32) -> u32 {
        ((self.next() as u64 * limit as u64) >> 32) as u32
    }

    fn one_of(&mut self, values: &[u32]) -> u32 {
        values
            .get(self.below(values.len() as u32) as usize)
            .copied()
            .unwrap_or(1)
    }

    /// A value, often an extreme one.
    fn value(&mut self) -> i8 {
        match self.below(8) {
            0 => -128,
            1 => 127,
            _ => self.next() as i8,
        }
    }

    fn shape(&mut self, kind: Kind) -> LinearShape {
        let sizes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 16, 17];
        let channels = [
            1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 20, 31, 32, 33, 40, 48, 64, 68,
        ];
        let mut input = Shape::new(self.one_of(&sizes), self.one_of(&sizes), self.one_of(&channels));
        let mut window = Window::UNIT;
        let mut outputs = self.one_of(&channels);
        match kind {
            Kind::Pointwise | Kind::FullyConnected => {
                if kind == Kind::FullyConnected {
                    input = Shape::new(self.below(4) + 1, self.below(4) + 1, input.channels);
                }
                if self.below(4) == 0 {
                    input = Shape::new(
                        1,
                        self.below(3) + 1,
                        self.one_of(&[127, 128, 129, 256, 384, 512, 728, 1025]),
                    );
                    outputs = self.one_of(&channels[..12]);
                }
            }
            _ => window = self.window(kind, &mut input, &mut outputs),
        }
        let size = |input: u32, kernel: usize, stride: usize, dilation: usize, pad: usize| {
            ((input as usize + 2 * pad - (kernel - 1) * dilation - 1) / stride + 1) as u32
        };
        let w = &window;
        let mut output = Shape::new(
            size(
                input.height,
                w.kernel_height,
                w.stride_height,
                w.dilation_height,
                w.pad_top,
            ),
            size(
                input.width,
                w.kernel_width,
                w.stride_width,
                w.dilation_width,
                w.pad_left,
            ),
            outputs,
        );
        if kind == Kind::FullyConnected {
            output = Shape::vector(outputs);
        }
        LinearShape {
            kind,
            window,
            element: Element::Int8,
            weight_bits: 8,
            input,
            output,
        }
    }

    /// A window that fits the input, which grows where it is too small.
    fn window(&mut self, kind: Kind, input: &mut Shape, outputs: &mut u32) -> Window {
        let usual = self.below(3) > 0;
        let mut window = Window {
            kernel_height: 3,
            kernel_width: 3,
            stride_height: self.below(2) as usize + 1,
            ..Window::UNIT
        };
        window.stride_width = window.stride_height;
        if !usual {
            window.kernel_height = self.below(5) as usize + 1;
            window.kernel_width = self.below(5) as usize + 1;
            window.stride_width = self.below(3) as usize + 1;
            window.dilation_height = self.below(2) as usize + 1;
            window.dilation_width = self.below(2) as usize + 1;
        }
        let extent = |kernel: usize, dilation: usize| (kernel - 1) * dilation + 1;
        let (height, width) = (
            extent(window.kernel_height, window.dilation_height),
            extent(window.kernel_width, window.dilation_width),
        );
        // As much padding above as below; the window may start anywhere in the padding.
        window.pad_top = self.below(height as u32 / 2 + 1) as usize;
        window.pad_left = self.below(width as u32 / 2 + 1) as usize;
        input.height = input.height.max(height as u32);
        input.width = input.width.max(width as u32);
        if kind == Kind::Depthwise {
            if usual {
                input.channels = input.channels.next_multiple_of(4);
            }
            *outputs = input.channels * if usual { 1 } else { self.below(3) + 1 };
        } else if self.below(4) == 0 {
            input.channels = self.one_of(&[1, 3]);
        } else {
            input.channels = input.channels.min(20);
        }
        window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specification_equals_itself() {
        assert_eq!(check(&reference::KERNELS, 1, 20).unwrap(), 0);
    }
}
