//! `cargo xtask runtime-size`: the flash that the runtime takes on a Cortex-M4 for one model, the model's bytes apart.

use std::path::{Path, PathBuf};

use object::{Object, ObjectSection, ObjectSymbol};
use serde_json::json;

use crate::command;
use crate::error::Error;
use crate::provision;
use crate::provision::rust::CrossCompiler;
use crate::table::{render, thousands};
use crate::workspace::{root, target};

/// The processor's target: Cortex-M4 and M7.
const TRIPLE: &str = "thumbv7em-none-eabihf";

/// Arguments of `runtime-size`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Models. The runtime is measured with the kernels that each uses: the reference's for a model in the plain layout,
    /// the Cortex-M4's for one packed for it.
    #[arg(value_name = "M.sepc", required = true)]
    models: Vec<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// A linked program.
pub struct Linked {
    /// Bytes of code.
    pub code: u64,
    /// Bytes of constants, the model's apart.
    pub constants: u64,
    /// Whether the softmax kernel is among the code.
    pub softmax: bool,
}

impl Linked {
    /// Bytes of flash that the runtime takes.
    pub fn flash(&self) -> u64 {
        self.code + self.constants
    }
}

/// Builds and prints.
///
/// # Errors
///
/// [`Error::Input`] for a file that cannot be read, [`Error::Failed`] if a program cannot be built (a bad model is one
/// reason), [`Error::Environment`] without a compiler.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    provision::ensure(&[&provision::rust::CROSS_TARGETS])?;
    let mut rows = vec![
        ["model", "code, bytes", "constants", "together", "softmax"]
            .map(String::from)
            .to_vec(),
    ];
    let mut objects = Vec::new();
    for model in &arguments.models {
        let linked = link(model)?;
        let name = model.display().to_string();
        objects.push(json!({
            "model": name,
            "code": linked.code,
            "constants": linked.constants,
            "flash": linked.flash(),
            "softmax": linked.softmax,
        }));
        rows.push(vec![
            name,
            thousands(linked.code),
            thousands(linked.constants),
            thousands(linked.flash()),
            if linked.softmax { "linked" } else { "not linked" }.to_string(),
        ]);
    }
    if arguments.json {
        println!("{}", json!({ "target": TRIPLE, "models": objects }));
    } else {
        print!("{}", render(&rows));
    }
    Ok(())
}

/// Links the runtime with what one model needs, for a Cortex-M4.
///
/// # Errors
///
/// As [`run`].
pub fn link(model: &Path) -> Result<Linked, Error> {
    let cannot_read =
        |path: &Path, error: &dyn std::fmt::Display| Error::Input(format!("{}: {error}", path.display()));
    let model = std::path::absolute(model).map_err(|error| cannot_read(model, &error))?;
    let model_len = std::fs::metadata(&model)
        .map_err(|error| cannot_read(&model, &error))?
        .len();
    let compiler = CrossCompiler::for_target(TRIPLE)
        .ok_or_else(|| Error::Environment(format!("no compiler for {TRIPLE}; see `cargo xtask doctor`")))?;
    let folder = target().join("firmware/flash-size");
    let mut build = compiler.cargo("build", TRIPLE, &[]);
    build
        .current_dir(root().join("runtime/flash-size"))
        .args(["--release", "--locked", "--quiet", "--target-dir"])
        .arg(&folder)
        .env("SEPCONV_MODEL", &model);
    command::run(&mut build)?;

    let program = folder.join(TRIPLE).join("release/flash-size");
    let broken = |error: &dyn std::fmt::Display| Error::Failed(format!("{}: {error}", program.display()));
    let file = std::fs::read(&program).map_err(|error| broken(&error))?;
    let elf = object::File::parse(&*file).map_err(|error| broken(&error))?;
    let sections = |prefix: &str| -> u64 {
        elf.sections()
            .filter(|section| section.name().is_ok_and(|name| name.starts_with(prefix)))
            .map(|section| section.size())
            .sum()
    };
    let names = |symbol: object::Symbol| symbol.name().is_ok_and(|name| name.contains("softmax"));
    Ok(Linked {
        code: sections(".text"),
        // The model lies among the constants.
        constants: sections(".rodata").saturating_sub(model_len),
        softmax: elf.symbols().any(names),
    })
}
