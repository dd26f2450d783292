//! Single layers, for measuring linear kernels: the shapes of Xception, MobileNetV2 and EfficientNet-Lite0.

use sepconv::kernels::{Kernels, LinearKernel};
use sepconv::layout::{Layout, LinearShape, pack_operator};
use sepconv::operator::{Kind, Linear, Window};
use sepconv::{AlignedVec, Band, Element, Rows, Shape};

/// A layer with a square window on a square image.
#[derive(Clone, Copy, Debug)]
pub struct Layer {
    /// Which operator.
    pub kind: Kind,
    /// Rows and columns of the window.
    pub window: usize,
    /// Pixels from one window to the next.
    pub stride: usize,
    /// Rows and columns of padding on each side.
    pub pad: usize,
    /// Height and width of the input.
    pub size: u32,
    /// Input channels.
    pub depth: u32,
    /// Output channels.
    pub channels: u32,
}

const fn layer(kind: Kind, [window, stride, pad]: [usize; 3], [size, depth, channels]: [u32; 3]) -> Layer {
    Layer {
        kind,
        window,
        stride,
        pad,
        size,
        depth,
        channels,
    }
}

/// The layers that are measured.
pub const LAYERS: &[Layer] = &[
    layer(Kind::Convolution, [3, 2, 0], [299, 3, 32]),
    layer(Kind::Convolution, [3, 1, 0], [149, 32, 64]),
    layer(Kind::Depthwise, [3, 1, 1], [147, 64, 64]),
    layer(Kind::Pointwise, [1, 1, 0], [147, 64, 128]),
    layer(Kind::Depthwise, [3, 1, 1], [74, 128, 128]),
    layer(Kind::Pointwise, [1, 1, 0], [37, 256, 256]),
    layer(Kind::Depthwise, [3, 1, 1], [19, 728, 728]),
    layer(Kind::Pointwise, [1, 1, 0], [19, 728, 728]),
    layer(Kind::Pointwise, [1, 1, 0], [10, 1536, 2048]),
    layer(Kind::FullyConnected, [1, 1, 0], [1, 2048, 1000]),
    layer(Kind::Convolution, [3, 2, 1], [224, 3, 32]),
    layer(Kind::Depthwise, [3, 1, 1], [112, 32, 32]),
    layer(Kind::Pointwise, [1, 1, 0], [112, 32, 16]),
    layer(Kind::Pointwise, [1, 1, 0], [112, 16, 96]),
    layer(Kind::Depthwise, [3, 2, 1], [112, 96, 96]),
    layer(Kind::Pointwise, [1, 1, 0], [56, 144, 24]),
    layer(Kind::Pointwise, [1, 1, 0], [28, 32, 192]),
    layer(Kind::Depthwise, [5, 1, 2], [28, 240, 240]),
    layer(Kind::Depthwise, [3, 1, 1], [14, 384, 384]),
    layer(Kind::Pointwise, [1, 1, 0], [14, 384, 64]),
    layer(Kind::Depthwise, [3, 1, 1], [7, 960, 960]),
    layer(Kind::Pointwise, [1, 1, 0], [7, 960, 160]),
];

/// A product so large that nothing but multiplication counts: what it reaches is what other layers are compared with.
pub const CEILING: Layer = layer(Kind::Pointwise, [1, 1, 0], [14, 2048, 512]);

impl Layer {
    /// What the kernels call it.
    pub fn shape(&self) -> LinearShape {
        let output = (self.size + 2 * self.pad as u32 - self.window as u32) / self.stride as u32 + 1;
        LinearShape {
            kind: self.kind,
            window: Window {
                kernel_height: self.window,
                kernel_width: self.window,
                stride_height: self.stride,
                stride_width: self.stride,
                dilation_height: 1,
                dilation_width: 1,
                pad_top: self.pad,
                pad_left: self.pad,
            },
            element: Element::Int8,
            weight_bits: 8,
            input: Shape::new(self.size, self.size, self.depth),
            output: Shape::new(output, output, self.channels),
        }
    }

    /// Multiply-accumulates.
    pub fn macs(&self) -> usize {
        let shape = self.shape();
        shape.weights_per_channel() * shape.output.values()
    }

    /// Such as `pointwise 19×19×728 to 19×19×728`.
    pub fn name(&self) -> String {
        let Layer {
            kind, window, stride, ..
        } = self;
        let shape = self.shape();
        format!(
            "{kind:?} {window}x{window}/{stride} {} to {}",
            shape.input, shape.output
        )
    }
}

/// A layer with values, packed for a table of kernels.
pub struct Prepared {
    shape: LinearShape,
    kernel: LinearKernel,
    layout: Layout,
    block: AlignedVec<u8>,
    input: Vec<i8>,
    output: Vec<i8>,
    scratch: AlignedVec<i8>,
}

impl Prepared {
    /// `None` if the table has no packed kernel for the layer.
    pub fn new(layer: &Layer, kernels: &Kernels) -> Option<Self> {
        let shape = layer.shape();
        let of_kind = match shape.kind {
            Kind::Convolution => &kernels.convolution,
            Kind::Depthwise => &kernels.depthwise,
            Kind::Pointwise => &kernels.pointwise,
            _ => &kernels.fully_connected,
        };
        let channels = shape.output.channels as usize;
        let count = shape.weights_per_channel() * channels;
        let weights: Vec<u8> = (0..count).map(|i| (i * 31 / 8) as u8).collect();
        let words = |value: i32| -> Vec<u8> { (0..channels).flat_map(|_| value.to_le_bytes()).collect() };
        let plain = Linear {
            weights: &weights,
            bias: &words(100),
            multipliers: &words(1_500_000_000),
            shifts: &vec![-9i8 as u8; channels],
            ..constants(&shape, Layout::Plain, &[])
        };
        let layout = kernels.target.layout(&shape);
        Some(Self {
            shape,
            kernel: of_kind.int8?,
            layout,
            block: AlignedVec::copy_of(&pack_operator(layout, &plain, &shape)?),
            input: (0..shape.input.values()).map(|i| (i * 17 / 4) as i8).collect(),
            output: vec![0; shape.output.values()],
            scratch: AlignedVec::zeroed(layout.scratch_len(&shape)),
        })
    }

    /// Computes all output rows.
    pub fn run(&mut self) {
        let mut band = Band {
            data: &mut self.output,
            first_row: 0,
            rows: self.shape.output.height as usize,
            shape: self.shape.output,
            element: Element::Int8,
        };
        let rows = Rows::whole(&self.input, self.shape.input, Element::Int8);
        let linear = constants(&self.shape, self.layout, &self.block);
        (self.kernel)(&linear, &rows, &mut band, &mut self.scratch);
    }
}

fn constants<'a>(shape: &LinearShape, layout: Layout, weights: &'a [u8]) -> Linear<'a> {
    Linear {
        window: shape.window,
        layout,
        weight_bits: 8,
        weights,
        bias: &[],
        multipliers: &[],
        shifts: &[],
        input_zero_point: 3,
        output_zero_point: -5,
        activation_min: -128,
        activation_max: 127,
    }
}
