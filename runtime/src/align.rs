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
            // memory see every access beyond it.
            let mut values = vec![T::default(); len];
            if values.as_ptr().align_offset(ALIGNMENT) != 0 {
                values = vec![T::default(); len + ALIGNMENT];
            }
            let start = values.as_ptr().align_offset(ALIGNMENT);
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
