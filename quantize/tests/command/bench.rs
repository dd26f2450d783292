use super::{Place, fails, json, table, text};

#[test]
fn times_are_in_order() {
    let place = Place::new();
    let report = json([
        "bench",
        text(&place.model),
        "--runs",
        "20",
        "--isa",
        "reference",
        "--threads",
        "2",
        "--batch",
        "3",
    ]);
    assert_eq!(
        (&report["isa"], &report["threads"]),
        (&"reference".into(), &2.into())
    );
    assert_eq!(
        (&report["runs"], &report["batch"], &report["macs"]),
        (&20.into(), &3.into(), &(3 * 6720).into())
    );
    let time = |key: &str| report[key].as_f64().unwrap();
    assert!(
        0.0 < time("min_ms") && time("min_ms") <= time("median_ms") && time("median_ms") <= time("p99_ms")
    );
    assert!(report.get("ops").is_none());
}

#[test]
fn operators_take_no_longer_than_the_whole() {
    let place = Place::new();
    let report = json(["bench", text(&place.model), "--runs", "20", "--per-op"]);
    let ops = report["ops"].as_array().unwrap();
    assert_eq!(ops.len(), 5);
    assert!(ops.iter().all(|op| op["ms"].as_f64().unwrap() > 0.0));
    assert!(table(["bench", text(&place.model), "--runs", "5", "--per-op"]).contains("pointwise"));
}

#[test]
fn unknown_kernels_are_refused() {
    let place = Place::new();
    fails(
        ["bench", text(&place.model), "--isa", "z80"],
        2,
        "there is no such instruction set; there are reference",
    );
}
