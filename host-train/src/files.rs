//! Writing files so that nobody ever sees half of one.

use std::fs;
use std::path::Path;

use crate::TrainError;

/// Writes `bytes` to a file beside `path` and then renames it to `path`.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    fs::write(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(|error| {
            // Nothing is lost if there is no temporary file to remove.
            let _ = fs::remove_file(&temporary);
            TrainError::io(path)(error)
        })
}
