//! What a report says of accuracy.

use std::collections::BTreeMap;

/// How a model did on labelled images.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Accuracy {
    /// Images.
    pub count: usize,
    /// The fraction whose class has the greatest output.
    pub top1: f64,
    /// The fraction whose class is among the five greatest outputs.
    pub top5: f64,
    /// How the float network did on the same images.
    pub float: Option<FloatAccuracy>,
    /// How many images of a class (first) were taken for a class (second).
    pub confusion: BTreeMap<(usize, usize), usize>,
}

/// How the float network did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FloatAccuracy {
    /// As [`Accuracy::top1`].
    pub top1: f64,
    /// As [`Accuracy::top5`].
    pub top5: f64,
    /// The fraction of images on which both put the same class first.
    pub agreement: f64,
}
