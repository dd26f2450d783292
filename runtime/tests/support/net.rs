//! Models under construction.

use super::Random;
use sepconv::fixed_point::Multiplier;
use sepconv::format::{MAX_INPUTS, NONE, OperatorRecord, Step, TensorRecord};
use sepconv::image::Image;
use sepconv::operator::{Kind, Window};
use sepconv::{AlignedVec, Element, Shape};

/// A network whose tensors lie one after the other in the arena, whole, and whose operators run one after the other.
#[derive(Clone)]
pub struct Net {
    pub image: Image,
}

impl Net {
    /// A network of which there is the input.
    pub fn new(shape: Shape, element: Element, zero_point: i32) -> Self {
        let image = Image {
            arena_len: 0,
            scratch_len: 0,
            input: 0,
            output: 0,
            tensors: Vec::new(),
            operators: Vec::new(),
            steps: Vec::new(),
            constants: Vec::new(),
            metadata: b"{}".to_vec(),
        };
        let mut net = Self { image };
        net.tensor(shape, element, zero_point);
        net
    }

    pub fn random(random: &mut Random, element: Element) -> Self {
        let shape = Shape::new(
            random.within(1, 9) as u32,
            random.within(1, 7) as u32,
            random.within(1, 20) as u32,
        );
        let zero_point = zero_point(random, element);
        Self::new(shape, element, zero_point)
    }

    /// Adds a tensor and returns its number.
    pub fn tensor(&mut self, shape: Shape, element: Element, zero_point: i32) -> u16 {
        let record = TensorRecord {
            element: (element == Element::Int16) as u8,
            reserved: 0,
            zero_point: zero_point as i16,
            scale: 0.5,
            height: shape.height,
            width: shape.width,
            channels: shape.channels,
            ring_rows: shape.height,
            offset: self.image.arena_len,
            reserved_end: 0,
        };
        let bytes = shape.values() * element.bytes();
        self.image.arena_len += (bytes as u32).next_multiple_of(16);
        self.image.tensors.push(record);
        self.image.tensors.len() as u16 - 1
    }

    pub fn shape(&self, tensor: u16) -> Shape {
        let record = &self.image.tensors[tensor as usize];
        Shape::new(record.height, record.width, record.channels)
    }

    pub fn element(&self, tensor: u16) -> Element {
        match self.image.tensors[tensor as usize].element {
            0 => Element::Int8,
            _ => Element::Int16,
        }
    }

    pub fn zero_point(&self, tensor: u16) -> i32 {
        self.image.tensors[tensor as usize].zero_point as i32
    }

    /// Adds an operator that runs whole after all others; its output becomes the network's.
    pub fn push(&mut self, mut record: OperatorRecord, output: u16) {
        record.output = output;
        if (record.activation_min, record.activation_max) == (0, 0) {
            (record.activation_min, record.activation_max) = match self.element(output) {
                Element::Int8 => (-128, 127),
                Element::Int16 => (-32768, 32767),
            };
        }
        let height = self.shape(output).height;
        self.image.steps.push(Step {
            operator: self.image.operators.len() as u16,
            reserved: 0,
            first_row: 0,
            rows: height as u16,
        });
        self.image.operators.push(record);
        self.image.output = output;
    }

    pub fn file(&self) -> AlignedVec<u8> {
        self.image.to_bytes()
    }

    pub fn input_len(&self) -> usize {
        self.shape(self.image.input).values() * self.element(self.image.input).bytes()
    }
}

/// A record of an operator that reads `inputs`; all else is zero.
pub fn record(kind: Kind, inputs: &[u16]) -> OperatorRecord {
    let mut record = OperatorRecord::from_bytes(&[0; OperatorRecord::SIZE]);
    record.kind = kind as u8;
    record.inputs = [NONE; MAX_INPUTS];
    record.inputs[..inputs.len()].copy_from_slice(inputs);
    record
}

pub fn set_window(record: &mut OperatorRecord, window: &Window) {
    record.kernel_height = window.kernel_height as u16;
    record.kernel_width = window.kernel_width as u16;
    record.stride_height = window.stride_height as u8;
    record.stride_width = window.stride_width as u8;
    record.dilation_height = window.dilation_height as u8;
    record.dilation_width = window.dilation_width as u8;
    record.pad_top = window.pad_top as u16;
    record.pad_left = window.pad_left as u16;
}

pub fn set_multiplier(record: &mut OperatorRecord, at: usize, multiplier: Multiplier) {
    record.params[at] = multiplier.mantissa.to_bits();
    record.params[at + 1] = multiplier.shift as i32;
}

pub fn zero_point(random: &mut Random, element: Element) -> i32 {
    match element {
        Element::Int8 => random.within(-128, 127) as i32,
        Element::Int16 => 0,
    }
}
