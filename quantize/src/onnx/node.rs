//! A node of the file with typed access to its attributes.

use super::constant::Constant;
use super::error::OnnxError;
use tract_onnx::pb::{AttributeProto, NodeProto};

/// A node of the file.
#[derive(Clone, Copy)]
pub struct OnnxNode<'a> {
    /// As decoded.
    pub proto: &'a NodeProto,
}

impl<'a> OnnxNode<'a> {
    /// The node's name, or its first output's where it has none.
    pub fn name(&self) -> String {
        match self.proto.name.as_str() {
            "" => self.proto.output.first().cloned().unwrap_or_default(),
            name => name.to_string(),
        }
    }

    /// Name of the first output.
    pub fn output(&self) -> &'a str {
        self.proto.output.first().map_or("", String::as_str)
    }

    /// Whether input `index` is given.
    pub fn has_input(&self, index: usize) -> bool {
        self.proto.input.get(index).is_some_and(|name| !name.is_empty())
    }

    /// An error about this node: why it cannot be imported, and what would work instead (a whole sentence).
    pub fn refuse(&self, reason: impl Into<String>, instead: impl Into<String>) -> OnnxError {
        OnnxError::Node {
            node: self.name(),
            operator: self.proto.op_type.clone(),
            reason: reason.into(),
            instead: instead.into(),
        }
    }

    fn attribute(&self, name: &str) -> Option<&'a AttributeProto> {
        self.proto
            .attribute
            .iter()
            .find(|attribute| attribute.name == name)
    }

    /// Whether an attribute is given.
    pub fn has(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    /// An integer attribute.
    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |a| a.i)
    }

    /// A float attribute.
    pub fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).map_or(default, |a| a.f)
    }

    /// A text attribute.
    pub fn text(&self, name: &str, default: &'a str) -> &'a str {
        self.attribute(name)
            .map_or(default, |a| std::str::from_utf8(&a.s).unwrap_or_default())
    }

    /// A list of integers.
    pub fn ints(&self, name: &str) -> Option<&'a [i64]> {
        self.attribute(name).map(|a| &a.ints[..])
    }

    /// A list of floats.
    pub fn floats(&self, name: &str) -> Option<&'a [f32]> {
        self.attribute(name).map(|a| &a.floats[..])
    }

    /// A tensor attribute.
    pub fn tensor(&self, name: &str) -> Result<Option<Constant>, OnnxError> {
        match self.attribute(name).and_then(|a| a.t.as_ref()) {
            Some(tensor) => Constant::from_proto(tensor, None).map(Some),
            None => Ok(None),
        }
    }

    /// A dimension number, counted from the end where negative, in `0..rank`.
    pub fn dimension(&self, axis: i64, rank: usize) -> Result<usize, OnnxError> {
        let from_start = if axis < 0 {
            axis.saturating_add(rank as i64)
        } else {
            axis
        };
        usize::try_from(from_start)
            .ok()
            .filter(|&dim| dim < rank)
            .ok_or_else(|| {
                self.refuse(
                    format!("axis {axis} does not exist in a tensor of rank {rank}"),
                    "The file is damaged; export it again",
                )
            })
    }
}
