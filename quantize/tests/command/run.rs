use super::{Place, fails, json, table, text, write_array as write};
use sepconv::{AlignedVec, Model};
use sepconv_quantize::inference::{fnv1a_64, run_many};
use sepconv_quantize::testing;
use std::path::Path;

fn read<T: npyz::Deserialize>(path: &Path) -> (Vec<u64>, Vec<T>) {
    let bytes = std::fs::read(path).unwrap();
    let array = npyz::NpyFile::new(&bytes[..]).unwrap();
    (array.shape().to_vec(), array.into_vec().unwrap())
}

fn values(count: usize) -> Vec<i8> {
    (0..count)
        .map(|index| (index * index * 7 + index * 3) as i8)
        .collect()
}

/// The outputs that the library gives.
fn expected(inputs: &[i8]) -> Vec<i8> {
    let bytes: AlignedVec<u8> = testing::file(&testing::classifier(1));
    run_many(&Model::new(&bytes).unwrap(), inputs).unwrap()
}

#[test]
fn int8_in_int8_out() {
    let place = Place::new();
    let (x, y) = (place.path("x.npy"), place.path("y.npy"));
    let inputs = values(192);
    let arguments = [
        "run",
        text(&place.model),
        "--input",
        text(&x),
        "--output",
        text(&y),
    ];
    for (shape, out) in [(&[8, 8, 3][..], &[4][..]), (&[1, 8, 8, 3], &[1, 4])] {
        write(&x, shape, &inputs);
        let report = json(arguments);
        assert_eq!(read::<i8>(&y), (out.to_vec(), expected(&inputs)));
        assert_eq!(
            report["output_hash"],
            format!("{:016x}", fnv1a_64(&expected(&inputs)))
        );
    }
    assert!(table(arguments).contains("1 inference, int8 [1, 4]"));
}

#[test]
fn what_every_operator_gives_is_written() {
    let place = Place::new();
    let (x, y, operators) = (place.path("x.npy"), place.path("y.npy"), place.path("operators"));
    write(&x, &[2, 8, 8, 3], &values(2 * 192));
    let paths = [
        "--input",
        text(&x),
        "--output",
        text(&y),
        "--operators",
        text(&operators),
    ];
    json([&["run", text(&place.model)][..], &paths].concat());
    let array = |number: usize| read::<i8>(&operators.join(format!("{number}.npy")));
    let shapes: Vec<Vec<u64>> = (0..5).map(|number| array(number).0).collect();
    let channels = [8, 8, 16, 16, 4];
    let expected: Vec<Vec<u64>> = (0..5)
        .map(|number| vec![2, [4, 1][number / 3], [4, 1][number / 3], channels[number]])
        .collect();
    assert_eq!(shapes, expected);
    assert_eq!(array(4).1, read::<i8>(&y).1);
    assert_eq!(array(4).1, self::expected(&values(2 * 192)));
}

#[test]
fn batches_give_batches() {
    let place = Place::new();
    let (x, y) = (place.path("x.npy"), place.path("y.npy"));
    let inputs = values(3 * 192);
    write(&x, &[3, 8, 8, 3], &inputs);
    let report = json([
        "run",
        text(&place.model),
        "--input",
        text(&x),
        "--output",
        text(&y),
    ]);
    assert_eq!(read::<i8>(&y), (vec![3, 4], expected(&inputs)));
    let second = format!("{:016x}", fnv1a_64(&expected(&inputs)[4..8]));
    assert_eq!(
        (&report["count"], &report["output_hashes"][1]),
        (&3.into(), &second.into())
    );
}

#[test]
fn real_numbers_and_unsigned_bytes_are_converted() {
    let place = Place::new();
    let (x, y) = (place.path("x.npy"), place.path("y.npy"));
    let inputs = values(192);
    let arguments = [
        "run",
        text(&place.model),
        "--input",
        text(&x),
        "--output",
        text(&y),
        "--isa",
        "reference",
    ];
    let unsigned: Vec<u8> = inputs.iter().map(|value| (*value as i32 + 128) as u8).collect();
    write(&x, &[8, 8, 3], &unsigned);
    json(arguments);
    let outputs = expected(&inputs);
    let moved: Vec<u8> = outputs.iter().map(|value| (*value as i32 + 128) as u8).collect();
    assert_eq!(read::<u8>(&y), (vec![4], moved));

    // The made-up classifier's tensors all have the scale 1/127.5 and the zero point 0.
    let real = |values: &[i8]| {
        values
            .iter()
            .map(|value| *value as f32 * (1.0 / 127.5))
            .collect::<Vec<f32>>()
    };
    write(&x, &[8, 8, 3], &real(&inputs));
    json(arguments);
    assert_eq!(read::<f32>(&y), (vec![4], real(&outputs)));
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_is_written() {
    let place = Place::new();
    let (x, y) = (place.path("x.npy"), place.path("y.npy"));
    let run = [
        "run",
        text(&place.model),
        "--input",
        text(&x),
        "--output",
        text(&y),
    ];
    fails(run, 1, "x.npy: No such file");
    write(&x, &[3, 8, 8], &values(192));
    fails(
        run,
        1,
        "x.npy: the array has shape [3, 8, 8], the model takes [8, 8, 3] or [n, 8, 8, 3]",
    );
    write(&x, &[0, 8, 8, 3], &values(0));
    fails(run, 1, "the array is empty");
    write(&x, &[8, 8, 3], &[0i16; 192]);
    fails(run, 1, "the array is int16, the model takes int8 or float32");
    write(&x, &[8, 8, 3], &[f32::NAN; 192]);
    fails(run, 1, "NaN");
    write(&x, &[8, 8, 3], &[0f64; 192]);
    fails(run, 1, "x.astype");
    std::fs::write(&x, b"not numpy").unwrap();
    fails(run, 1, "not an .npy array");
    assert!(!y.exists());

    write(&x, &[8, 8, 3], &values(192));
    let nowhere = place.path("absent/y.npy");
    fails(
        [
            "run",
            text(&place.model),
            "--input",
            text(&x),
            "--output",
            text(&nowhere),
        ],
        3,
        "cannot write",
    );
}
