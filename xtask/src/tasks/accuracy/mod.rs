//! `cargo xtask accuracy`: accuracy in floating point and in int8, of every network that there is data for.

mod imported;
mod peers;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::command;
use crate::error::Error;
use crate::python;
use crate::sepconv;
use crate::table::render;
use crate::workspace::{root, shared, target};

/// Measure accuracy: floating point, and int8 by each recipe.
#[derive(clap::Args)]
pub struct Arguments {
    /// A folder with models/ and data/ [default: $SEPCONV_SHARED, else ../shared]
    folder: Option<PathBuf>,
    /// Only networks whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// Calibration images
    #[arg(long, default_value = "100")]
    images: u32,
    /// Also let ONNX Runtime and NNCF quantize the networks, and fail where a peer is more accurate
    #[arg(long)]
    peers: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// A network, and what it is calibrated and measured on.
struct Network {
    name: &'static str,
    model: &'static str,
    /// The same network as others quantized it, to be no worse than.
    theirs: Option<&'static str>,
    calibration: &'static str,
    test: &'static str,
    /// Whether the data are unpacked first.
    unpacked: bool,
    /// Mean and standard deviation of pixels; `None` where inputs are the quantized values of `theirs`.
    normalization: Option<[&'static str; 2]>,
    resize: &'static str,
    bar: Bar,
}

/// What int8 by the recipe `best` has to reach, in percent.
enum Bar {
    /// Top-1, and the same class as the float network's.
    Figures { top1: f64, agreement: f64 },
    /// Top-1 no more points below the float network's.
    BelowFloat(f64),
    /// Top-1 of the published int8 network.
    Published,
}

const NETWORKS: [Network; 6] = [
    Network {
        name: "Xception, ImageNet",
        model: "xception-imagenet.onnx",
        theirs: None,
        calibration: "imagenet-calibration",
        test: "imagenet-val",
        unpacked: false,
        normalization: Some(["127.5", "127.5"]),
        resize: "bicubic",
        bar: Bar::Figures {
            top1: 83.4,
            agreement: 98.5,
        },
    },
    Network {
        name: "EfficientNet-Lite0, ImageNet",
        model: "efficientnet-lite0.onnx",
        theirs: None,
        calibration: "imagenet-calibration",
        test: "imagenet-val",
        unpacked: false,
        normalization: Some(["127", "128"]),
        resize: "bicubic",
        bar: Bar::Figures {
            top1: 82.0,
            agreement: 98.5,
        },
    },
    faces("mini Xception, FER2013", "mini-xception-fer2013.onnx"),
    faces("big Xception, FER2013", "big-xception-fer2013.onnx"),
    Network {
        name: "DS-CNN, keywords",
        model: "mlperf-tiny/kws_float.tflite",
        theirs: Some("mlperf-tiny/kws_int8.tflite"),
        calibration: "keywords/calibration.npy",
        test: "keywords/test.npz",
        unpacked: true,
        normalization: None,
        resize: "bilinear",
        bar: Bar::Published,
    },
    Network {
        name: "ResNet-8, CIFAR-10",
        model: "mlperf-tiny/ic_float.tflite",
        theirs: Some("mlperf-tiny/ic_int8.tflite"),
        calibration: "cifar10/calibration",
        test: "cifar10/test",
        unpacked: true,
        normalization: Some(["0", "1"]),
        resize: "bilinear",
        bar: Bar::Published,
    },
];

/// A network that tells faces' expressions.
const fn faces(name: &'static str, model: &'static str) -> Network {
    Network {
        name,
        model,
        theirs: None,
        calibration: "faces/calibration",
        test: "faces/test",
        unpacked: true,
        normalization: Some(["127.5", "127.5"]),
        resize: "bilinear",
        bar: Bar::BelowFloat(0.5),
    }
}

/// Measures and prints the table.
///
/// # Errors
///
/// [`Error`] if there is no data, a network cannot be quantized or run, or int8 is less accurate than its bar.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let folder = arguments.folder.clone().unwrap_or_else(shared);
    if !folder.join("models").is_dir() || !folder.join("data").is_dir() {
        return Err(Error::Input(format!(
            "{} has no models/ and data/: give a folder that has, as `cargo xtask accuracy DIR`",
            folder.display()
        )));
    }
    let only = arguments.only.as_deref().unwrap_or("").to_lowercase();
    let chosen = |name: &str| name.to_lowercase().contains(&only);
    let networks: Vec<&Network> = NETWORKS.iter().filter(|network| chosen(network.name)).collect();
    let unpacked = target().join("accuracy");
    make_folder(&unpacked)?;
    let mut python = None;
    if networks.iter().any(|network| network.unpacked) || arguments.peers {
        let mut requirements = vec!["tests/accuracy/requirements.txt"];
        requirements.extend(arguments.peers.then_some("tests/peers/accuracy.txt"));
        let python = &*python.insert(python::install("accuracy-venv", &requirements)?);
        let mut script = Command::new(python);
        script.arg(root().join("tests/accuracy/data.py"));
        command::run(script.arg(folder.join("data")).arg(&unpacked))?;
    }
    let mut measured = Vec::new();
    for network in networks {
        let data = if network.unpacked {
            unpacked.clone()
        } else {
            folder.join("data")
        };
        let parts = [
            folder.join("models").join(network.model),
            data.join(network.calibration),
            data.join(network.test),
        ];
        match parts.iter().find(|part| !part.exists()) {
            Some(missing) => eprintln!("left out: {} (there is no {})", network.name, missing.display()),
            None => {
                measured.extend(measure(arguments, network, &folder.join("models"), &parts)?);
                if arguments.peers {
                    let python = python.as_deref().expect("it was installed");
                    measured.extend(peers(arguments, network, python, &parts, &measured)?);
                }
            }
        }
    }
    if chosen(imported::NAME) {
        measured.extend(imported::measure(&folder)?);
    }
    print(arguments, &measured)?;
    let missed: Vec<&str> = measured.iter().filter_map(|row| row.missed.as_deref()).collect();
    if missed.is_empty() {
        Ok(())
    } else {
        Err(Error::Failed(format!("bars missed: {}", missed.join("; "))))
    }
}

impl Network {
    /// A file made of it: its quantized form, or a table about that.
    fn file(&self, what: &str, extension: &str) -> PathBuf {
        let name = self.name.replace([' ', ','], "-");
        target()
            .join("accuracy")
            .join(format!("{name}-{what}.{extension}"))
    }
}

impl Bar {
    /// What a network misses, in words, given the rows before it.
    fn missed(&self, network: &str, rows: &[Measured], best: &Value) -> Option<String> {
        let percent = |figures: &Value, key: &str| figures[key].as_f64().map(|share| 100.0 * share);
        let top1_of = |who: &str| {
            let row = rows.iter().find(|row| row.who == who)?;
            percent(&row.figures, "top1")
        };
        let below = |what: &str, key: &str, bar: Option<f64>| match (percent(best, key), bar) {
            // Half a hundredth, so that what prints as the bar reaches it.
            (Some(reached), Some(bar)) if reached >= bar - 0.005 => None,
            (Some(reached), Some(bar)) => Some(format!("{network}: {what} {reached:.2} %, not {bar:.2} %")),
            _ => Some(format!("{network}: {what} was not measured")),
        };
        match *self {
            Self::Figures { top1, agreement } => below("top-1", "top1", Some(top1))
                .or_else(|| below("same class as float", "agreement", Some(agreement))),
            Self::BelowFloat(points) => below("top-1", "top1", top1_of(FLOAT).map(|float| float - points)),
            Self::Published => below("top-1", "top1", top1_of(PUBLISHED)),
        }
    }
}

/// Who the rows are about, besides the recipes.
const FLOAT: &str = "float";
const PUBLISHED: &str = "int8 as published";

fn make_folder(folder: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(folder)
        .map_err(|error| Error::Environment(format!("cannot make {}: {error}", folder.display())))
}

/// One quantization of a network.
struct Measured {
    network: &'static str,
    who: String,
    /// As `sepconv eval` prints it.
    figures: Value,
    /// Of quantizing: seconds, and the most memory held.
    seconds: Option<f64>,
    peak: Option<f64>,
    /// The bar that is missed, and by what.
    missed: Option<String>,
}

fn measure(
    arguments: &Arguments,
    network: &Network,
    models: &Path,
    [model, calibration, test]: &[PathBuf; 3],
) -> Result<Vec<Measured>, Error> {
    let mut all = Vec::new();
    let mut normalization = network.normalization.map(|pair| pair.map(String::from));
    if let Some(theirs) = network.theirs {
        let file = network.file("published", "sepc");
        let theirs = models.join(theirs);
        import(&theirs, &file, None)?;
        if normalization.is_none() {
            normalization = Some(exact_normalization(&file, false)?);
        } else {
            import(&theirs, &file, normalization.as_ref())?;
        }
        all.push(Measured {
            network: network.name,
            who: PUBLISHED.into(),
            figures: evaluate(&file, test, None, None)?,
            seconds: None,
            peak: None,
            missed: None,
        });
    }
    let [mean, std] = normalization.expect("given, or the published network's");
    for recipe in ["fast", "best"] {
        eprintln!("{}: {recipe}", network.name);
        let file = network.file(recipe, "sepc");
        let mut quantize = sepconv::command()?;
        quantize
            .arg("quantize")
            .arg(model)
            .arg("--calibrate")
            .arg(calibration);
        quantize.args(["--mean", &mean, "--std", &std, "--resize", network.resize]);
        quantize.args(["--images", &arguments.images.to_string(), "--recipe", recipe]);
        let made = sepconv::json(quantize.args(["--target", "host", "-o"]).arg(&file))?;
        let figures = evaluate(&file, test, Some(model), Some(&network.file(recipe, "tsv")))?;
        if recipe == "fast" {
            let float = json!({"top1": figures["float_top1"], "top5": figures["float_top5"]});
            all.push(row(network, FLOAT, float, None));
        }
        let missed = (recipe == "best")
            .then(|| network.bar.missed(network.name, &all, &figures))
            .flatten();
        all.push(Measured {
            missed,
            ..row(network, &format!("int8, {recipe}"), figures, Some(&made))
        });
    }
    Ok(all)
}

/// What peers make of a network; the last row says if one is more accurate than the recipe `best`.
fn peers(
    arguments: &Arguments,
    network: &Network,
    python: &Path,
    [model, calibration, test]: &[PathBuf; 3],
    ours: &[Measured],
) -> Result<Vec<Measured>, Error> {
    eprintln!("{}: peers", network.name);
    let given = peers::Given {
        ours: &network.file("best", "sepc"),
        model,
        calibration,
        images: arguments.images,
        test,
        classes: &network.file("best", "tsv"),
    };
    let mut theirs = peers::measure(python, network, &given)?;
    let best = ours.last().expect("the row of `best` is the last");
    let missed = peers::missed(network.name, &best.figures, &theirs);
    if let Some(row) = theirs.last_mut() {
        row.missed = missed;
    }
    Ok(theirs)
}

fn row(network: &Network, who: &str, figures: Value, made: Option<&Value>) -> Measured {
    let number = |key: &str| made.and_then(|made| made[key].as_f64());
    Measured {
        network: network.name,
        who: who.into(),
        figures,
        seconds: number("seconds"),
        peak: number("peak_rss_bytes"),
        missed: None,
    }
}

/// Imports a network that is in integers already; pixels become its real inputs by a mean and a standard deviation.
fn import(source: &Path, file: &Path, normalization: Option<&[String; 2]>) -> Result<(), Error> {
    let mut quantize = sepconv::command()?;
    quantize.arg("quantize").arg(source).arg("-o").arg(file);
    if let Some([mean, std]) = normalization {
        quantize.args(["--mean", mean, "--std", std]);
    }
    sepconv::json(&mut quantize).map(|_| ())
}

/// The mean and the standard deviation by which bytes become real inputs that a model quantizes to the same bytes: int8,
/// or unsigned ones, which are 128 more.
fn exact_normalization(file: &Path, unsigned: bool) -> Result<[String; 2], Error> {
    let input = &sepconv::json(sepconv::command()?.arg("inspect").arg(file))?["input"];
    let number = |key: &str| input[key].as_f64().unwrap_or(1.0);
    let zero_point = number("zero_point") + if unsigned { 128.0 } else { 0.0 };
    Ok([zero_point.to_string(), (1.0 / number("scale")).to_string()])
}

/// The option that takes a set of images or an array.
fn kind(test: &Path) -> &'static str {
    if test.is_dir() { "--images" } else { "--inputs" }
}

fn evaluate(file: &Path, test: &Path, float: Option<&Path>, classes: Option<&Path>) -> Result<Value, Error> {
    let mut eval = sepconv::command()?;
    eval.arg("eval").arg(file).arg(kind(test)).arg(test);
    if let Some(classes) = classes {
        eval.arg("--classes").arg(classes);
    }
    if let Some(float) = float {
        eval.arg("--float").arg(float);
    }
    sepconv::json(&mut eval)
}

fn print(arguments: &Arguments, measured: &[Measured]) -> Result<(), Error> {
    if arguments.json {
        let object = |row: &Measured| {
            json!({
                "network": row.network,
                "who": row.who,
                "top1": row.figures["top1"],
                "top5": row.figures["top5"],
                "agreement": row.figures["agreement"],
                "seconds": row.seconds,
                "peak_rss_bytes": row.peak,
                "missed": row.missed,
            })
        };
        println!(
            "{}",
            json!({"rows": measured.iter().map(object).collect::<Vec<_>>()})
        );
        return Ok(());
    }
    let heading = ["network", "", "top-1", "top-5", "same as float", "seconds", "MiB"];
    let mut rows = vec![heading.map(String::from).to_vec()];
    for row in measured {
        let percent = |key: &str| match row.figures[key].as_f64() {
            Some(share) => format!("{:.2}", 100.0 * share),
            None => "-".into(),
        };
        let number = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.0}"));
        rows.push(vec![
            row.network.into(),
            row.who.clone(),
            percent("top1"),
            percent("top5"),
            percent("agreement"),
            number(row.seconds),
            number(row.peak.map(|bytes| bytes / f64::from(1 << 20))),
        ]);
    }
    print!("{}", render(&rows));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_told_from_what_misses_them() {
        let rows = |who: &str, top1: f64| {
            vec![Measured {
                network: "N",
                who: who.into(),
                figures: json!({"top1": top1}),
                seconds: None,
                peak: None,
                missed: None,
            }]
        };
        let best = json!({"top1": 0.8, "agreement": 0.97});
        let figures = |top1, agreement| Bar::Figures { top1, agreement };
        assert_eq!(figures(80.0, 97.0).missed("N", &[], &best), None);
        assert!(figures(80.1, 97.0).missed("N", &[], &best).is_some());
        let missed = figures(80.0, 98.5).missed("N", &[], &best);
        assert_eq!(
            missed.as_deref(),
            Some("N: same class as float 97.00 %, not 98.50 %")
        );
        assert_eq!(Bar::BelowFloat(0.5).missed("N", &rows(FLOAT, 0.805), &best), None);
        assert!(
            Bar::BelowFloat(0.5)
                .missed("N", &rows(FLOAT, 0.81), &best)
                .is_some()
        );
        assert_eq!(Bar::Published.missed("N", &rows(PUBLISHED, 0.8), &best), None);
        assert!(Bar::Published.missed("N", &rows(FLOAT, 0.8), &best).is_some());
    }
}
