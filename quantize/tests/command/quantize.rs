use super::{Place, digits, fails, json, table, text, workspace, write_array};
use serde_json::Value;

const ONNX: &str = "models/micro-xception.onnx";

#[test]
fn a_network_is_quantized_and_says_where_it_comes_from() {
    let place = Place::new();
    let model = digits(&place, &["--images", "50", "--method", "mse"]);
    let shown = json(["inspect", text(&model)]);
    let metadata = &shown["metadata"];
    assert_eq!(metadata["source"], "micro-xception.onnx");
    // `sha256sum models/micro-xception.onnx`
    let digest = "1b48d291ad99f6a8b200e5f54834891da41e20895f1be6ea51c8ab648754480c";
    assert_eq!(metadata["source_sha256"], digest);
    assert!(metadata["tool"].as_str().unwrap().starts_with("sepconv "));
    let settings = metadata["settings"].as_str().unwrap();
    assert!(
        settings.contains("Mse") && settings.contains("50 calibration"),
        "{settings}"
    );
    assert_eq!(metadata["classes"].as_array().map(Vec::len), Some(10));
    assert!(metadata["preprocess"]["mean"].is_array());
    let people = table(["inspect", text(&model)]);
    for what in ["micro-xception.onnx", "Mse", "0, 1, 2"] {
        assert!(people.contains(what), "{what} is not in {people}");
    }
}

#[test]
fn a_model_tells_what_the_best_recipe_kept() {
    let place = Place::new();
    let model = digits(&place, &["--images", "12", "--recipe", "best"]);
    let shown = json(["inspect", text(&model)]);
    let settings = shown["metadata"]["settings"].as_str().unwrap();
    let kept = settings.split_once("12 calibration images; kept: ");
    assert!(kept.is_some_and(|(_, kept)| !kept.is_empty()), "{settings}");
}

#[test]
fn weights_get_4_bits_until_the_file_is_small_enough() {
    let place = Place::new();
    let images = workspace("host-train/data");
    let model = digits(&place, &["--max-flash", "50000"]);
    let shown = json(["inspect", text(&model)]);
    assert!(shown["flash_bytes"].as_u64().unwrap() <= 50_000);
    let settings = shown["metadata"]["settings"].as_str().unwrap();
    assert!(settings.contains("weights of 4 bits in"), "{settings}");
    assert!(table(["inspect", text(&model)]).contains("(int4)"));
    let top1 = json(["eval", text(&model), "--images", &images])["top1"].as_f64();
    assert!(top1.unwrap() > 0.97, "{top1:?}");
    // A network that is in integers already.
    let (qdq, again) = (place.path("qdq.onnx"), place.path("again.sepc"));
    digits(&place, &["--qdq", text(&qdq)]);
    let shrink = |bytes: &'static str| {
        let source = ["quantize", text(&qdq), "--calibrate", &images, "-o", text(&again)];
        [&source[..], &["--max-flash", bytes]]
            .concat()
            .iter()
            .map(|word| word.to_string())
            .collect::<Vec<_>>()
    };
    assert!(json(shrink("55000"))["flash_bytes"].as_u64().unwrap() <= 55_000);
    fails(shrink("10000"), 1, "weights of 4 bits in all layers, not 10000");
}

#[test]
fn equal_settings_give_equal_files() {
    let (first, second) = (Place::new(), Place::new());
    let files = [&first, &second].map(|place| std::fs::read(digits(place, &["--images", "20"])).unwrap());
    assert!(files[0] == files[1]);
}

#[test]
fn arrays_calibrate_as_images_do() {
    let place = Place::new();
    let (array, out) = (place.path("x.npy"), place.path("x.sepc"));
    let pixels: Vec<u8> = (0..4 * 28 * 28).map(|index| (index * 7 % 256) as u8).collect();
    let (source, path) = (workspace(ONNX), text(&array).to_string());
    let arguments = ["quantize", &source, "--calibrate", &path, "-o", text(&out)];
    write_array(&array, &[4, 28, 28, 1], &pixels);
    let report: Value = json(arguments);
    assert!(report["settings"].as_str().unwrap().contains("4 calibration"));
    let of_pixels = std::fs::read(&out).unwrap();
    // The same as real numbers: the model says (pixel - mean) / std.
    let shown = json(["inspect", text(&out)]);
    let number = |name: &str| shown["metadata"]["preprocess"][name][0].as_f64().unwrap() as f32;
    let (mean, std) = (number("mean"), number("std"));
    let real: Vec<f32> = pixels.iter().map(|pixel| (*pixel as f32 - mean) / std).collect();
    write_array(&array, &[4, 784], &real);
    json(arguments);
    let scales = |shown: &Value| shown["tensors"].to_string();
    assert_eq!(scales(&shown), scales(&json(["inspect", text(&out)])));
    assert_eq!(
        of_pixels.len(),
        std::fs::read(&out).unwrap().len() + "GRAY".len() - "NONE".len()
    );
    write_array(&array, &[4, 27, 28, 1], &pixels[..4 * 27 * 28]);
    fails(arguments, 1, "[4, 27, 28, 1], but the network takes 28x28x1");
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_is_written() {
    let place = Place::new();
    let (out, images) = (place.path("out.sepc"), workspace("host-train/data"));
    let (onnx, empty) = (workspace(ONNX), place.path("empty"));
    std::fs::create_dir(&empty).unwrap();
    let refused = |extra: &[&str], code: i32, message: &str| {
        let arguments = ["quantize", &onnx, "-o", text(&out)];
        fails(arguments.iter().chain(extra), code, message);
        assert!(!out.exists());
    };
    refused(&[], 2, "give --calibrate DIR");
    refused(
        &["--calibrate", &images, "--size", "32x32"],
        2,
        "the network takes 28x28",
    );
    refused(&["--calibrate", &images, "--size", "32"], 2, "such as 224x224");
    refused(&["--calibrate", &images, "--mean", "1"], 2, "--std");
    refused(
        &["--calibrate", &images, "--mean", "1,2", "--std", "1"],
        2,
        "2 values of the mean",
    );
    refused(&["--calibrate", &images, "--images", "0"], 2, "--images");
    refused(&["--calibrate", text(&empty)], 1, "holds no images");
    refused(&["--calibrate", "/no/such/folder"], 1, "/no/such/folder");

    let damaged = place.path("damaged.onnx");
    let bytes = std::fs::read(&onnx).unwrap();
    std::fs::write(&damaged, &bytes[..bytes.len() / 2]).unwrap();
    let arguments = [
        "quantize",
        text(&damaged),
        "--calibrate",
        &images,
        "-o",
        text(&out),
    ];
    fails(arguments, 1, "damaged.onnx: not an ONNX model, or a damaged one");
    let absent = ["quantize", "absent.tflite", "-o", text(&out)];
    fails(absent, 1, "absent.tflite: No such file");
    assert!(!out.exists());
    // A folder that does not exist is the machine's, not the model's.
    let nowhere = [
        "quantize",
        &onnx,
        "--calibrate",
        &images,
        "-o",
        "/no/such/folder/x.sepc",
    ];
    fails(nowhere, 3, "/no/such/folder/x.sepc");
}

#[test]
fn a_file_that_cannot_be_replaced_stays_as_it_was() {
    let place = Place::new();
    let before = std::fs::read(&place.model).unwrap();
    let source = workspace(ONNX);
    fails(["quantize", &source, "-o", text(&place.model)], 2, "--calibrate");
    assert_eq!(std::fs::read(&place.model).unwrap(), before);
}

/// What is exported as QDQ ONNX is quantized again without calibration, and gives the same bytes. The module in Rust includes
/// the model by its name.
#[test]
fn the_network_is_exported_beside_the_model() {
    let place = Place::new();
    let (onnx, module) = (place.path("qdq.onnx"), place.path("digits.rs"));
    let model = digits(&place, &["--qdq", text(&onnx), "--rust", text(&module)]);
    let again = place.path("again.sepc");
    let report = json(["quantize", text(&onnx), "-o", text(&again)]);
    assert_eq!(report["settings"], "the source's quantization");
    let (x, y) = (place.path("x.npy"), place.path("y.npy"));
    write_array(
        &x,
        &[1, 28, 28, 1],
        &(0..784)
            .map(|index| (index * 31 % 256) as u8 as i8)
            .collect::<Vec<i8>>(),
    );
    let hash = |model: &std::path::Path| {
        json(["run", text(model), "--input", text(&x), "--output", text(&y)])["output_hash"].to_string()
    };
    assert_eq!(hash(&model), hash(&again));
    let module = std::fs::read_to_string(module).unwrap();
    for part in [
        "include_bytes!(\"digits.sepc\")",
        "pub const INPUT_LEN: usize = 784;",
        "pub fn model()",
    ] {
        assert!(module.contains(part), "{part} is not in {module}");
    }
    assert!(!module.contains("OUT_DIR"));
    let (source, elsewhere) = (workspace(ONNX), place.path("other/digits.rs"));
    let images = workspace("host-train/data");
    let out = place.path("new.sepc");
    let arguments = [
        "quantize",
        &source,
        "--calibrate",
        &images,
        "-o",
        text(&out),
        "--rust",
        text(&elsewhere),
    ];
    fails(arguments, 2, "has to lie in its folder");
    assert!(!out.exists());
}
