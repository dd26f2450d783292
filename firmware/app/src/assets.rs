//! The embedded model and images. The build script puts them here.

/// The model: `MODEL`, `ARENA`, sizes, kernels, and `model()`; see `sepconv::build`.
pub mod network {
    include!(concat!(env!("OUT_DIR"), "/network.rs"));
}

include!(concat!(env!("OUT_DIR"), "/sizes.rs"));

static IMAGES: [u8; IMAGES_LEN] = *include_bytes!(concat!(env!("OUT_DIR"), "/images.bin"));

/// The images, each as long as an input.
pub fn images() -> impl Iterator<Item = &'static [i8]> {
    bytemuck::cast_slice(&IMAGES).chunks_exact(network::INPUT_LEN)
}
