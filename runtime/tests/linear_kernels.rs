//! The convolution, depthwise, pointwise and fully connected kernels of every instruction set of this machine give the
//! bits of the reference kernels: on remainders of every tile, on extreme values, on unaligned memory, on bands and rings.
#![cfg(feature = "std")]

use sepconv::kernels::{self, Kernels, reference};
use sepconv::layout::{Layout, LinearShape, pack_operator};
use sepconv::operator::{Kind, Linear, Window};
use sepconv::{Band, Element, Rows, Shape};

/// Numbers that look random, the same in every run (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn within(&mut self, range: std::ops::RangeInclusive<i64>) -> i64 {
        let len = (range.end() - range.start() + 1) as u64;
        range.start() + (self.next() >> 16).rem_euclid(len) as i64
    }

    fn bytes(&mut self, len: usize, mut value: impl FnMut(&mut Self) -> i8) -> Vec<i8> {
        (0..len).map(|_| value(self)).collect()
    }
}

/// How values and parameters are drawn.
#[derive(Clone, Copy, Debug)]
enum Values {
    /// As in networks.
    Usual,
    /// Random bits everywhere, shifts of either sign.
    Any,
    /// The least and greatest values only.
    Extreme,
}

/// An operator with its plain constants.
struct Case {
    shape: LinearShape,
    weights: Vec<u8>,
    bias: Vec<u8>,
    multipliers: Vec<u8>,
    shifts: Vec<u8>,
    input_zero_point: i32,
    output_zero_point: i32,
    activation: (i32, i32),
}

impl Case {
    fn new(random: &mut Random, shape: LinearShape, values: Values) -> Self {
        let channels = shape.output.channels as usize;
        let weights = random.bytes(shape.weights_per_channel() * channels, |random| match values {
            Values::Usual => random.within(-127..=127) as i8,
            Values::Any => random.next() as i8,
            Values::Extreme => [-128, 127, -127][random.within(0..=2) as usize],
        });
        let mut words = |range: std::ops::RangeInclusive<i64>| -> Vec<u8> {
            (0..channels)
                .flat_map(|_| (random.within(range.clone()) as i32).to_le_bytes())
                .collect()
        };
        let (bias, multipliers) = match values {
            Values::Usual => (words(-40_000..=40_000), words(1 << 30..=(1 << 31) - 1)),
            Values::Any => (words(-(1 << 30)..=1 << 30), words(0..=(1 << 31) - 1)),
            Values::Extreme => (words(-(1 << 20)..=1 << 20), words(1 << 30..=(1 << 30) + 1)),
        };
        let shifts = random.bytes(channels, |random| match values {
            Values::Usual => random.within(-12..=-5) as i8,
            Values::Any => random.within(-31..=4) as i8,
            Values::Extreme => random.within(-18..=-1) as i8,
        });
        let point = |random: &mut Random| match values {
            Values::Extreme => [-128, 127][random.within(0..=1) as usize],
            // As after a ReLU.
            Values::Usual if random.within(0..=1) == 0 => -128,
            _ => random.within(-128..=127) as i32,
        };
        let (input_zero_point, output_zero_point) = (point(random), point(random));
        let activation = match random.within(0..=3) {
            0 => (output_zero_point, 127),
            1 => (output_zero_point, (output_zero_point + 30).min(127)),
            _ => (-128, 127),
        };
        Self {
            shape,
            weights: weights.iter().map(|weight| *weight as u8).collect(),
            bias,
            multipliers,
            shifts: shifts.iter().map(|shift| *shift as u8).collect(),
            input_zero_point,
            output_zero_point,
            activation,
        }
    }

    fn linear(&self) -> Linear<'_> {
        Linear {
            window: self.shape.window,
            layout: Layout::Plain,
            weight_bits: self.shape.weight_bits,
            weights: &self.weights,
            bias: &self.bias,
            multipliers: &self.multipliers,
            shifts: &self.shifts,
            input_zero_point: self.input_zero_point,
            output_zero_point: self.output_zero_point,
            activation_min: self.activation.0,
            activation_max: self.activation.1,
        }
    }
}

fn kernel(kernels: &Kernels, kind: Kind, weight_bits: u8) -> kernels::LinearKernel {
    let of_kind = match kind {
        Kind::Convolution => kernels.convolution,
        Kind::Depthwise => kernels.depthwise,
        Kind::Pointwise => kernels.pointwise,
        _ => kernels.fully_connected,
    };
    of_kind
        .of(Element::Int8, Element::Int8, weight_bits)
        .expect("every table has all linear kernels")
}

/// Runs a case on every table, whole and in two bands, and compares.
fn check(random: &mut Random, shape: LinearShape, values: Values) {
    let case = Case::new(random, shape, values);
    let input = random.bytes(shape.input.values() + 1, |random| match values {
        Values::Extreme => [-128, 127][random.within(0..=1) as usize],
        _ => random.next() as i8,
    });
    // At an odd address or not, as it comes.
    let input = &input[(random.within(0..=1) as usize)..][..shape.input.values()];
    let rows = Rows::whole(input, shape.input, Element::Int8);
    let height = shape.output.height as usize;
    let run = |kernel: kernels::LinearKernel,
               linear: &Linear,
               first_row: usize,
               rows_count: usize,
               scratch: usize| {
        let mut data = vec![0x55; rows_count * shape.output.row_values() + 1];
        let end = data.len() - 1;
        let mut band = Band {
            data: &mut data[..end],
            first_row,
            rows: rows_count,
            shape: shape.output,
            element: Element::Int8,
        };
        kernel(linear, &rows, &mut band, &mut vec![0; scratch]);
        assert_eq!(data.pop(), Some(0x55), "written beyond the band");
        data
    };
    let plain = case.linear();
    let expected = run(
        kernel(&reference::KERNELS, shape.kind, shape.weight_bits),
        &plain,
        0,
        height,
        0,
    );
    for kernels in kernels::ALL.iter().filter(|kernels| (kernels.available)()) {
        let layout = kernels.target.layout(&shape);
        let block = pack_operator(layout, &plain, &shape);
        // Some values do not fit some layouts.
        let layout = if block.is_some() { layout } else { Layout::Plain };
        let linear = match &block {
            None => plain,
            Some(block) => Linear {
                layout,
                weights: block,
                bias: &[],
                multipliers: &[],
                shifts: &[],
                ..plain
            },
        };
        assert_eq!(layout.packed_len(&shape), block.as_ref().map(Vec::len));
        let scratch = layout.scratch_len(&shape);
        let kernel = kernel(kernels, shape.kind, shape.weight_bits);
        let mut bands = vec![(0, height)];
        if height > 1 && shape.kind != Kind::FullyConnected {
            let cut = random.within(1..=height as i64 - 1) as usize;
            bands = vec![(0, height), (0, cut), (cut, height - cut)];
        }
        for (first, count) in bands {
            let from = first * shape.output.row_values();
            let expected = &expected[from..from + count * shape.output.row_values()];
            let found = run(kernel, &linear, first, count, scratch);
            if let Some(at) = found
                .iter()
                .zip(expected)
                .position(|(found, expected)| found != expected)
            {
                panic!(
                    "{}: {shape:?} {values:?}, rows {first}..{}: value {at} is {}, not {}",
                    kernels.name,
                    first + count,
                    found[at],
                    expected[at]
                );
            }
        }
    }
}

fn shape(kind: Kind, window: Window, input: Shape, channels: u32) -> LinearShape {
    let extent = |kernel: usize, dilation: usize| (kernel - 1) * dilation + 1;
    let output = |from: u32, kernel, stride: usize, dilation, pad: usize| {
        // As much padding after the input as before it.
        (from as usize + 2 * pad - extent(kernel, dilation)) / stride + 1
    };
    let output = match kind {
        Kind::FullyConnected => Shape::vector(channels),
        _ => Shape {
            height: output(
                input.height,
                window.kernel_height,
                window.stride_height,
                window.dilation_height,
                window.pad_top,
            ) as u32,
            width: output(
                input.width,
                window.kernel_width,
                window.stride_width,
                window.dilation_width,
                window.pad_left,
            ) as u32,
            channels,
        },
    };
    LinearShape {
        kind,
        window,
        element: Element::Int8,
        weight_bits: 8,
        input,
        output,
    }
}

fn square(kernel: usize, stride: usize, pad: usize) -> Window {
    Window {
        kernel_height: kernel,
        kernel_width: kernel,
        stride_height: stride,
        stride_width: stride,
        dilation_height: 1,
        dilation_width: 1,
        pad_top: pad,
        pad_left: pad,
    }
}

const ALL_VALUES: [Values; 3] = [Values::Usual, Values::Any, Values::Extreme];

/// Says which instruction sets are not exercised here, so that nobody takes silence for success.
#[test]
fn say_what_this_machine_lacks() {
    for kernels in kernels::ALL {
        if !(kernels.available)() {
            println!(
                "left out: linear kernels on {}, which this machine lacks",
                kernels.name
            );
        }
    }
}

#[test]
fn pointwise_of_every_remainder() {
    let random = &mut Random(1);
    for channels in (1..=65).chain([96, 728]) {
        for values in ALL_VALUES {
            let (width, height) = (random.within(1..=17) as u32, random.within(1..=5) as u32);
            let depth = random.within(1..=140) as u32;
            check(
                random,
                shape(
                    Kind::Pointwise,
                    Window::UNIT,
                    Shape::new(height, width, depth),
                    channels,
                ),
                values,
            );
            let depth = channels;
            let channels = random.within(1..=80) as u32;
            check(
                random,
                shape(
                    Kind::Pointwise,
                    Window::UNIT,
                    Shape::new(height, width, depth),
                    channels,
                ),
                values,
            );
        }
    }
    // Several blocks of pixels.
    check(
        random,
        shape(Kind::Pointwise, Window::UNIT, Shape::new(19, 19, 728), 40),
        Values::Usual,
    );
    check(
        random,
        shape(Kind::Pointwise, Window::UNIT, Shape::new(40, 45, 7), 33),
        Values::Usual,
    );
}

#[test]
fn depthwise_of_every_remainder() {
    let random = &mut Random(2);
    for channels in (1..=65).chain([127, 129, 728]) {
        for values in ALL_VALUES {
            let kernel = [1, 2, 3, 3, 3, 4, 5, 7][random.within(0..=7) as usize];
            let mut window = square(
                kernel,
                random.within(1..=3) as usize,
                random.within(0..=kernel as i64 / 2) as usize,
            );
            if random.within(0..=5) == 0 {
                (window.dilation_height, window.dilation_width) = (2, 3);
                window.pad_top += kernel / 2;
            }
            let size = |random: &mut Random| random.within(7 * 3..=40) as u32;
            let (height, width) = (size(random), size(random));
            check(
                random,
                shape(
                    Kind::Depthwise,
                    window,
                    Shape::new(height, width, channels),
                    channels,
                ),
                values,
            );
        }
    }
    // Several segments of columns.
    for stride in 1..=2 {
        check(
            random,
            shape(Kind::Depthwise, square(3, stride, 1), Shape::new(5, 149, 66), 66),
            Values::Usual,
        );
    }
}

#[test]
fn convolution_of_every_window() {
    let random = &mut Random(3);
    for round in 0..60 {
        let values = ALL_VALUES[round % 3];
        let kernel = random.within(1..=5) as usize;
        let mut window = square(
            kernel,
            random.within(1..=3) as usize,
            random.within(0..=kernel as i64 / 2) as usize,
        );
        if round % 5 == 0 {
            (window.dilation_height, window.dilation_width) = (1, 2);
        }
        let input = Shape::new(
            random.within(9..=20) as u32,
            random.within(9..=20) as u32,
            random.within(1..=20) as u32,
        );
        let channels = random.within(1..=70) as u32;
        check(random, shape(Kind::Convolution, window, input, channels), values);
    }
    check(
        random,
        shape(Kind::Convolution, square(3, 2, 0), Shape::new(51, 51, 3), 32),
        Values::Usual,
    );
}

#[test]
fn fully_connected_of_every_remainder() {
    let random = &mut Random(4);
    for channels in (1..=65).chain([1000]) {
        let values = ALL_VALUES[channels as usize % 3];
        let input = Shape::new(
            random.within(1..=3) as u32,
            random.within(1..=3) as u32,
            random.within(1..=200) as u32,
        );
        check(
            random,
            shape(Kind::FullyConnected, Window::UNIT, input, channels),
            values,
        );
    }
}

#[test]
fn four_bit_weights() {
    let random = &mut Random(5);
    for (kind, window) in [
        (Kind::Pointwise, Window::UNIT),
        (Kind::Depthwise, square(3, 1, 1)),
        (Kind::Convolution, square(3, 2, 1)),
    ] {
        for channels in [1, 7, 32, 45, 65] {
            let depth = if kind == Kind::Depthwise { channels } else { 9 };
            let shape = LinearShape {
                weight_bits: 4,
                ..shape(kind, window, Shape::new(9, 9, depth), channels)
            };
            check(random, shape, Values::Any);
        }
    }
}
