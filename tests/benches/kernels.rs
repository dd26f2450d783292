//! Linear kernels of every instruction set of this machine, on layers of Xception, MobileNetV2 and EfficientNet-Lite0.
//! Throughput is in multiply-accumulates: divide by the machine's ceiling (407 G a second for AVX-512 VNNI at 3.2 GHz:
//! two instructions a cycle, 64 each) for the fraction reached.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sepconv::kernels::{self, Kernels, LinearKernel};
use sepconv::layout::{Layout, LinearShape, pack_operator};
use sepconv::operator::{Kind, Linear, Window};
use sepconv::{AlignedVec, Band, Element, Rows, Shape};

/// A layer: kind, window size, stride, padding, input size, input channels, output channels.
type Layer = (Kind, usize, usize, usize, u32, u32, u32);

const LAYERS: &[Layer] = &[
    (Kind::Convolution, 3, 2, 0, 299, 3, 32),
    (Kind::Convolution, 3, 1, 0, 149, 32, 64),
    (Kind::Depthwise, 3, 1, 1, 147, 64, 64),
    (Kind::Pointwise, 1, 1, 0, 147, 64, 128),
    (Kind::Pointwise, 1, 1, 0, 37, 256, 256),
    (Kind::Depthwise, 3, 1, 1, 19, 728, 728),
    (Kind::Pointwise, 1, 1, 0, 19, 728, 728),
    (Kind::Pointwise, 1, 1, 0, 10, 1536, 2048),
    (Kind::FullyConnected, 1, 1, 0, 1, 2048, 1000),
    (Kind::Pointwise, 1, 1, 0, 112, 16, 96),
    (Kind::Depthwise, 3, 2, 1, 112, 96, 96),
    (Kind::Pointwise, 1, 1, 0, 56, 144, 24),
    (Kind::Depthwise, 5, 1, 2, 28, 240, 240),
    (Kind::Pointwise, 1, 1, 0, 7, 960, 160),
];

fn shape(&(kind, kernel, stride, pad, size, depth, channels): &Layer) -> LinearShape {
    let window = Window {
        kernel_height: kernel,
        kernel_width: kernel,
        stride_height: stride,
        stride_width: stride,
        dilation_height: 1,
        dilation_width: 1,
        pad_top: pad,
        pad_left: pad,
    };
    let output = (size + 2 * pad as u32 - kernel as u32) / stride as u32 + 1;
    LinearShape {
        kind,
        window,
        element: Element::Int8,
        weight_bits: 8,
        input: Shape::new(size, size, depth),
        output: Shape::new(output, output, channels),
    }
}

fn kernel(kernels: &Kernels, kind: Kind) -> Option<LinearKernel> {
    match kind {
        Kind::Convolution => kernels.convolution.int8,
        Kind::Depthwise => kernels.depthwise.int8,
        Kind::Pointwise => kernels.pointwise.int8,
        _ => kernels.fully_connected.int8,
    }
}

fn bench(criterion: &mut Criterion) {
    for layer in LAYERS {
        let shape = shape(layer);
        let channels = shape.output.channels as usize;
        let count = shape.weights_per_channel() * channels;
        let weights: Vec<u8> = (0..count).map(|i| (i * 31 / 8) as u8).collect();
        let words = |value: i32| -> Vec<u8> { (0..channels).flat_map(|_| value.to_le_bytes()).collect() };
        let (bias, multipliers, shifts) = (words(100), words(1_500_000_000), vec![-9i8 as u8; channels]);
        let plain = Linear {
            window: shape.window,
            layout: Layout::Plain,
            weight_bits: 8,
            weights: &weights,
            bias: &bias,
            multipliers: &multipliers,
            shifts: &shifts,
            input_zero_point: 3,
            output_zero_point: -5,
            activation_min: -128,
            activation_max: 127,
        };
        let input: Vec<i8> = (0..shape.input.values()).map(|i| (i * 17 / 4) as i8).collect();
        let rows = Rows::whole(&input, shape.input, Element::Int8);
        let mut output = vec![0; shape.output.values()];
        let name = format!("{:?} {}x{} {} to {}", shape.kind, layer.1, layer.1, shape.input, shape.output);
        let mut group = criterion.benchmark_group(name);
        let macs = shape.weights_per_channel() * shape.output.values();
        group.throughput(Throughput::Elements(macs as u64));
        // The reference would take minutes.
        for kernels in kernels::ALL.iter().skip(1).filter(|kernels| (kernels.available)()) {
            let Some(kernel) = kernel(kernels, shape.kind) else { continue };
            let layout = kernels.target.layout(&shape);
            let block = pack_operator(layout, &plain, &shape).map(|block| AlignedVec::copy_of(&block));
            let Some(block) = block else { continue };
            let linear = Linear {
                layout,
                weights: &block,
                bias: &[],
                multipliers: &[],
                shifts: &[],
                ..plain
            };
            let mut scratch = AlignedVec::zeroed(layout.scratch_len(&shape));
            group.bench_function(kernels.name, |bencher| {
                bencher.iter(|| {
                    let mut band = Band {
                        data: &mut output,
                        first_row: 0,
                        rows: shape.output.height as usize,
                        shape: shape.output,
                        element: Element::Int8,
                    };
                    kernel(&linear, &rows, &mut band, &mut scratch);
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
