use super::{Place, digits, fails, json, read_array, table, text, workspace, write_array};
use serde_json::json;
use std::io::Write;
use std::path::Path;

#[test]
fn accuracy_is_measured_beside_the_float_network() {
    let place = Place::new();
    let model = digits(&place, &[]);
    let (images, float) = (
        workspace("host-train/data"),
        workspace("models/micro-xception.onnx"),
    );
    let classes = place.path("classes.tsv");
    let (with, written) = (["--float", &float], ["--classes", text(&classes)]);
    let found = json([&["eval", text(&model), "--images", &images][..], &with, &written].concat());
    assert_eq!(found["count"], 1000);
    let share = |key: &str| found[key].as_f64().unwrap();
    assert!(share("top1") > 0.97 && share("top5") >= share("top1"), "{found}");
    assert!((share("float_top1") - 0.981).abs() < 0.002, "{found}");
    assert!(share("agreement") > 0.98, "{found}");
    let classes = std::fs::read_to_string(classes).unwrap();
    let rows: Vec<Vec<&str>> = classes.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!((rows.len(), &rows[999][0]), (1000, &"999"));
    let equal = |a: usize, b: usize| rows.iter().filter(|row| row[a] == row[b]).count() as f64 / 1000.0;
    assert_eq!(
        [equal(1, 2), equal(1, 3), equal(2, 3)],
        [share("top1"), share("float_top1"), share("agreement")]
    );
    assert!(found["layers"].as_array().unwrap().len() > 10);
    assert!(table(["eval", text(&model), "--images", &images]).contains("1000 images"));
}

#[test]
fn arrays_of_inputs_are_measured_like_images() {
    let place = Place::new();
    let model = digits(&place, &[]);
    let images = workspace("host-train/data");
    let whole = json(["eval", text(&model), "--images", &images]);
    // What `inputs` writes are quantized values; as real numbers they are measured alike.
    let quantized = place.path("q.npy");
    let written = json([
        "inputs",
        text(&model),
        "--images",
        &images,
        "--output",
        text(&quantized),
    ]);
    let input = json(["inspect", text(&model)])["input"].clone();
    let (scale, zero_point) = (
        input["scale"].as_f64().unwrap() as f32,
        input["zero_point"].as_i64().unwrap() as f32,
    );
    let values: Vec<i8> = read_array(&quantized);
    let real: Vec<f32> = values
        .iter()
        .map(|value| scale * (*value as f32 - zero_point))
        .collect();
    let classes = written["classes"].as_array().unwrap();
    let labels: Vec<i64> = classes.iter().map(|class| class.as_i64().unwrap()).collect();
    let (x, y, both) = (place.path("x.npy"), place.path("y.npy"), place.path("xy.npz"));
    write_array(&x, &[1000, 28, 28, 1], &real);
    write_array(&y, &[1000], &labels);
    let found = json(["eval", text(&model), "--inputs", text(&x), "--labels", text(&y)]);
    assert_eq!(
        (&found["count"], &found["top1"]),
        (&whole["count"], &whole["top1"])
    );
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&both).unwrap());
    for (name, path) in [("input.npy", &x), ("label.npy", &y)] {
        archive
            .start_file(name, zip::write::SimpleFileOptions::default())
            .unwrap();
        archive.write_all(&std::fs::read(path).unwrap()).unwrap();
    }
    archive.finish().unwrap();
    assert_eq!(json(["eval", text(&model), "--inputs", text(&both)]), found);

    fails(
        ["eval", text(&model), "--inputs", text(&x)],
        1,
        "x.npy: the labels' type is '<f4'",
    );
    write_array(&y, &[3], &labels[..3]);
    let arguments = ["eval", text(&model), "--inputs", text(&x), "--labels", text(&y)];
    fails(arguments, 1, "1000 inputs, but 3 labels");
    let bytes = std::fs::read(&both).unwrap();
    std::fs::write(&both, &bytes[..bytes.len() / 2]).unwrap();
    fails(
        ["eval", text(&model), "--inputs", text(&both)],
        1,
        "xy.npz: damaged archive",
    );
}

#[test]
fn inputs_are_written_as_either_network_takes_them() {
    let place = Place::new();
    let model = digits(&place, &[]);
    let images = workspace("host-train/data");
    let (x, q, c) = (place.path("x.npy"), place.path("q.npy"), place.path("c.npy"));
    let write = |source: &str, path: &Path, more: &[&str]| {
        let arguments = [
            "inputs",
            text(&model),
            source,
            &images,
            "--count",
            "3",
            "-o",
            text(path),
        ];
        json([&arguments[..], more].concat())
    };
    assert_eq!(write("--images", &x, &["--real"])["shape"], json!([3, 28, 28, 1]));
    let written = write("--images", &q, &[]);
    assert_eq!(written["classes"].as_array().unwrap().len(), 3);
    let real: Vec<f32> = read_array(&x);
    let quantized: Vec<i8> = read_array(&q);
    let input = json(["inspect", text(&model)])["input"].clone();
    let scale = input["scale"].as_f64().unwrap() as f32;
    let zero_point = input["zero_point"].as_i64().unwrap() as f32;
    assert!(real.iter().any(|value| *value > 0.5) && real.len() == quantized.len());
    for (real, quantized) in real.iter().zip(&quantized) {
        let back = scale * (f32::from(*quantized) - zero_point);
        assert!((back - real).abs() <= scale, "{real} became {quantized}");
    }
    // Other images calibrate than those that are measured on.
    assert_eq!(write("--calibrate", &c, &["--real"])["classes"], json!([]));
    let calibration: Vec<f32> = read_array(&c);
    assert!(calibration.len() == real.len() && calibration != real);
    fails(["inputs", text(&model), "-o", text(&x)], 2, "--images");
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let place = Place::new();
    let model = digits(&place, &["--images", "10"]);
    let images = workspace("host-train/data");
    fails(["eval", text(&model)], 2, "--images");
    fails(["eval", text(&model), "--images", "/no/such"], 1, "/no/such");
    fails(
        ["eval", text(&model), "--images", &images, "--isa", "fast"],
        2,
        "--isa fast",
    );
    let other = ["eval", text(&place.model), "--images", &images];
    fails(other, 1, "class 6 is labelled, but the model has 4 classes");
    let absent = [
        "eval",
        text(&model),
        "--images",
        &images,
        "--float",
        "absent.onnx",
    ];
    fails(absent, 1, "absent.onnx");
    let labels = place.path("labels.tsv");
    std::fs::write(&labels, "a.png\t3\n").unwrap();
    let labelled = [
        "eval",
        text(&model),
        "--images",
        place.folder.path().to_str().unwrap(),
    ];
    fails(labelled, 1, "a.png");
    std::fs::write(&labels, "a.png\tthree\n").unwrap();
    fails(labelled, 1, "labels.tsv");
}
