//! Alignment of model images and arenas.

use core::ops::{Deref, DerefMut};

/// The alignment, in bytes, of model images, of their sections, and of arenas.
pub const ALIGNMENT: usize = 16;

/// A value at an address that is a multiple of 16, for model images and arenas in statics.
///
/// ```
/// use sepconv::Aligned;
/// static MODEL: Aligned<[u8; 4]> = Aligned(*b"SEPC");
/// assert_eq!(MODEL.as_ptr().align_offset(16), 0);
/// ```
#[repr(C, align(16))]
pub struct Aligned<T: ?Sized>(pub T);

impl<T: ?Sized> Deref for Aligned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

#[cfg(feature = "alloc")]
pub use heap::AlignedVec;

#[cfg(feature = "alloc")]
mod heap {
    use super::ALIGNMENT;
    use alloc::{vec, vec::Vec};
    use core::ops::{Deref, DerefMut};

    /// Bytes of a cache line of most processors.
    const CACHE_LINE: usize = 64;
    /// How many values are many.
    const LARGE: usize = 64 * 1024;

    /// Values on the heap whose first is at an address that is a multiple of 16.
    ///
    /// ```
    /// let mut arena = sepconv::AlignedVec::zeroed(100);
    /// arena[99] = 1i8;
    /// assert_eq!((arena.len(), arena.as_ptr().align_offset(16)), (100, 0));
    /// ```
    pub struct AlignedVec<T> {
        values: Vec<T>,
        start: usize,
        len: usize,
    }

    impl<T: Copy + Default> AlignedVec<T> {
        /// `len` values of zero.
        pub fn zeroed(len: usize) -> Self {
            // Most allocators align so much by themselves; then nothing lies behind the last value, and tools that watch
            // memory see every access beyond it. Large values, whose speed matters more, begin at a cache line.
            let alignment = if len < LARGE { ALIGNMENT } else { CACHE_LINE };
            let mut values = vec![T::default(); len];
            if values.as_ptr().align_offset(alignment) != 0 {
                values = vec![T::default(); len + alignment];
            }
            let start = values.as_ptr().align_offset(alignment);
            Self { values, start, len }
        }

        /// A copy of `values`.
        pub fn copy_of(values: &[T]) -> Self {
            let mut copy = Self::zeroed(values.len());
            copy.copy_from_slice(values);
            copy
        }
    }

    impl<T> Deref for AlignedVec<T> {
        type Target = [T];
        fn deref(&self) -> &[T] {
            &self.values[self.start..self.start + self.len]
        }
    }

    impl<T> DerefMut for AlignedVec<T> {
        fn deref_mut(&mut self) -> &mut [T] {
            &mut self.values[self.start..self.start + self.len]
        }
    }
}
