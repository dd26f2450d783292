//! What an operator's output is by definition: each value by itself, in wide integers, with every rounding spelled out.

use sepconv::fixed_point::Multiplier;
use sepconv::operator::{Binary, Linear, Operator, Pool, Window};
use sepconv::{Element, Model, Shape};

/// A whole tensor.
#[derive(Clone)]
pub struct Values {
    pub shape: Shape,
    pub element: Element,
    pub values: Vec<i64>,
}

impl Values {
    pub fn new(shape: Shape, element: Element, bytes: &[i8]) -> Self {
        let values = match element {
            Element::Int8 => bytes.iter().map(|byte| *byte as i64).collect(),
            Element::Int16 => bytes
                .chunks(2)
                .map(|pair| (pair[0] as u8 as i64) | (pair[1] as i64) << 8)
                .collect(),
        };
        Self {
            shape,
            element,
            values,
        }
    }

    /// The value at (y, x, c); `None` outside.
    fn get(&self, y: i64, x: i64, c: i64) -> Option<i64> {
        let Shape {
            height,
            width,
            channels,
        } = self.shape;
        let inside = (0..height as i64).contains(&y)
            && (0..width as i64).contains(&x)
            && (0..channels as i64).contains(&c);
        inside.then(|| self.values[((y * width as i64 + x) * channels as i64 + c) as usize])
    }

    fn at(&self, y: i64, x: i64, c: i64) -> i64 {
        self.get(y, x, c).expect("a position within the tensor")
    }
}

/// The output of operator 0 of a model, to be compared exactly (softmax: to within one unit in 2^8 or eight in 2^16).
pub fn output(model: &Model, inputs: &[Values]) -> Vec<i64> {
    let record = model.record(0).unwrap();
    let (_, operator) = model.operator(0).unwrap();
    let to = model.tensor(record.output);
    let mut values = Vec::new();
    for y in 0..to.shape.height as i64 {
        for x in 0..to.shape.width as i64 {
            for c in 0..to.shape.channels as i64 {
                values.push(value(&operator, inputs, to.shape, to.element, (y, x, c)));
            }
        }
    }
    values
}

fn value(
    operator: &Operator,
    inputs: &[Values],
    to: Shape,
    element: Element,
    (y, x, c): (i64, i64, i64),
) -> i64 {
    let input = &inputs[0];
    match operator {
        Operator::Convolution(linear) | Operator::Pointwise(linear) => {
            let depth = input.shape.channels as i64;
            let taps = (linear.window.kernel_height * linear.window.kernel_width) as i64;
            linear_value(linear, input.element, c, |tap, (ky, kx)| {
                (0..depth)
                    .map(|d| {
                        let weight = weight(linear, (c * taps + tap) * depth + d);
                        difference(linear, input, position(&linear.window, (y, x), (ky, kx)), d) * weight
                    })
                    .sum()
            })
        }
        Operator::Depthwise(linear) => {
            let source = c / (to.channels / input.shape.channels) as i64;
            linear_value(linear, input.element, c, |tap, (ky, kx)| {
                let weight = weight(linear, tap * to.channels as i64 + c);
                difference(linear, input, position(&linear.window, (y, x), (ky, kx)), source) * weight
            })
        }
        Operator::FullyConnected(linear) => {
            let depth = input.values.len() as i64;
            let products = input.values.iter().zip(0..).map(|(value, number)| {
                (value - linear.input_zero_point as i64) * weight(linear, c * depth + number)
            });
            let sum = bias(linear, input.element, c) + products.sum::<i64>();
            finish_linear(linear, input.element, sum, c)
        }
        Operator::Add(binary) => {
            let (a, b) = operands(binary, inputs, element, (y, x, c));
            let shift = binary.left_shift;
            let sum = exact(binary.a_multiplier, a << shift) + exact(binary.b_multiplier, b << shift);
            finish_binary(binary, sum)
        }
        Operator::Mul(binary) => {
            let (a, b) = operands(binary, inputs, element, (y, x, c));
            finish_binary(binary, a * b)
        }
        Operator::AveragePool(pool) => {
            let pooled = pooled(pool, input, (y, x, c));
            let mean = pooled.iter().sum::<i64>() as f64 / pooled.len() as f64;
            // `round` takes ties away from zero.
            (mean.round() as i64).clamp(pool.activation_min as i64, pool.activation_max as i64)
        }
        Operator::MaxPool(pool) => {
            let greatest = *pooled(pool, input, (y, x, c)).iter().max().unwrap();
            greatest.clamp(pool.activation_min as i64, pool.activation_max as i64)
        }
        Operator::Mean(mean) => {
            let pixels = (0..input.shape.height as i64)
                .flat_map(|y| (0..input.shape.width as i64).map(move |x| (y, x)));
            let sum: i64 = pixels
                .map(|(y, x)| input.at(y, x, c) - mean.input_zero_point as i64)
                .sum();
            (exact(mean.multiplier, sum) + mean.output_zero_point as i64)
                .clamp(mean.activation_min as i64, mean.activation_max as i64)
        }
        Operator::Pad(pad) => {
            let inside = input.get(y - pad.top as i64, x - pad.left as i64, c - pad.front as i64);
            inside.unwrap_or(pad.value as i64)
        }
        Operator::Concatenation(concatenation) => {
            let mut position = [y, x, c];
            let axis = concatenation.axis as usize;
            for input in inputs {
                let [y, x, c] = position;
                if let Some(value) = input.get(y, x, c) {
                    return value;
                }
                position[axis] -= [input.shape.height, input.shape.width, input.shape.channels][axis] as i64;
            }
            panic!("a position beyond all inputs")
        }
        Operator::Reshape => {
            let number = (y * to.width as i64 + x) * to.channels as i64 + c;
            input.values[number as usize]
        }
        Operator::Softmax(softmax) => {
            let channels = 0..input.shape.channels as i64;
            let scale = softmax.multiplier.to_real() / (1u64 << 26) as f64;
            let exponential = |c: i64| (input.at(y, x, c) as f64 * scale).exp();
            let share = exponential(c) / channels.map(exponential).sum::<f64>();
            match element {
                Element::Int8 => ((share * 256.0).round() as i64 - 128).min(127),
                Element::Int16 => ((share * 65536.0).round() as i64 - 32768).min(32767),
            }
        }
        Operator::Lookup(lookup) => lookup.table[(input.at(y, x, c) + 128) as usize] as i8 as i64,
        Operator::Requantize(requantize) => {
            let scaled = exact(
                requantize.multiplier,
                input.at(y, x, c) - requantize.input_zero_point as i64,
            );
            (scaled + requantize.output_zero_point as i64)
                .clamp(requantize.activation_min as i64, requantize.activation_max as i64)
        }
        Operator::ResizeNearest(resize) => input.at(
            resize.source_row(y as usize) as i64,
            resize.source_column(x as usize) as i64,
            c,
        ),
        Operator::Transpose(transpose) => {
            let mut from = [0; 3];
            for (axis, position) in transpose.permutation.into_iter().zip([y, x, c]) {
                from[axis as usize] = position;
            }
            input.at(from[0], from[1], from[2])
        }
        Operator::ArgMax(_) => {
            let channels = 0..input.shape.channels as i64;
            let greatest = channels.clone().map(|c| input.at(y, x, c)).max().unwrap();
            channels
                .into_iter()
                .find(|c| input.at(y, x, *c) == greatest)
                .unwrap()
        }
    }
}

/// `value × multiplier`: the product of the doubled numbers' upper half, rounded half up, then the shift to the right, ties
/// away from zero.
pub fn exact(multiplier: Multiplier, value: i64) -> i64 {
    let (left, right) = (multiplier.shift.max(0), (-multiplier.shift).max(0));
    let product = ((value as i128) << left) * multiplier.mantissa.to_bits() as i128;
    let high = (product + (1 << 30)).div_euclid(1 << 31);
    let half = (1i128 << right) / 2;
    let magnitude = (high.abs() + half) >> right;
    (if high < 0 { -magnitude } else { magnitude }) as i64
}

fn weight(linear: &Linear, number: i64) -> i64 {
    let number = number as usize;
    if linear.weight_bits == 8 {
        return linear.weights[number] as i8 as i64;
    }
    let nibble = (linear.weights[number / 2] >> (number % 2 * 4) & 15) as i64;
    if nibble < 8 { nibble } else { nibble - 16 }
}

fn bias(linear: &Linear, element: Element, channel: i64) -> i64 {
    match element {
        Element::Int8 => linear.bias(channel as usize) as i64,
        Element::Int16 => linear.wide_bias(channel as usize),
    }
}

/// Where a window's tap lies in the input, perhaps outside.
fn position(window: &Window, (y, x): (i64, i64), (ky, kx): (i64, i64)) -> (i64, i64) {
    (
        y * window.stride_height as i64 + ky * window.dilation_height as i64 - window.pad_top as i64,
        x * window.stride_width as i64 + kx * window.dilation_width as i64 - window.pad_left as i64,
    )
}

/// A value less the zero point; 0 in the padding.
fn difference(linear: &Linear, input: &Values, (y, x): (i64, i64), channel: i64) -> i64 {
    let value = input.get(y, x, channel);
    value.map_or(0, |value| value - linear.input_zero_point as i64)
}

fn taps(window: &Window) -> impl Iterator<Item = (i64, (i64, i64))> {
    let (height, width) = (window.kernel_height as i64, window.kernel_width as i64);
    (0..height * width).map(move |tap| (tap, (tap / width, tap % width)))
}

fn linear_value(
    linear: &Linear,
    element: Element,
    channel: i64,
    products: impl Fn(i64, (i64, i64)) -> i64,
) -> i64 {
    let sum: i64 = taps(&linear.window)
        .map(|(tap, place)| products(tap, place))
        .sum();
    finish_linear(linear, element, bias(linear, element, channel) + sum, channel)
}

fn finish_linear(linear: &Linear, element: Element, sum: i64, channel: i64) -> i64 {
    let multiplier = linear.multiplier(channel as usize);
    let scaled = match element {
        Element::Int8 => exact(multiplier, sum),
        Element::Int16 => {
            // A mantissa of 16 bits, and one rounding, half up.
            let mantissa = (multiplier.mantissa.to_bits() as i128 + (1 << 15)).div_euclid(1 << 16);
            let product = sum as i128 * mantissa.min(0x7fff);
            let shift = 15 - multiplier.shift as i32;
            (product + (1i128 << (shift - 1))).div_euclid(1i128 << shift) as i64
        }
    };
    (scaled + linear.output_zero_point as i64)
        .clamp(linear.activation_min as i64, linear.activation_max as i64)
}

/// The operands less their zero points.
fn operands(binary: &Binary, inputs: &[Values], element: Element, (y, x, c): (i64, i64, i64)) -> (i64, i64) {
    let a = &inputs[0];
    let number = ((y * a.shape.width as i64 + x) * a.shape.channels as i64 + c) as usize;
    let b = if binary.constant.is_empty() {
        let b = &inputs[1];
        let along = |position: i64, size: u32| if size == 1 { 0 } else { position };
        b.at(
            along(y, b.shape.height),
            along(x, b.shape.width),
            along(c, b.shape.channels),
        )
    } else {
        let bytes: Vec<i8> = binary.constant.iter().map(|byte| *byte as i8).collect();
        let constant = Values::new(Shape::vector(0), element, &bytes).values;
        constant[number % constant.len()]
    };
    (
        a.values[number] - binary.a_zero_point as i64,
        b - binary.b_zero_point as i64,
    )
}

fn finish_binary(binary: &Binary, accumulator: i64) -> i64 {
    let scaled = exact(binary.output_multiplier, accumulator) + binary.output_zero_point as i64;
    scaled.clamp(binary.activation_min as i64, binary.activation_max as i64)
}

/// The values of a window that lie within the input.
fn pooled(pool: &Pool, input: &Values, (y, x, c): (i64, i64, i64)) -> Vec<i64> {
    taps(&pool.window)
        .filter_map(|(_, place)| {
            let (y, x) = position(&pool.window, (y, x), place);
            input.get(y, x, c)
        })
        .collect()
}
