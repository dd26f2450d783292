//! The embedded model and images. The build script puts them here.

use sepconv::Aligned;
use sepconv::kernels::{ALL, Kernels};

include!(concat!(env!("OUT_DIR"), "/sizes.rs"));
include!(concat!(env!("OUT_DIR"), "/kernels.rs"));

/// The best table: on a board, what is compiled in can be run.
static BEST: &Kernels = ALL[ALL.len() - 1];

/// The model, at an address that is a multiple of 16.
pub static MODEL: Aligned<[u8; MODEL_LEN]> =
    Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/model.sepc")));

static IMAGES: [u8; IMAGES_LEN] = *include_bytes!(concat!(env!("OUT_DIR"), "/images.bin"));

/// The images, each [`INPUT_LEN`] values.
pub fn images() -> impl Iterator<Item = &'static [i8]> {
    bytemuck::cast_slice(&IMAGES).chunks_exact(INPUT_LEN)
}
