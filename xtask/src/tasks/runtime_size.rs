//! `cargo xtask runtime-size`: the flash that the runtime takes on a Cortex-M4 for one model, the model's bytes apart.

use std::path::{Path, PathBuf};

use object::{Object, ObjectSection};
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
    /// Models in the plain layout: the runtime is measured with the reference kernels that each uses.
    #[arg(value_name = "M.sepc", required = true)]
    models: Vec<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Bytes of a linked program.
struct Size {
    code: u64,
    constants: u64,
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
        ["model", "code, bytes", "constants", "together"]
            .map(String::from)
            .to_vec(),
    ];
    let mut objects = Vec::new();
    for model in &arguments.models {
        let size = measure(model)?;
        let name = model.display().to_string();
        let together = size.code + size.constants;
        objects.push(
            json!({ "model": name, "code": size.code, "constants": size.constants, "flash": together }),
        );
        rows.push(vec![
            name,
            thousands(size.code),
            thousands(size.constants),
            thousands(together),
        ]);
    }
    if arguments.json {
        println!("{}", json!({ "target": TRIPLE, "models": objects }));
    } else {
        print!("{}", render(&rows));
    }
    Ok(())
}

fn measure(model: &Path) -> Result<Size, Error> {
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
    Ok(Size {
        code: sections(".text"),
        // The model lies among the constants.
        constants: sections(".rodata").saturating_sub(model_len),
    })
}
