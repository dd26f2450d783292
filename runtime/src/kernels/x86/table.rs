//! The tables: every algorithm inlined into functions that enable an instruction set.

use super::narrow::{Narrow, Pairs, Vnni};
use super::plain::{Int16, Widening};
use super::wide::Wide;
use super::{depthwise, elementwise, lookup, pool, product, softmax};
use crate::kernels::{ElementKernels, Kernels, LinearKernels, reference};
use crate::layout::{Layout, Target};
use crate::operator::{Binary, Linear, Lookup, Mean, Pool, Requantize, Softmax};
use crate::{Band, Element, Rows};

/// Declares the kernels of an instruction set and its table.
///
/// The kernels are safe functions, because tables are of plain functions; so each asks (a load and a branch) whether the
/// machine has the instruction set. [`Model::with_kernels`](crate::Model::with_kernels) has asked before.
macro_rules! instruction_set {
    ($(#[$doc:meta])* $table:ident, $module:ident, $name:literal, $vector:ty, [$($feature:tt),*]) => {
        mod $module {
            use super::*;

            instruction_set!(@linear product::convolution::<$vector, false>, [$($feature),*], convolution);
            instruction_set!(@linear product::pointwise::<$vector, false>, [$($feature),*], pointwise);
            instruction_set!(@linear product::fully_connected::<$vector>, [$($feature),*], fully_connected);
            instruction_set!(@linear depthwise::depthwise::<$vector>, [$($feature),*], depthwise);
            instruction_set!(@other $vector, [$($feature),*], add, elementwise, (binary: &Binary, a: &Rows, b: &Rows));
            instruction_set!(@other $vector, [$($feature),*], lookup, lookup, (lookup: &Lookup, input: &Rows));
            instruction_set!(@other $vector, [$($feature),*], requantize, lookup, (requantize: &Requantize, input: &Rows));
            instruction_set!(@other $vector, [$($feature),*], max, pool, (pool: &Pool, input: &Rows));
            instruction_set!(@other $vector, [$($feature),*], average, pool, (pool: &Pool, input: &Rows));
            instruction_set!(@other $vector, [$($feature),*], mean, pool, (mean: &Mean, input: &Rows));
            instruction_set!(@other $vector, [$($feature),*], softmax, softmax, (softmax: &Softmax, input: &Rows));

            instruction_set!(@available [$($feature),*]);
        }

        $(#[$doc])*
        pub static $table: Kernels = Kernels {
            name: $name,
            available: $module::available,
            layouts: &[Layout::Plain, Layout::X86Product, Layout::X86Depthwise],
            target: Target::X86,
            convolution: LinearKernels {
                int8: Some($module::convolution),
                int4: Some($module::convolution),
                widening: Some(reference::convolution::run::<Widening>),
                int16: Some(reference::convolution::run::<Int16>),
            },
            depthwise: LinearKernels {
                int8: Some($module::depthwise),
                int4: Some($module::depthwise),
                widening: Some(reference::depthwise::run::<Widening>),
                int16: Some(reference::depthwise::run::<Int16>),
            },
            pointwise: LinearKernels {
                int8: Some($module::pointwise),
                int4: Some($module::pointwise),
                widening: Some(reference::pointwise::run::<Widening>),
                int16: Some(reference::pointwise::run::<Int16>),
            },
            fully_connected: LinearKernels {
                int8: Some($module::fully_connected),
                int4: Some($module::fully_connected),
                widening: Some(reference::fully_connected::run::<Widening>),
                int16: Some(reference::fully_connected::run::<Int16>),
            },
            add: ElementKernels {
                int8: Some($module::add),
                ..reference::KERNELS.add
            },
            average_pool: ElementKernels {
                int8: Some($module::average),
                ..reference::KERNELS.average_pool
            },
            max_pool: ElementKernels {
                int8: Some($module::max),
                ..reference::KERNELS.max_pool
            },
            mean: ElementKernels {
                int8: Some($module::mean),
                ..reference::KERNELS.mean
            },
            lookup: Some($module::lookup),
            softmax: ElementKernels {
                int8: Some($module::softmax),
                ..reference::KERNELS.softmax
            },
            requantize: Some($module::requantize),
            ..reference::KERNELS
        };
    };
    (@other $vector:ty, [$($feature:tt),*], $operator:ident, $file:ident, ($($name:ident: $kind:ty),*)) => {
        /// The kernel.
        pub fn $operator($($name: $kind,)* output: &mut Band) {
            $(#[target_feature(enable = $feature)])*
            fn vectors($($name: $kind,)* output: &mut Band) {
                // SAFETY: the features are enabled here, and so the processor has them.
                unsafe { $file::$operator::<$vector>($($name,)* output) };
            }
            if available() {
                // SAFETY: the machine has the instruction set.
                unsafe { vectors($($name,)* output) };
            }
        }
    };
    (@available [$($feature:tt),*]) => {
        /// Whether this machine has the instruction set.
        pub fn available() -> bool {
            #[cfg(feature = "std")]
            {
                $(std::arch::is_x86_feature_detected!($feature))&&*
            }
            #[cfg(not(feature = "std"))]
            {
                $(cfg!(target_feature = $feature))&&*
            }
        }
    };
    (@linear $kernel:path, [$($feature:tt),*], $operator:ident) => {
        /// The kernel for packed constants; those in the plain layout are left to the reference.
        pub fn $operator(linear: &Linear, input: &Rows, output: &mut Band, scratch: &mut [i8]) {
            $(#[target_feature(enable = $feature)])*
            fn packed(linear: &Linear, input: &Rows, output: &mut Band, scratch: &mut [i8]) {
                // SAFETY: the features are enabled here, and so the processor has them.
                unsafe { $kernel(linear, input, output, scratch) };
            }
            if linear.layout == Layout::Plain {
                let int8 = Element::Int8;
                if let Some(kernel) = reference::KERNELS.$operator.of(int8, int8, linear.weight_bits) {
                    kernel(linear, input, output, scratch);
                }
            } else if available() {
                // SAFETY: the machine has the instruction set.
                unsafe { packed(linear, input, output, scratch) };
            }
        }
    };
}

instruction_set! {
    /// Kernels for AVX2 and FMA.
    ///
    /// ```
    /// use sepconv::{Model, kernels::x86::AVX2, tiny};
    /// // Refused, and not run, where the machine lacks the instruction set.
    /// let model = Model::with_kernels(&tiny::WHOLE.0, &AVX2);
    /// assert_eq!(model.is_ok(), (AVX2.available)());
    /// ```
    AVX2, avx2, "avx2", Narrow<Pairs>, ["avx2", "fma"]
}
instruction_set! {
    /// Kernels for AVX-VNNI and FMA.
    ///
    /// ```
    /// use sepconv::{Model, kernels::x86::AVX_VNNI, tiny};
    /// // Refused, and not run, where the machine lacks the instruction set.
    /// let model = Model::with_kernels(&tiny::WHOLE.0, &AVX_VNNI);
    /// assert_eq!(model.is_ok(), (AVX_VNNI.available)());
    /// ```
    AVX_VNNI, avxvnni, "avxvnni", Narrow<Vnni>, ["avx2", "fma", "avxvnni"]
}
instruction_set! {
    /// Kernels for AVX-512 with F, BW, DQ, VL and VNNI.
    ///
    /// ```
    /// use sepconv::{Model, kernels::x86::AVX512_VNNI, tiny};
    /// // Refused, and not run, where the machine lacks the instruction set.
    /// let model = Model::with_kernels(&tiny::WHOLE.0, &AVX512_VNNI);
    /// assert_eq!(model.is_ok(), (AVX512_VNNI.available)());
    /// ```
    AVX512_VNNI, avx512vnni, "avx512vnni", Wide, ["avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vnni"]
}

/// What AMX multiplies; all else is [`AVX512_VNNI`]'s.
mod matrix {
    use super::super::amx::available;
    use super::*;

    instruction_set!(@linear product::convolution::<Wide, true>, ["avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vnni"], convolution);
    instruction_set!(@linear product::pointwise::<Wide, true>, ["avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vnni"], pointwise);
}

/// Kernels for AMX with tiles of bytes, and AVX-512 as [`AVX512_VNNI`]. On Linux only, whose kernel grants the tiles.
///
/// ```
/// use sepconv::{Model, kernels::x86::AMX, tiny};
/// // Refused, and not run, where the machine lacks the instruction set or the system does not grant it.
/// let model = Model::with_kernels(&tiny::WHOLE.0, &AMX);
/// assert_eq!(model.is_ok(), (AMX.available)());
/// ```
pub static AMX: Kernels = Kernels {
    name: "amx",
    available: super::amx::available,
    convolution: LinearKernels {
        int8: Some(matrix::convolution),
        int4: Some(matrix::convolution),
        ..AVX512_VNNI.convolution
    },
    pointwise: LinearKernels {
        int8: Some(matrix::pointwise),
        int4: Some(matrix::pointwise),
        ..AVX512_VNNI.pointwise
    },
    ..AVX512_VNNI
};
