//! What can be wrong with a file.

use core::fmt;

/// Why a file is no model that can be run here.
///
/// ```
/// use sepconv::{Model, ModelError};
/// let error = Model::new(b"PK").unwrap_err();
/// assert_eq!(error, ModelError::Truncated);
/// assert!(!error.to_string().is_empty());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelError {
    /// The file ends early.
    Truncated,
    /// The file does not start with `SEPC`.
    Magic,
    /// The file's format is another version than this crate reads.
    Version {
        /// The version found.
        found: u16,
    },
    /// The file is not at an address that is a multiple of 16.
    Misaligned,
    /// The CRC-32 does not match the contents.
    Checksum,
    /// A field of the header is out of range.
    Header,
    /// A section lies outside the file or is not aligned.
    Section,
    /// A tensor's record is out of range, or its ring lies outside the arena.
    Tensor {
        /// The tensor's number.
        tensor: u16,
    },
    /// An operator's code is of no known kind.
    Kind {
        /// The operator's number.
        operator: u16,
    },
    /// An operator's constants are arranged for kernels that are not at hand.
    Layout {
        /// The operator's number.
        operator: u16,
        /// The layout's code.
        layout: u8,
    },
    /// The table of kernels is for instructions that this machine does not have.
    InstructionSet,
    /// The table of kernels has none for an operator.
    NoKernel {
        /// The operator's number.
        operator: u16,
    },
    /// An operator's inputs or output are no tensors, too few or too many, or not computed before.
    Wiring {
        /// The operator's number.
        operator: u16,
    },
    /// An operator's shapes, element types or window do not fit together.
    Shape {
        /// The operator's number.
        operator: u16,
    },
    /// An operator's constants lie outside the file, are not aligned or have the wrong size.
    Constants {
        /// The operator's number.
        operator: u16,
    },
    /// An operator's multiplier, shift, activation range or parameter is out of range.
    Parameter {
        /// The operator's number.
        operator: u16,
    },
    /// A step computes rows out of order, or from rows that the arena does not hold then.
    Schedule {
        /// The operator's number, or [`PUSH_INPUT`](crate::format::PUSH_INPUT).
        operator: u16,
    },
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => write!(f, "the model file ends early; copy or write it again"),
            Self::Magic => write!(f, "this is no .sepc model file: it does not start with SEPC"),
            Self::Version { found } => write!(
                f,
                "the model file has format version {found}, this program reads version {}; quantize the model again",
                crate::format::VERSION
            ),
            Self::Misaligned => write!(
                f,
                "the model is not at an address that is a multiple of 16; see sepconv::Aligned"
            ),
            Self::Checksum => write!(
                f,
                "the model file is damaged (its CRC-32 does not match); copy or write it again"
            ),
            Self::Header => write!(f, "the model file's header is out of range"),
            Self::Section => write!(
                f,
                "a section of the model file lies outside the file or is not aligned"
            ),
            Self::Tensor { tensor } => write!(f, "tensor {tensor} of the model is out of range"),
            Self::Kind { operator } => write!(f, "operator {operator} of the model is of no known kind"),
            Self::Layout { operator, layout } => write!(
                f,
                "operator {operator} of the model is packed (layout {layout}) for kernels that are not at hand; \
                 quantize the model for this target"
            ),
            Self::InstructionSet => write!(
                f,
                "this machine does not have the instruction set of these kernels; choose others"
            ),
            Self::NoKernel { operator } => {
                write!(f, "there is no kernel for operator {operator} of the model")
            }
            Self::Wiring { operator } => {
                write!(f, "operator {operator} of the model is not connected properly")
            }
            Self::Shape { operator } => write!(
                f,
                "the shapes of operator {operator} of the model do not fit together"
            ),
            Self::Constants { operator } => write!(
                f,
                "the constants of operator {operator} of the model are out of range"
            ),
            Self::Parameter { operator } => write!(
                f,
                "a parameter of operator {operator} of the model is out of range"
            ),
            Self::Schedule { operator } => {
                write!(
                    f,
                    "the schedule of the model computes operator {operator} out of order"
                )
            }
        }
    }
}

impl core::error::Error for ModelError {}
