//! `.sepc` files and the kernels that run them.

use super::failure::Failure;
use sepconv::kernels::{self, Kernels, reference};
use sepconv::layout::{Layout, Target, pack};
use sepconv::{AlignedVec, Model};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// A table for looking into models: it accepts the layouts of every target. Nothing is run with it.
pub static ANY_LAYOUT: LazyLock<Kernels> = LazyLock::new(|| {
    let layouts: Vec<Layout> = (0..=u8::MAX).filter_map(Layout::from_code).collect();
    Kernels {
        name: "any",
        layouts: layouts.leak(),
        ..reference::KERNELS
    }
});

/// A `.sepc` file in memory, packed for the kernels that are to run it.
pub struct ModelFile {
    path: PathBuf,
    bytes: AlignedVec<u8>,
    kernels: &'static Kernels,
}

impl ModelFile {
    /// Reads a file to run it with the kernels of a name, or the best that this machine has.
    pub fn open(path: &Path, isa: Option<&str>) -> Result<Self, Failure> {
        let kernels = isa.map_or_else(|| Ok(kernels::best()), kernels_of)?;
        let bytes = read(path)?;
        let packed = {
            let model = Model::with_kernels(&bytes, kernels).map_err(|error| Failure::input(path, error))?;
            (kernels.target != Target::Plain && is_plain(&model)).then(|| pack(&model, kernels.target))
        };
        Ok(Self {
            path: path.to_path_buf(),
            bytes: packed.unwrap_or(bytes),
            kernels,
        })
    }

    /// The validated view.
    pub fn model(&self) -> Result<Model<'_>, Failure> {
        Model::with_kernels(&self.bytes, self.kernels).map_err(|error| Failure::input(&self.path, error))
    }
}

/// The bytes of a file, aligned as the model view wants them.
pub fn read(path: &Path) -> Result<AlignedVec<u8>, Failure> {
    let bytes = std::fs::read(path).map_err(|error| Failure::input(path, error))?;
    Ok(AlignedVec::copy_of(&bytes))
}

/// Whether no operator is packed already.
fn is_plain(model: &Model) -> bool {
    let mut records = (0..model.operator_count()).filter_map(|number| model.record(number));
    records.all(|record| record.layout == Layout::Plain as u8)
}

/// The kernels of a name that `--isa` takes, if this machine can run them.
fn kernels_of(name: &str) -> Result<&'static Kernels, Failure> {
    let Some(kernels) = kernels::by_name(name) else {
        let names: Vec<&str> = kernels::ALL.iter().map(|kernels| kernels.name).collect();
        return Err(Failure::Usage(format!(
            "--isa {name}: there is no such instruction set; there are {}",
            names.join(", ")
        )));
    };
    if !(kernels.available)() {
        return Err(Failure::Environment(format!(
            "--isa {name}: this machine does not have it; `sepconv isa` lists what it has"
        )));
    }
    Ok(kernels)
}
