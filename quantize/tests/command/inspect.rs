use super::{Place, json, table, text};

#[test]
fn figures_are_those_of_the_network() {
    let place = Place::new();
    let report = json(["inspect", text(&place.model)]);
    // Convolution 4·4·8·27, depthwise 4·4·8·9, pointwise 4·4·16·8, classifier 16·4.
    assert_eq!(report["macs"], 3456 + 1152 + 2048 + 64);
    assert_eq!(
        report["flash_bytes"],
        std::fs::metadata(&place.model).unwrap().len()
    );
    assert_eq!(report["input"]["shape"], serde_json::json!([8, 8, 3]));
    let ops = report["ops"].as_array().unwrap();
    let names: Vec<&str> = ops.iter().map(|op| op["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["convolution", "depthwise", "pointwise", "mean", "classifier"]
    );
    assert_eq!(ops[1]["macs"], 1152);
    // Weights, and of each channel a bias, a multiplier and a shift.
    assert_eq!(ops[1]["constant_bytes"], 72 + 8 * 9);
    let arena = report["arena_bytes"].as_u64().unwrap();
    // Never less than the input, and at most input and all activations side by side.
    assert!((192..=192 + 128 + 128 + 256 + 16 + 4).contains(&arena), "{arena}");
    for tensor in report["tensors"].as_array().unwrap() {
        let end = tensor["offset"].as_u64().unwrap() + tensor["bytes"].as_u64().unwrap();
        assert!(
            end <= arena && tensor["first_step"].as_u64() <= tensor["last_step"].as_u64(),
            "{tensor}"
        );
    }
}

#[test]
fn tables_name_operators_and_tensors() {
    let place = Place::new();
    let printed = table(["inspect", text(&place.model)]);
    for part in [
        "depthwise",
        "4x4x16",
        "1,152",
        "rows held",
        "RGB, bilinear",
        "made-up",
        "arena",
    ] {
        assert!(printed.contains(part), "{part:?} is not in\n{printed}");
    }
}
