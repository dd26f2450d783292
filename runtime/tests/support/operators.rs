//! Random operators of every kind.

use super::Random;
use super::net::{Net, record, set_multiplier, set_window, zero_point};
use sepconv::fixed_point::Multiplier;
use sepconv::format::OperatorRecord;
use sepconv::operator::{Kind, Softmax, Window};
use sepconv::{Element, Shape};

/// An operator to be added: its kind and the bits of its weights (0 where it has none).
pub type Choice = (Kind, u8);

/// The operators that int8 (or int16) activations can go through.
pub fn choices(element: Element) -> Vec<Choice> {
    use Kind::*;
    let mut choices = Vec::new();
    for kind in [Convolution, Depthwise, Pointwise, FullyConnected] {
        choices.push((kind, 8));
        if element == Element::Int8 {
            choices.push((kind, 4));
        }
    }
    let any = [
        Add,
        Mul,
        AveragePool,
        MaxPool,
        Mean,
        Pad,
        Concatenation,
        Reshape,
        Requantize,
        ResizeNearest,
        Transpose,
        Softmax,
    ];
    choices.extend(any.map(|kind| (kind, 0)));
    if element == Element::Int8 {
        choices.extend([Lookup, ArgMax].map(|kind| (kind, 0)));
    }
    choices
}

/// Adds a random operator that reads tensor `input` and returns the number of its output.
pub fn add(net: &mut Net, random: &mut Random, (kind, bits): Choice, input: u16) -> u16 {
    let (from, element) = (net.shape(input), net.element(input));
    let zero = net.zero_point(input);
    let mut operator = record(kind, &[input]);
    match kind {
        Kind::Convolution | Kind::Depthwise | Kind::Pointwise | Kind::FullyConnected => {
            linear(net, random, (kind, bits), operator, input)
        }
        Kind::Add | Kind::Mul => binary(net, random, kind, input),
        Kind::AveragePool | Kind::MaxPool => {
            let (window, height, width) = window(random, from, 1);
            set_window(&mut operator, &window);
            activation(random, &mut operator, element);
            finish(
                net,
                operator,
                Shape::new(height, width, from.channels),
                element,
                zero,
            )
        }
        Kind::Mean => {
            let multiplier = Multiplier::from_real(random.within(1, 300) as f64 / 100.0).unwrap();
            set_multiplier(&mut operator, 0, multiplier.divided_by(from.pixels() as u32));
            let zero = zero_point(random, element);
            finish(net, operator, Shape::vector(from.channels), element, zero)
        }
        Kind::Pad => {
            let mut grow = |size: u32| {
                let before = random.within(0, 3) as u32;
                (before, before + size + random.within(0, 3) as u32)
            };
            let ((top, height), (left, width), (front, channels)) =
                (grow(from.height), grow(from.width), grow(from.channels));
            (operator.pad_top, operator.pad_left) = (top as u16, left as u16);
            operator.params[0] = front as i32;
            operator.params[1] = random.within(-128, 127) as i32;
            finish(net, operator, Shape::new(height, width, channels), element, zero)
        }
        Kind::Concatenation => concatenation(net, random, input),
        Kind::Reshape => {
            let [height, width] = [(); 2].map(|()| random.within(1, 6) as u32);
            let values = from.values() as u32;
            let shape = if values.is_multiple_of(height * width) {
                Shape::new(height, width, values / height / width)
            } else {
                random.pick(&[
                    Shape::vector(values),
                    Shape::new(values, 1, 1),
                    Shape::new(from.channels, from.height, from.width),
                ])
            };
            finish(net, operator, shape, element, zero)
        }
        Kind::Softmax => {
            let scale = random.within(1, 2000) as f64 / 1000.0;
            let steps = if element == Element::Int16 { 256.0 } else { 1.0 };
            let softmax = Softmax::from_real(scale * scale / steps).unwrap();
            set_multiplier(&mut operator, 0, softmax.multiplier);
            operator.params[2] = softmax.difference_min;
            let (element, zero) = random.pick(&[(Element::Int8, -128), (Element::Int16, -32768)]);
            finish(net, operator, from, element, zero)
        }
        Kind::Lookup => {
            let table = random.bytes(256);
            operator.weights_offset = push(net, &table);
            operator.weights_len = 256;
            let zero = zero_point(random, element);
            finish(net, operator, from, element, zero)
        }
        Kind::Requantize => {
            let multiplier = Multiplier::from_real(random.within(1, 4000) as f64 / 1000.0).unwrap();
            set_multiplier(&mut operator, 0, multiplier);
            let element = random.pick(&[Element::Int8, Element::Int16]);
            let zero = zero_point(random, element);
            finish(net, operator, from, element, zero)
        }
        Kind::ResizeNearest => {
            let mut table = |count: u32, limit: u32| {
                let mut sources: Vec<u16> = (0..count).map(|_| random.below(limit as usize) as u16).collect();
                sources.sort_unstable();
                sources
            };
            let (height, width) = (from.height + 2, from.width.max(2) - 1);
            let (rows, columns) = (table(height, from.height), table(width, from.width));
            let bytes: Vec<i8> = rows
                .iter()
                .chain(&columns)
                .flat_map(|source| source.to_le_bytes().map(|byte| byte as i8))
                .collect();
            operator.weights_offset = push(net, &bytes);
            operator.weights_len = bytes.len() as u32;
            operator.params[0] = rows.len() as i32 * 2;
            finish(
                net,
                operator,
                Shape::new(height, width, from.channels),
                element,
                zero,
            )
        }
        Kind::Transpose => {
            let order = random.pick(&[[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]);
            let sizes = [from.height, from.width, from.channels];
            for (param, axis) in operator.params.iter_mut().zip(order) {
                *param = axis;
            }
            let [height, width, channels] = order.map(|axis| sizes[axis as usize]);
            finish(net, operator, Shape::new(height, width, channels), element, zero)
        }
        Kind::ArgMax => finish(
            net,
            operator,
            Shape::new(from.height, from.width, 1),
            Element::Int16,
            0,
        ),
    }
}

fn finish(net: &mut Net, operator: OperatorRecord, shape: Shape, element: Element, zero_point: i32) -> u16 {
    let output = net.tensor(shape, element, zero_point);
    net.push(operator, output);
    output
}

fn push(net: &mut Net, bytes: &[i8]) -> u32 {
    let bytes: Vec<u8> = bytes.iter().map(|byte| *byte as u8).collect();
    net.image.push_constant(&bytes)
}

/// A fused activation, at times.
fn activation(random: &mut Random, operator: &mut OperatorRecord, element: Element) {
    if random.one_in(2) {
        let limit = if element == Element::Int8 { 127 } else { 32767 };
        operator.activation_min = random.within(-limit, 0) as i16;
        operator.activation_max = random.within(1, limit) as i16;
    }
}

/// A random window over `from` and the height and width of its output.
fn window(random: &mut Random, from: Shape, dilation: i64) -> (Window, u32, u32) {
    let mut axis = |size: u32| {
        let kernel = random.within(1, 4) as usize;
        let stride = random.within(1, 3) as usize;
        let dilation = random.within(1, dilation) as usize;
        let extent = (kernel - 1) * dilation + 1;
        let pad = random.below(extent);
        // Up to the last window that starts before the input's end, and at times fewer.
        let most = (size as usize + pad - 1) / stride + 1;
        let fits = (size as usize + pad).saturating_sub(extent) / stride + 1;
        let fewer = 1 + random.below(most);
        let output = random.pick(&[most, fits.min(most), fewer]);
        (kernel, stride, dilation, pad, output as u32)
    };
    let (kernel_height, stride_height, dilation_height, pad_top, height) = axis(from.height);
    let (kernel_width, stride_width, dilation_width, pad_left, width) = axis(from.width);
    let window = Window {
        kernel_height,
        kernel_width,
        stride_height,
        stride_width,
        dilation_height,
        dilation_width,
        pad_top,
        pad_left,
    };
    (window, height, width)
}

fn linear(
    net: &mut Net,
    random: &mut Random,
    (kind, bits): Choice,
    mut operator: OperatorRecord,
    input: u16,
) -> u16 {
    let (from, element) = (net.shape(input), net.element(input));
    let (mut used, mut height, mut width) = (Window::UNIT, from.height, from.width);
    if matches!(kind, Kind::Convolution | Kind::Depthwise) {
        (used, height, width) = window(random, from, 3);
    }
    let taps = used.kernel_height * used.kernel_width;
    let multiplier = random.pick(&[1, 1, 2, 3]);
    let channels = random.within(1, 21) as u32;
    let (depth, shape) = match kind {
        Kind::Depthwise => (1, Shape::new(height, width, from.channels * multiplier)),
        Kind::FullyConnected => (from.values(), Shape::vector(channels)),
        _ => (from.channels as usize, Shape::new(height, width, channels)),
    };
    let channels = shape.channels as usize;
    set_window(&mut operator, &used);
    operator.weight_bits = bits;
    let weights = random.bytes((taps * depth * channels * bits as usize).div_ceil(8));
    operator.weights_offset = push(net, &weights);
    operator.weights_len = weights.len() as u32;
    let wide = element == Element::Int16;
    let output = if bits == 8 && random.one_in(4) {
        Element::Int16
    } else {
        element
    };
    // Multipliers that spread typical sums over the output's range, and some that do not.
    let mut typical = ((taps * depth) as f64).sqrt() * if bits == 8 { 80.0 } else { 5.0 };
    if output != element {
        typical /= 256.0;
    }
    let (mut bias, mut mantissas, mut shifts) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..channels {
        let real = random.within(5, 300) as f64 / 100.0 / typical;
        let multiplier = Multiplier::from_real(real).unwrap();
        mantissas.extend(multiplier.mantissa.to_bits().to_le_bytes());
        shifts.push(multiplier.shift as u8);
        let value = random.within(-3000, 3000);
        if wide {
            bias.extend((value * 300).to_le_bytes());
        } else {
            bias.extend((value as i32).to_le_bytes());
        }
    }
    operator.bias_offset = net.image.push_constant(&bias);
    operator.multipliers_offset = net.image.push_constant(&mantissas);
    operator.shifts_offset = net.image.push_constant(&shifts);
    activation(random, &mut operator, output);
    let zero = zero_point(random, output);
    finish(net, operator, shape, output, zero)
}

/// A sum or product with the tensor itself, with a function of it, with its mean, or with a constant.
fn binary(net: &mut Net, random: &mut Random, kind: Kind, input: u16) -> u16 {
    let (from, element) = (net.shape(input), net.element(input));
    let mut operator = record(kind, &[input]);
    let factor = |random: &mut Random| Multiplier::from_real(random.within(1, 999) as f64 / 1000.0).unwrap();
    if kind == Kind::Add {
        let shift = if element == Element::Int8 { 20 } else { 15 };
        let (a, b) = (factor(random), factor(random));
        set_multiplier(&mut operator, 0, a);
        set_multiplier(&mut operator, 2, b);
        let output =
            Multiplier::from_real(random.within(1, 500) as f64 / 250.0 / (1 << shift) as f64).unwrap();
        set_multiplier(&mut operator, 4, output);
        operator.params[6] = shift << 16;
    } else {
        let scale = if element == Element::Int8 { 0.01 } else { 0.00003 };
        let output = Multiplier::from_real(random.within(1, 300) as f64 / 100.0 * scale).unwrap();
        set_multiplier(&mut operator, 4, output);
    }
    match random.below(4) {
        0 => operator.inputs[1] = input,
        1 if element == Element::Int8 => operator.inputs[1] = add(net, random, (Kind::Lookup, 0), input),
        1 | 2 => operator.inputs[1] = add(net, random, (Kind::Mean, 0), input),
        _ => {
            let count = random.pick(&[1, from.channels as usize, from.values()]);
            let constant = random.bytes(count * element.bytes());
            operator.weights_offset = push(net, &constant);
            operator.weights_len = constant.len() as u32;
            operator.params[6] |= zero_point(random, element) & 0xffff;
        }
    }
    activation(random, &mut operator, element);
    let zero = zero_point(random, element);
    finish(net, operator, from, element, zero)
}

/// A tensor with itself and with padded copies of itself, along any axis.
fn concatenation(net: &mut Net, random: &mut Random, input: u16) -> u16 {
    let (from, element) = (net.shape(input), net.element(input));
    let axis = random.below(3);
    let mut sizes = [from.height, from.width, from.channels];
    let mut operator = record(Kind::Concatenation, &[input]);
    operator.params[0] = axis as i32;
    for slot in 1..1 + random.below(3) {
        if random.one_in(2) {
            operator.inputs[slot] = input;
            sizes[axis] += [from.height, from.width, from.channels][axis];
            continue;
        }
        let mut pad = record(Kind::Pad, &[input]);
        pad.params[1] = random.within(-128, 127) as i32;
        let grown = random.within(0, 2) as u32;
        let mut shape = [from.height, from.width, from.channels];
        shape[axis] += grown;
        sizes[axis] += shape[axis];
        let zero = net.zero_point(input);
        let piece = finish(net, pad, Shape::new(shape[0], shape[1], shape[2]), element, zero);
        operator.inputs[slot] = piece;
    }
    let zero = net.zero_point(input);
    finish(
        net,
        operator,
        Shape::new(sizes[0], sizes[1], sizes[2]),
        element,
        zero,
    )
}
