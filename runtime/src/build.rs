//! For build scripts: compiles a model into a program, with only the kernels that it uses.
//!
//! In `build.rs` (with `sepconv` among the build dependencies, feature `std`):
//!
//! ```no_run
//! sepconv::build::Embed::new("models/network.sepc").write().unwrap_or_else(|error| panic!("{error}"));
//! ```
//!
//! In the program, which needs no feature of this crate:
//!
//! ```text
//! mod network {
//!     include!(concat!(env!("OUT_DIR"), "/network.rs"));
//! }
//!
//! static ARENA: ConstStaticCell<network::Arena> = ConstStaticCell::new(network::ARENA);
//!
//! let model = network::model()?;
//! let scores = model.invoke(&mut ARENA.take().0)?;
//! ```
//!
//! The module holds `MODEL` (the file, aligned), `ARENA_LEN`, `INPUT_LEN` and `OUTPUT_LEN` (bytes), the type `Arena` and the
//! value `ARENA` (zeros, of the right size and alignment, for a static), `KERNELS` and `model()`, which makes the view with
//! them.

use crate::kernels::{KernelUse, Kernels, reference};
use crate::layout::Layout;
use crate::{AlignedVec, Model, ModelError};
use core::fmt::{self, Write};
use std::boxed::Box;
use std::path::{Path, PathBuf};
use std::string::{String, ToString};
use std::vec::Vec;
use std::{env, fs, io};

/// A model to be compiled into a program.
///
/// ```
/// use sepconv::build::Embed;
/// let module = Embed::new("network.sepc").module(&sepconv::tiny::WHOLE.0)?;
/// assert!(module.contains("pub const INPUT_LEN: usize = 192;"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Embed {
    model: PathBuf,
    name: String,
    table: String,
}

/// Why a model cannot be compiled in.
///
/// ```
/// use sepconv::build::{Embed, EmbedError};
/// let error = Embed::new("network.sepc").module(b"not a model").unwrap_err();
/// assert!(matches!(error, EmbedError::Model(..)) && error.to_string().starts_with("network.sepc: "));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum EmbedError {
    /// A file cannot be read or written.
    File(PathBuf, io::Error),
    /// The file is no sound model.
    Model(PathBuf, ModelError),
    /// The variable `OUT_DIR` is not set: this is no build script.
    NoBuildScript,
}

impl fmt::Display for EmbedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Model(path, error) => write!(f, "{}: {error}", path.display()),
            Self::NoBuildScript => write!(f, "OUT_DIR is not set; models are embedded by build scripts"),
        }
    }
}

impl core::error::Error for EmbedError {}

impl Embed {
    /// Embeds a `.sepc` file as the module `network`, with kernels of [`OF_TARGET`](crate::kernels::OF_TARGET).
    ///
    /// ```
    /// use sepconv::build::Embed;
    /// assert!(Embed::new("a.sepc").module(&sepconv::tiny::WHOLE.0)?.contains("/network.sepc"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(model: impl AsRef<Path>) -> Self {
        Self {
            model: model.as_ref().to_path_buf(),
            name: "network".to_string(),
            table: "*::sepconv::kernels::OF_TARGET".to_string(),
        }
    }

    /// Another name for the two files in `OUT_DIR`: `NAME.rs` and `NAME.sepc`.
    ///
    /// ```
    /// use sepconv::build::Embed;
    /// assert!(Embed::new("a.sepc").name("gestures").module(&sepconv::tiny::WHOLE.0)?.contains("/gestures.sepc"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name(mut self, name: &str) -> Self {
        self.name = name.to_string();
        self
    }

    /// The path of another table of kernels, such as `::sepconv::kernels::reference::KERNELS`.
    ///
    /// ```
    /// use sepconv::build::Embed;
    /// let embed = Embed::new("a.sepc").kernels("::sepconv::kernels::reference::KERNELS");
    /// assert!(embed.module(&sepconv::tiny::WHOLE.0)?.contains("(::sepconv::kernels::reference::KERNELS).only("));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn kernels(mut self, table: &str) -> Self {
        self.table = table.to_string();
        self
    }

    /// Writes the module and the model into `OUT_DIR` and has Cargo run the script again when the model changes.
    ///
    /// ```
    /// use sepconv::build::{Embed, EmbedError};
    /// let error = Embed::new("missing.sepc").write().unwrap_err();
    /// assert!(matches!(error, EmbedError::File(..) | EmbedError::NoBuildScript));
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmbedError`] if the model is not sound, or a file cannot be read or written.
    pub fn write(&self) -> Result<(), EmbedError> {
        std::println!("cargo::rerun-if-changed={}", self.model.display());
        let folder = env::var_os("OUT_DIR")
            .map(PathBuf::from)
            .ok_or(EmbedError::NoBuildScript)?;
        let bytes = fs::read(&self.model).map_err(|error| EmbedError::File(self.model.clone(), error))?;
        let module = self.module(&bytes)?;
        for (extension, contents) in [("sepc", &bytes[..]), ("rs", module.as_bytes())] {
            let path = folder.join(&self.name).with_extension(extension);
            fs::write(&path, contents).map_err(|error| EmbedError::File(path.clone(), error))?;
        }
        Ok(())
    }

    /// The module's text, for the bytes of a model.
    ///
    /// ```
    /// use sepconv::build::Embed;
    /// let module = Embed::new("a.sepc").module(&sepconv::tiny::WHOLE.0)?;
    /// assert!(module.contains("Kind::Softmax") && !module.contains("Kind::MaxPool")); // only what the model uses
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmbedError::Model`] if the model is not sound.
    pub fn module(&self, bytes: &[u8]) -> Result<String, EmbedError> {
        let aligned = AlignedVec::copy_of(bytes);
        let model = Model::with_kernels(&aligned, every_layout())
            .map_err(|error| EmbedError::Model(self.model.clone(), error))?;
        let mut uses: Vec<KernelUse> = Vec::new();
        for used in KernelUse::of_model(&model) {
            if !uses.contains(&used) {
                uses.push(used);
            }
        }
        let mut text = String::new();
        let name = &self.name;
        for (constant, what, value) in [
            ("MODEL_LEN", "of the model", bytes.len()),
            ("ARENA_LEN", "of the arena", model.arena_len()),
            ("INPUT_LEN", "of an input", model.input().bytes()),
            ("OUTPUT_LEN", "of an output", model.output().bytes()),
        ] {
            let _ = writeln!(text, "/// Bytes {what}.\npub const {constant}: usize = {value};");
        }
        let _ = write!(
            text,
            "/// The model, at an aligned address.\n\
             pub static MODEL: ::sepconv::Aligned<[u8; MODEL_LEN]> =\n    \
                 ::sepconv::Aligned(*include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.sepc\")));\n\
             /// The memory that an inference needs.\n\
             pub type Arena = ::sepconv::Aligned<[i8; ARENA_LEN]>;\n\
             /// An arena of zeros, for a static.\n\
             pub const ARENA: Arena = ::sepconv::Aligned([0; ARENA_LEN]);\n\
             /// The kernels that the model uses.\n\
             pub static KERNELS: ::sepconv::kernels::Kernels = ({}).only(&[\n",
            self.table
        );
        for KernelUse {
            kind,
            input,
            output,
            weight_bits,
        } in uses
        {
            let _ = writeln!(
                text,
                "    ::sepconv::kernels::KernelUse {{\n        kind: ::sepconv::operator::Kind::{kind:?},\n        \
                 input: ::sepconv::Element::{input:?},\n        output: ::sepconv::Element::{output:?},\n        weight_bits: {weight_bits},\n    }},"
            );
        }
        let _ = write!(
            text,
            "]);\n\
             /// The view of the model.\n///\n/// # Errors\n///\n/// `ModelError` if the model is packed for other kernels.\n\
             pub fn model() -> Result<::sepconv::Model<'static>, ::sepconv::ModelError> {{\n    \
                 ::sepconv::Model::with_kernels(&MODEL.0, &KERNELS)\n}}\n"
        );
        Ok(text)
    }
}

/// A table that views any model, for whichever processor it is packed. Nothing is run with it.
///
/// ```
/// use sepconv::build::every_layout;
/// use sepconv::{Model, layout, tiny};
/// let model = Model::new(&tiny::WHOLE.0)?;
/// let packed = layout::pack(&model, layout::Target::CortexM4); // not for this machine
/// assert!(Model::with_kernels(&packed, every_layout()).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn every_layout() -> &'static Kernels {
    static TABLE: std::sync::LazyLock<Kernels> = std::sync::LazyLock::new(|| {
        let layouts: Vec<Layout> = (0..=u8::MAX).filter_map(Layout::from_code).collect();
        Kernels {
            layouts: Box::leak(layouts.into_boxed_slice()),
            ..reference::KERNELS
        }
    });
    &TABLE
}
