//! What crosses the crates of sepconv. This library holds what its tests share; the tests are in `tests/tests`.

pub mod cases;
pub mod conformance;
pub mod layers;
pub mod networks;

use std::path::PathBuf;

/// The folder of data and models for measuring, which is not part of the project: what the environment variable
/// `SEPCONV_SHARED` says, else `../shared` beside the workspace. `None` where there is none; tests that use it then say
/// that they are left out.
pub fn shared_folder() -> Option<PathBuf> {
    let folder =
        std::env::var_os("SEPCONV_SHARED").map_or_else(|| workspace().join("../shared"), PathBuf::from);
    folder.is_dir().then_some(folder)
}

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
