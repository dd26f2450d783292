//! How an ONNX tensor's dimensions lie in the NHWC memory of a graph's tensor.
//!
//! ONNX graphs are mostly NCHW and full of transposes, reshapes and squeezes. None of them moves data here: a value is
//! a graph tensor with a [`Layout`] that says which parts of which axes each ONNX dimension runs over. Only an operator
//! that needs another order makes the importer insert a reshape or a rearrangement.

use crate::graph::Shape;

/// An axis of a graph tensor, or the batch that was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Images.
    Batch,
    /// Rows.
    Height,
    /// Columns.
    Width,
    /// Channels.
    Channel,
}

/// `size` positions along an axis, `stride` apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Factor {
    axis: Axis,
    size: usize,
    stride: usize,
}

/// For each ONNX dimension the factors it is the product of, outermost first. Factors of size 1 are left out, and
/// neighbours that run on into each other are merged, so that equal layouts compare equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    dims: Vec<Vec<Factor>>,
}

/// ONNX's usual order of an image.
pub const NCHW: [Axis; 4] = [Axis::Batch, Axis::Channel, Axis::Height, Axis::Width];
/// TensorFlow's order of an image.
pub const NHWC: [Axis; 4] = [Axis::Batch, Axis::Height, Axis::Width, Axis::Channel];
/// ONNX's order of a sequence, which is an image with one row.
pub const NCW: [Axis; 3] = [Axis::Batch, Axis::Channel, Axis::Width];
/// A vector.
pub const NC: [Axis; 2] = [Axis::Batch, Axis::Channel];

/// The order in which a graph tensor's elements lie in memory.
const MEMORY: [Axis; 4] = NHWC;

fn extent(axis: Axis, shape: Shape, batch: usize) -> usize {
    match axis {
        Axis::Batch => batch,
        Axis::Height => shape.height,
        Axis::Width => shape.width,
        Axis::Channel => shape.channels,
    }
}

/// Leaves out factors of size 1 and merges those that run on into each other.
fn normalized(factors: impl IntoIterator<Item = Factor>) -> Vec<Factor> {
    let mut result: Vec<Factor> = Vec::new();
    for factor in factors.into_iter().filter(|f| f.size > 1) {
        match result.last_mut() {
            Some(last) if last.axis == factor.axis && last.stride == factor.size * factor.stride => {
                *last = Factor {
                    axis: last.axis,
                    size: last.size * factor.size,
                    stride: factor.stride,
                };
            }
            _ => result.push(factor),
        }
    }
    result
}

impl Layout {
    /// Each dimension is one whole axis.
    pub fn of_axes(axes: &[Axis], shape: Shape, batch: usize) -> Self {
        let whole = |&axis| {
            normalized([Factor {
                axis,
                size: extent(axis, shape, batch),
                stride: 1,
            }])
        };
        Layout {
            dims: axes.iter().map(whole).collect(),
        }
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.dims.len()
    }

    /// Extent of every dimension.
    pub fn sizes(&self) -> Vec<usize> {
        (0..self.rank()).map(|dim| self.size(dim)).collect()
    }

    /// Extent of one dimension.
    pub fn size(&self, dim: usize) -> usize {
        self.dims[dim].iter().map(|f| f.size).product()
    }

    /// Dimension `i` of the result is dimension `order[i]` of this; `None` unless `order` is a permutation.
    pub fn transpose(&self, order: &[usize]) -> Option<Layout> {
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..self.rank()) {
            return None;
        }
        Some(Layout {
            dims: order.iter().map(|&dim| self.dims[dim].clone()).collect(),
        })
    }

    /// The same elements in the same order with other extents; `None` where a new dimension would run over parts of
    /// several old ones that do not lie evenly.
    pub fn reshape(&self, sizes: &[usize]) -> Option<Layout> {
        if sizes.iter().product::<usize>() != self.sizes().iter().product::<usize>() {
            return None;
        }
        let mut rest: Vec<Factor> = self.dims.iter().flatten().rev().copied().collect();
        let mut dims = Vec::new();
        for &size in sizes {
            let mut missing = size;
            let mut factors = Vec::new();
            while missing > 1 {
                let factor = rest.pop()?;
                if missing % factor.size == 0 {
                    missing /= factor.size;
                    factors.push(factor);
                } else if factor.size % missing == 0 {
                    let inner = Factor {
                        size: factor.size / missing,
                        ..factor
                    };
                    factors.push(Factor {
                        size: missing,
                        stride: factor.stride * inner.size,
                        ..factor
                    });
                    rest.push(inner);
                    missing = 1;
                } else {
                    return None;
                }
            }
            dims.push(normalized(factors));
        }
        Some(Layout { dims })
    }

    /// Adds a dimension of extent 1 before dimension `dim`.
    pub fn unsqueeze(&mut self, dim: usize) {
        self.dims.insert(dim, Vec::new());
    }

    /// Removes a dimension, which must have extent 1.
    pub fn squeeze(&mut self, dim: usize) {
        assert!(
            self.dims[dim].is_empty(),
            "only dimensions of extent 1 can be removed"
        );
        self.dims.remove(dim);
    }

    /// Makes a dimension's extent 1, as reducing over it does.
    pub fn collapse(&mut self, dim: usize) {
        self.dims[dim].clear();
    }

    /// The layout after the last dimension, which is all of the channels, got another number of them.
    pub fn with_last_channels(mut self, channels: usize) -> Layout {
        let last = self.rank() - 1;
        self.dims[last] = normalized([Factor {
            axis: Axis::Channel,
            size: channels,
            stride: 1,
        }]);
        self
    }

    /// Whether a dimension is exactly the whole of `axis`.
    pub fn is_whole(&self, dim: usize, axis: Axis, shape: Shape) -> bool {
        let size = extent(axis, shape, 1);
        self.dims[dim]
            == normalized([Factor {
                axis,
                size,
                stride: 1,
            }])
    }

    /// Whether the given dimensions together run over all rows and columns and nothing else.
    pub fn covers_pixels(&self, dims: &[usize], shape: Shape) -> bool {
        let factors: Vec<&Factor> = dims.iter().flat_map(|&dim| &self.dims[dim]).collect();
        factors
            .iter()
            .all(|f| matches!(f.axis, Axis::Height | Axis::Width))
            && factors.iter().map(|f| f.size).product::<usize>() == shape.pixels()
    }

    /// For a dimension that runs over channels only: its index at every channel; `None` for any other.
    pub fn index_at_channel(&self, dim: usize, channels: usize) -> Option<Vec<usize>> {
        let factors = &self.dims[dim];
        if factors.iter().any(|f| f.axis != Axis::Channel) {
            return None;
        }
        let index = |c: usize| factors.iter().fold(0, |i, f| i * f.size + c / f.stride % f.size);
        Some((0..channels).map(index).collect())
    }

    /// For every element, counted in row-major order over all dimensions but the batch, its place in memory.
    pub fn places(&self, shape: Shape) -> Vec<u32> {
        let step = |f: &Factor| match f.axis {
            Axis::Batch => 0,
            Axis::Height => f.stride * shape.width * shape.channels,
            Axis::Width => f.stride * shape.channels,
            Axis::Channel => f.stride,
        };
        let mut places = vec![0u32];
        for factor in self.dims.iter().flatten().filter(|f| f.axis != Axis::Batch) {
            let step = step(factor);
            places = places
                .iter()
                .flat_map(|&base| (0..factor.size).map(move |i| base + (i * step) as u32))
                .collect();
        }
        places
    }

    /// Whether the batch is (at most) the first dimension, all of it.
    pub fn batch_is_first(&self) -> bool {
        let is_batch = |f: &Factor| f.axis == Axis::Batch;
        self.dims.first().is_none_or(|first| first.iter().all(is_batch))
            && self.dims.iter().skip(1).flatten().all(|f| !is_batch(f))
    }

    /// The dimensions in the memory order of a tensor whose axes they are to become: `axes[dim]` names the axis of each.
    /// The second value says whether the elements lie in that order already.
    pub fn towards(&self, axes: &[Axis], shape: Shape) -> (Layout, bool) {
        let in_memory_order: Vec<usize> = MEMORY
            .iter()
            .filter_map(|axis| axes.iter().position(|a| a == axis))
            .collect();
        let ordered = Layout {
            dims: in_memory_order
                .iter()
                .map(|&dim| self.dims[dim].clone())
                .collect(),
        };
        let found = ordered
            .dims
            .iter()
            .flatten()
            .copied()
            .filter(|f| f.axis != Axis::Batch);
        let memory = Layout::of_axes(&MEMORY, shape, 1);
        let same = normalized(found)
            .into_iter()
            .eq(memory.dims.iter().flatten().copied());
        (ordered, same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape {
        height: 2,
        width: 3,
        channels: 4,
    };

    fn nchw() -> Layout {
        Layout::of_axes(&NCHW, SHAPE, 1)
    }

    #[test]
    fn flattening_an_image_lists_channels_first() {
        let flat = nchw().reshape(&[1, 24]).unwrap();
        // ONNX element c*6 + y*3 + x lies at (y*3 + x)*4 + c.
        let expected: Vec<u32> = (0..24).map(|i| (i % 6) * 4 + i / 6).collect();
        assert_eq!(flat.places(SHAPE), expected);
    }

    #[test]
    fn transposing_to_channels_last_is_memory_order() {
        let nhwc = nchw().transpose(&[0, 2, 3, 1]).unwrap();
        assert_eq!(nhwc, Layout::of_axes(&NHWC, SHAPE, 1));
        assert_eq!(
            nhwc.reshape(&[24]).unwrap().places(SHAPE),
            (0..24).collect::<Vec<u32>>()
        );
        assert!(nhwc.reshape(&[1, 24]).unwrap().towards(&NC, SHAPE).1);
        assert!(!nchw().reshape(&[1, 24]).unwrap().towards(&NC, SHAPE).1);
    }

    #[test]
    fn splitting_and_merging_gives_back_the_layout() {
        let split = nchw().reshape(&[1, 2, 2, 6]).unwrap();
        assert_eq!(split.reshape(&[1, 4, 2, 3]).unwrap(), nchw());
    }

    #[test]
    fn a_channel_shuffle_keeps_track_of_every_channel() {
        let shuffled = nchw()
            .reshape(&[1, 2, 2, 2, 3])
            .unwrap()
            .transpose(&[0, 2, 1, 3, 4])
            .unwrap();
        let shuffled = shuffled.reshape(&[1, 4, 2, 3]).unwrap();
        assert_eq!(shuffled.index_at_channel(1, 4).unwrap(), [0, 2, 1, 3]);
        assert_ne!(shuffled, nchw());
    }

    #[test]
    fn uneven_reshapes_are_refused() {
        assert_eq!(nchw().reshape(&[1, 3, 8]), None);
        assert_eq!(nchw().reshape(&[1, 25]), None);
        assert_eq!(nchw().transpose(&[0, 1, 1, 2]), None);
    }

    #[test]
    fn a_static_batch_stays_the_first_dimension() {
        let layout = Layout::of_axes(&NCHW, SHAPE, 8);
        assert_eq!(layout.sizes(), [8, 4, 2, 3]);
        assert!(layout.reshape(&[8, 24]).unwrap().batch_is_first());
        assert!(!layout.transpose(&[1, 0, 2, 3]).unwrap().batch_is_first());
    }
}
