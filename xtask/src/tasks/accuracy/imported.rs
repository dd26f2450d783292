//! A network that others quantized, imported as it is: its accuracy, and whether it gives TensorFlow Lite Micro's bytes.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{Measured, exact_normalization, import};
use crate::error::Error;
use crate::python;
use crate::sepconv;
use crate::tasks::conformance;
use crate::workspace::{root, target};

/// The name of the network.
pub const NAME: &str = "MobileNetV2, ImageNet";

const MODEL: &str = "models/mobilenet-v2-ptq.tflite";
const TEST: &str = "data/imagenet-val";

/// The class before those that the images are labelled with: background.
const FIRST_CLASS: u32 = 1;

/// Images whose outputs are compared with TensorFlow Lite Micro's, at some third of a second each.
const COMPARED: u32 = 100;

/// How long that may take.
const LIMIT: Duration = Duration::from_secs(600);

/// Measures it, if the folder has it.
///
/// # Errors
///
/// [`Error`] if the network cannot be imported or run, or TensorFlow Lite Micro does not install.
pub fn measure(folder: &Path) -> Result<Option<Measured>, Error> {
    let (model, test) = (folder.join(MODEL), folder.join(TEST));
    if let Some(missing) = [&model, &test].into_iter().find(|part| !part.exists()) {
        eprintln!("left out: {NAME} (there is no {})", missing.display());
        return Ok(None);
    }
    eprintln!("{NAME}");
    let place = |name: &str| target().join("accuracy").join(format!("imported{name}"));
    let [file, labels, inputs, outputs] = [".sepc", ".tsv", "-x.npy", "-y.npy"].map(place);
    import(&model, &file, None)?;
    let [mean, std] = exact_normalization(&file, true)?;
    import(&model, &file, Some(&[mean, std]))?;
    write_labels(&test.join("labels.tsv"), &labels)?;
    let with = |command: &str| {
        let mut with = sepconv::command()?;
        with.arg(command).arg(&file);
        Ok::<Command, Error>(with)
    };
    let images = |command: &mut Command| {
        command.arg("--images").arg(&test).arg("--labels").arg(&labels);
    };
    let mut eval = with("eval")?;
    images(&mut eval);
    let figures = sepconv::json(&mut eval)?;
    let mut write = with("inputs")?;
    images(&mut write);
    sepconv::json(write.args(["--count", &COMPARED.to_string(), "-o"]).arg(&inputs))?;
    let mut run = with("run")?;
    sepconv::json(run.arg("--input").arg(&inputs).arg("--output").arg(&outputs))?;
    let [equal, count] = compare(&model, &inputs, &outputs)?;
    let who = format!("int8 as it is, {equal} of {count} outputs as TFLM's");
    let missed = (equal != count || count == 0).then(|| format!("{NAME}: {who}"));
    Ok(Some(Measured {
        network: NAME,
        who,
        figures,
        seconds: None,
        peak: None,
        missed,
    }))
}

/// Of how many outputs TensorFlow Lite Micro gives all bytes, and how many there are.
fn compare(model: &Path, inputs: &Path, outputs: &Path) -> Result<[u64; 2], Error> {
    let mut script = Command::new(conformance::install("requirements.txt")?);
    script.arg(root().join("tests/conformance/network.py"));
    let failure = format!("{NAME}: TensorFlow Lite Micro could not be compared");
    let found = python::json(script.args([model, inputs, outputs]), LIMIT, &failure)?;
    Ok(["equal", "count"].map(|key| found[key].as_u64().unwrap_or(0)))
}

/// Writes the table of labels as the network numbers classes.
fn write_labels(from: &Path, to: &Path) -> Result<(), Error> {
    let table = std::fs::read_to_string(from)
        .map_err(|error| Error::Input(format!("{}: {error}", from.display())))?;
    let table = shifted(&table)
        .ok_or_else(|| Error::Input(format!("{}: a line without a class index", from.display())))?;
    std::fs::write(to, table)
        .map_err(|error| Error::Environment(format!("cannot write {}: {error}", to.display())))
}

fn shifted(table: &str) -> Option<String> {
    let line = |line: &str| {
        let mut columns = line.split('\t');
        let (file, class) = (columns.next()?, columns.next()?);
        Some(format!("{file}\t{}\n", class.parse::<u32>().ok()? + FIRST_CLASS))
    };
    table.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_numbered_as_the_network_numbers_them() {
        assert_eq!(
            shifted("a.JPEG\t0\tn1\tcat\nb.JPEG\t999\n").as_deref(),
            Some("a.JPEG\t1\nb.JPEG\t1000\n")
        );
        assert_eq!(shifted("a.JPEG\tcat\n"), None);
    }
}
