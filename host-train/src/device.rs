//! Choosing where to compute.

#[cfg(target_os = "linux")]
use std::sync::Once;

use tch::Device;

use crate::TrainError;

/// The first CUDA device, or the processor if there is none that libtorch can use.
pub fn best() -> Device {
    load_cuda();
    Device::cuda_if_available()
}

/// The first CUDA device.
pub fn cuda() -> Result<Device, TrainError> {
    match best() {
        Device::Cuda(index) => Ok(Device::Cuda(index)),
        _ => Err(TrainError::NoCuda),
    }
}

/// Loads libtorch's CUDA part, once, where it is installed with all that it needs.
///
/// It adds itself to libtorch when it is loaded. Linking to it instead would make the program depend on several
/// gigabytes of libraries on machines that have no use for them.
#[cfg(target_os = "linux")]
fn load_cuda() {
    static LOADED: Once = Once::new();
    LOADED.call_once(|| {
        use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};

        // SAFETY: the library's initializers run, which register it with libtorch, as when it is linked. It comes
        // from the same package as the libtorch that this program runs with, and is never unloaded.
        let library = unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_NOW | RTLD_GLOBAL) };
        if let Ok(library) = library {
            std::mem::forget(library);
        }
    });
}

/// Elsewhere, whatever the program was linked with is all there is.
#[cfg(not(target_os = "linux"))]
fn load_cuda() {}
