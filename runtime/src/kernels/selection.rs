//! Tables with only the kernels that a model needs, so that a program links no others.

use super::{ALL, ElementKernels, Kernels, LinearKernels, reference};
use crate::operator::Kind;
use crate::{Element, Model};

/// The best table that every machine of the compiler's target has. On a microcontroller that is the best there is; where
/// an operating system runs, the processor's abilities are known only at run time ([`best`](super::best)).
///
/// ```
/// assert!((sepconv::kernels::OF_TARGET.available)());
/// ```
pub static OF_TARGET: &Kernels = if cfg!(target_os = "none") {
    ALL[ALL.len() - 1]
} else {
    &reference::KERNELS
};

/// A kernel that some model needs.
///
/// ```
/// use sepconv::{Element, kernels::KernelUse, operator::Kind};
/// let mean = KernelUse { kind: Kind::Mean, input: Element::Int8, output: Element::Int8, weight_bits: 0 };
/// assert_ne!(mean, KernelUse { kind: Kind::Softmax, ..mean });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KernelUse {
    /// The operator's kind.
    pub kind: Kind,
    /// The type of its input.
    pub input: Element,
    /// The type of its output.
    pub output: Element,
    /// Bits of its weights: 8 or 4; 0 for kinds without weights.
    pub weight_bits: u8,
}

impl KernelUse {
    /// The kernels that a model needs, one for each operator.
    ///
    /// ```
    /// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
    /// use sepconv::{kernels::KernelUse, operator::Kind};
    /// let kinds: Vec<Kind> = KernelUse::of_model(&model).map(|used| used.kind).collect();
    /// assert_eq!(kinds[..3], [Kind::Convolution, Kind::Depthwise, Kind::Pointwise]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of_model<'a>(model: &'a Model) -> impl Iterator<Item = KernelUse> + 'a {
        (0..model.operator_count()).filter_map(|number| {
            let record = model.record(number)?;
            Some(Self {
                kind: Kind::from_code(record.kind)?,
                input: model.tensor(record.inputs[0]).element,
                output: model.tensor(record.output).element,
                weight_bits: record.weight_bits,
            })
        })
    }
}

impl Kernels {
    /// The kernels of this table that are named, and no others. A static made of it links only those.
    ///
    /// ```
    /// use sepconv::Element;
    /// use sepconv::kernels::{KernelUse, Kernels, reference};
    /// use sepconv::operator::Kind;
    ///
    /// const USES: &[KernelUse] = &[KernelUse {
    ///     kind: Kind::Pointwise,
    ///     input: Element::Int8,
    ///     output: Element::Int8,
    ///     weight_bits: 8,
    /// }];
    /// static KERNELS: Kernels = reference::KERNELS.only(USES);
    /// assert!(KERNELS.pointwise.int8.is_some());
    /// assert!(KERNELS.pointwise.int16.is_none() && KERNELS.softmax.int8.is_none());
    /// ```
    pub const fn only(&self, uses: &[KernelUse]) -> Self {
        let mut kernels = Self {
            name: self.name,
            layouts: self.layouts,
            target: self.target,
            available: self.available,
            ..Self::NONE
        };
        let mut number = 0;
        while number < uses.len() {
            let used = uses[number];
            let element = used.input;
            match used.kind {
                Kind::Convolution => kernels.convolution.take(&self.convolution, used),
                Kind::Depthwise => kernels.depthwise.take(&self.depthwise, used),
                Kind::Pointwise => kernels.pointwise.take(&self.pointwise, used),
                Kind::FullyConnected => kernels.fully_connected.take(&self.fully_connected, used),
                Kind::Add => kernels.add.take(&self.add, element),
                Kind::Mul => kernels.mul.take(&self.mul, element),
                Kind::AveragePool => kernels.average_pool.take(&self.average_pool, element),
                Kind::MaxPool => kernels.max_pool.take(&self.max_pool, element),
                Kind::Mean => kernels.mean.take(&self.mean, element),
                Kind::Pad => kernels.pad = self.pad,
                Kind::Concatenation => kernels.concatenation = self.concatenation,
                Kind::Reshape => kernels.reshape = self.reshape,
                Kind::Softmax => kernels.softmax.take(&self.softmax, element),
                Kind::Lookup => kernels.lookup = self.lookup,
                Kind::Requantize => kernels.requantize = self.requantize,
                Kind::ResizeNearest => kernels.resize_nearest = self.resize_nearest,
                Kind::Transpose => kernels.transpose = self.transpose,
                Kind::ArgMax => kernels.arg_max = self.arg_max,
            }
            number += 1;
        }
        kernels
    }
}

impl LinearKernels {
    /// Adds one kernel of another table.
    const fn take(&mut self, from: &Self, used: KernelUse) {
        match (used.input, used.output, used.weight_bits) {
            (Element::Int8, Element::Int16, _) => self.widening = from.widening,
            (Element::Int8, _, 4) => self.int4 = from.int4,
            (Element::Int8, _, _) => self.int8 = from.int8,
            (Element::Int16, _, _) => self.int16 = from.int16,
        }
    }
}

impl<K: Copy> ElementKernels<K> {
    /// Adds one kernel of another table.
    const fn take(&mut self, from: &Self, element: Element) {
        match element {
            Element::Int8 => self.int8 = from.int8,
            Element::Int16 => self.int16 = from.int16,
        }
    }
}
