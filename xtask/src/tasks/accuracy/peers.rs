//! The same network quantized by others, with the same inputs to calibrate with and to be measured on.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Measured, Network};
use crate::command;
use crate::error::Error;
use crate::sepconv;
use crate::workspace::root;

/// How long the peers may take for one network.
const LIMIT: Duration = Duration::from_secs(3600);

/// The row of the float network that a peer ran.
const FLOAT: &str = "float, ONNX Runtime";

/// What the peers' float network may differ from ours in, as a share of the inputs: sums in another order.
const FLOAT_DIFFERS: f64 = 0.002;

/// What a network is given to: our model, which knows the preprocessing, and the sources of inputs.
pub struct Given<'a> {
    /// Our int8 model.
    pub ours: &'a Path,
    /// The float network.
    pub model: &'a Path,
    /// Images or arrays to calibrate with, and how many of them.
    pub calibration: &'a Path,
    pub images: u32,
    /// Images or arrays to measure on.
    pub test: &'a Path,
    /// The table of classes that `sepconv eval --classes` wrote for `test`.
    pub classes: &'a Path,
}

/// Lets the peers quantize a network and measures them.
///
/// # Errors
///
/// [`Error`] if a peer fails, or its float network is not ours.
pub fn measure(python: &Path, network: &Network, given: &Given) -> Result<Vec<Measured>, Error> {
    let array = |name: &str, source: &[&str], path: &Path| {
        let file = given.ours.with_extension(name);
        let mut inputs = sepconv::command()?;
        inputs.arg("inputs").arg(given.ours).args(source).arg(path);
        sepconv::json(inputs.args(["--real", "--output"]).arg(&file))?;
        Ok::<PathBuf, Error>(file)
    };
    let images = given.images.to_string();
    let calibration = array(
        "calibration.npy",
        &["--count", &images, "--calibrate"],
        given.calibration,
    )?;
    let inputs = array("test.npy", &[super::kind(given.test)], given.test)?;
    let mut script = Command::new(python);
    script
        .arg(root().join("tests/peers/accuracy.py"))
        .arg(given.model);
    script.arg(&calibration).arg(&inputs);
    let (output, ended) = command::output_within(&mut script, LIMIT)?;
    if !output.status.success() || !ended {
        let message = String::from_utf8_lossy(&output.stderr).trim_end().to_string();
        return Err(Error::Failed(format!(
            "{}: the peers failed\n{message}",
            network.name
        )));
    }
    for file in [calibration, inputs] {
        std::fs::remove_file(&file)
            .map_err(|error| Error::Environment(format!("cannot remove {}: {error}", file.display())))?;
    }
    let answer: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| Error::Failed(format!("the peers' answer: {error}")))?;
    let expected = std::fs::read_to_string(given.classes)
        .map_err(|error| Error::Input(format!("{}: {error}", given.classes.display())))?;
    let expected = parse(&expected)
        .ok_or_else(|| Error::Failed(format!("{} is no table of classes", given.classes.display())))?;
    let rows = answer["rows"].as_array().map_or(&[][..], Vec::as_slice);
    rows.iter()
        .map(|row| {
            let who = row["who"].as_str().unwrap_or("a peer");
            let figures = figures(&row["classes"], &expected).ok_or_else(|| {
                Error::Failed(format!("{}: {who} gave no class for every input", network.name))
            })?;
            let is_float = who == "float";
            if is_float {
                check_same_network(network, &figures)?;
            }
            let number = |value: &Value| value.as_f64().filter(|_| !is_float);
            Ok(Measured {
                network: network.name,
                who: if is_float { FLOAT } else { who }.into(),
                figures,
                seconds: number(&row["seconds"]),
                // Of all peers together.
                peak: number(&answer["peak_rss_bytes"]),
                missed: None,
            })
        })
        .collect()
}

/// Checks that the peers were given our float network, by what it gives.
fn check_same_network(network: &Network, figures: &Value) -> Result<(), Error> {
    let differs = 1.0 - figures["agreement"].as_f64().unwrap_or(0.0);
    if differs <= FLOAT_DIFFERS {
        return Ok(());
    }
    Err(Error::Failed(format!(
        "{}: the peers' float network gives other classes for {:.2} % of the inputs",
        network.name,
        100.0 * differs
    )))
}

/// Whose top-1 is above `ours`, in words, if anyone's is; `peers` include their float network.
pub fn missed(network: &str, ours: &Value, peers: &[Measured]) -> Option<String> {
    let top1 = |figures: &Value| figures["top1"].as_f64().unwrap_or(0.0);
    let others = peers.iter().filter(|row| row.who != FLOAT);
    let best = others.max_by(|a, b| top1(&a.figures).total_cmp(&top1(&b.figures)))?;
    let (reached, bar) = (top1(ours), top1(&best.figures));
    (reached < bar).then(|| {
        let (reached, bar) = (100.0 * reached, 100.0 * bar);
        let [gained, lost] = ["gained", "lost"].map(|key| &best.figures[key]);
        format!(
            "{network}: top-1 {reached:.2} %, not {bar:.2} % as {}, right on {gained} inputs where ours is wrong, and \
             wrong on {lost} where ours is right",
            best.who
        )
    })
}

/// Of every input its class, and those that our int8 and float networks put first.
fn parse(table: &str) -> Option<Vec<[u64; 3]>> {
    let row = |line: &str| {
        let columns: Result<Vec<u64>, _> = line.split('\t').skip(1).map(str::parse).collect();
        columns.ok()?.try_into().ok()
    };
    table.lines().map(row).collect()
}

/// Shares of inputs whose class comes first, and among the first five; and which have our float network's class. How many
/// are right where our int8 network is wrong, and the other way. Found are lists of classes, one for each input.
fn figures(found: &Value, expected: &[[u64; 3]]) -> Option<Value> {
    let list = |classes: &Value| classes.as_array()?.iter().map(Value::as_u64).collect();
    let found: Vec<Vec<u64>> = found.as_array()?.iter().map(list).collect::<Option<_>>()?;
    if found.len() != expected.len() || found.iter().any(Vec::is_empty) {
        return None;
    }
    let count = |holds: &dyn Fn(&[u64], [u64; 3]) -> bool| {
        let pairs = found.iter().zip(expected);
        pairs.filter(|(found, expected)| holds(found, **expected)).count()
    };
    let share = |count: usize| count as f64 / found.len() as f64;
    Some(json!({
        "top1": share(count(&|found, [class, _, _]| found[0] == class)),
        "top5": share(count(&|found, [class, _, _]| found.contains(&class))),
        "agreement": share(count(&|found, [_, _, float]| found[0] == float)),
        "gained": count(&|found, [class, ours, _]| found[0] == class && ours != class),
        "lost": count(&|found, [class, ours, _]| found[0] != class && ours == class),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_shares_of_inputs() {
        let expected = parse("0\t3\t2\t3\n1\t4\t4\t5\n").unwrap();
        assert_eq!(expected, [[3, 2, 3], [4, 4, 5]]);
        assert_eq!(parse("0\t3\t2\n"), None);
        let found = figures(&json!([[3, 1], [1, 4]]), &expected).unwrap();
        let shares = json!({"top1": 0.5, "top5": 1.0, "agreement": 0.5, "gained": 1, "lost": 1});
        assert_eq!(found, shares);
        assert_eq!(figures(&json!([[3]]), &expected), None);
    }

    #[test]
    fn the_best_peer_is_the_bar() {
        let row = |who: &str, top1: f64| Measured {
            network: "N",
            who: who.into(),
            figures: json!({"top1": top1, "gained": 5, "lost": 4}),
            seconds: None,
            peak: None,
            missed: None,
        };
        let peers = [row(FLOAT, 0.9), row("A", 0.8), row("B", 0.7)];
        assert_eq!(missed("N", &json!({"top1": 0.8}), &peers), None);
        let missed = missed("N", &json!({"top1": 0.79}), &peers);
        let said = "N: top-1 79.00 %, not 80.00 % as A, right on 5 inputs where ours is wrong, and wrong on 4 where ours is right";
        assert_eq!(missed.as_deref(), Some(said));
    }
}
