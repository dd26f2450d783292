//! What the view of a model refuses, and why; and what a run refuses.

mod support;

use sepconv::format::{Header, NONE, PUSH_INPUT, Step};
use sepconv::kernels::{Kernels, reference};
use sepconv::layout::Layout;
use sepconv::operator::{Kind, Window};
use sepconv::{AlignedVec, Element, Model, ModelError, RunError, Shape};
use support::net::{Net, record, set_window};
use support::{Random, operators, schedule};

/// A convolution, then a pool; small, and sound.
fn net() -> Net {
    let mut random = Random::new(7);
    let mut net = Net::new(Shape::new(4, 4, 3), Element::Int8, 5);
    let middle = operators::add(&mut net, &mut random, (Kind::Convolution, 8), 0);
    let mut pool = record(Kind::MaxPool, &[middle]);
    set_window(&mut pool, &Window::UNIT);
    let shape = net.shape(middle);
    let zero_point = net.zero_point(middle);
    let output = net.tensor(shape, Element::Int8, zero_point);
    net.push(pool, output);
    net
}

fn view(file: &[u8]) -> Result<(), ModelError> {
    Model::with_kernels(file, &reference::KERNELS).map(|_| ())
}

/// What the view says of a network after a change.
fn after(change: impl FnOnce(&mut Net)) -> Result<(), ModelError> {
    let mut net = net();
    change(&mut net);
    view(&net.file())
}

/// What the view says of a file after a change to its header, with the CRC put right.
fn after_header(change: impl FnOnce(&mut Header)) -> Result<(), ModelError> {
    let mut file = net().file();
    let mut header = Header::from_bytes(file.first_chunk().unwrap());
    change(&mut header);
    file[..Header::SIZE].copy_from_slice(&header.to_bytes());
    header.crc32 = sepconv::crc32::crc32(&file[16..]);
    file[..Header::SIZE].copy_from_slice(&header.to_bytes());
    view(&file)
}

#[test]
fn sound_models_are_taken() {
    assert_eq!(view(&net().file()), Ok(()));
    // A file may be followed by anything.
    let mut longer = net().file().to_vec();
    longer.extend([1; 100]);
    assert_eq!(view(&AlignedVec::copy_of(&longer)), Ok(()));
}

#[test]
fn files_that_are_none_are_refused() {
    let file = net().file();
    for len in [0, 1, 63, 64, file.len() - 1] {
        assert_eq!(
            view(&AlignedVec::copy_of(&file[..len])),
            Err(ModelError::Truncated),
            "{len}"
        );
    }
    assert_eq!(
        after_header(|header| header.magic = *b"ONNX"),
        Err(ModelError::Magic)
    );
    assert_eq!(
        after_header(|header| header.version = 2),
        Err(ModelError::Version { found: 2 })
    );
    let mut shifted = AlignedVec::zeroed(file.len() + 1);
    shifted[1..].copy_from_slice(&file);
    assert_eq!(view(&shifted[1..]), Err(ModelError::Misaligned));
    for at in [16, file.len() / 2, file.len() - 1] {
        let mut damaged = AlignedVec::copy_of(&file);
        damaged[at] ^= 4;
        assert_eq!(view(&damaged), Err(ModelError::Checksum), "{at}");
    }
}

#[test]
fn headers_out_of_range_are_refused() {
    let changes: [fn(&mut Header); 8] = [
        |header| header.flags = 1,
        // More steps than can be checked in time.
        |header| header.step_count = (1 << 25) + 1,
        |header| header.tensor_count = 0,
        |header| header.operator_count = 0,
        |header| header.step_count = 1,
        |header| header.input = 3,
        |header| header.output = 3,
        |header| header.scratch_len = header.arena_len + 1,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert_eq!(after_header(change), Err(ModelError::Header), "change {number}");
    }
}

#[test]
fn sections_outside_the_file_are_refused() {
    let changes: [fn(&mut Header); 6] = [
        |header| header.tensors_offset += 8,
        |header| header.operators_offset = u32::MAX - 15,
        |header| header.steps_offset = 0,
        |header| header.constants_len = u32::MAX,
        |header| header.metadata_len += 1,
        |header| header.step_count = 1 << 20,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert_eq!(after_header(change), Err(ModelError::Section), "change {number}");
    }
}

#[test]
fn tensors_out_of_range_are_refused() {
    let changes: [fn(&mut Net); 12] = [
        |net| net.image.tensors[1].element = 2,
        |net| net.image.tensors[1].reserved = 1,
        |net| net.image.tensors[1].reserved_end = 1,
        |net| net.image.tensors[1].zero_point = 128,
        |net| net.image.tensors[1].scale = f32::NAN,
        |net| net.image.tensors[1].scale = 0.0,
        |net| net.image.tensors[1].height = 0,
        |net| net.image.tensors[1].channels = u32::MAX,
        |net| net.image.tensors[1].ring_rows = 0,
        |net| net.image.tensors[1].ring_rows += 1,
        |net| net.image.tensors[1].offset = u32::MAX,
        |net| net.image.tensors[1].offset = net.image.arena_len,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert_eq!(
            after(change),
            Err(ModelError::Tensor { tensor: 1 }),
            "change {number}"
        );
    }
    // The output has to be whole in the end.
    assert_eq!(
        after(|net| net.image.tensors[2].ring_rows = 1),
        Err(ModelError::Tensor { tensor: 2 })
    );
}

#[test]
fn operators_that_do_not_fit_are_refused() {
    let operator = 0;
    type Change = fn(&mut Net);
    let wiring: [Change; 5] = [
        |net| net.image.operators[0].inputs[0] = NONE,
        |net| net.image.operators[0].inputs[0] = 2,
        |net| net.image.operators[0].inputs[1] = 0,
        |net| net.image.operators[0].inputs[3] = 0,
        |net| net.image.operators[0].output = 0,
    ];
    let shape: [Change; 7] = [
        |net| net.image.operators[0].kernel_height = 0,
        |net| net.image.operators[0].stride_width = 0,
        |net| net.image.operators[0].stride_height = 255,
        |net| net.image.operators[0].dilation_height = 0,
        |net| net.image.operators[0].pad_left = u16::MAX,
        |net| net.image.operators[0].kind = Kind::Pointwise as u8,
        |net| net.image.operators[0].kind = Kind::Lookup as u8,
    ];
    let constants: [Change; 9] = [
        |net| net.image.operators[0].weights_len += 1,
        |net| net.image.operators[0].weights_offset += 1,
        |net| net.image.operators[0].weights_offset = u32::MAX - 15,
        |net| net.image.operators[0].weight_bits = 7,
        |net| net.image.operators[0].bias_offset += 2,
        |net| net.image.operators[0].multipliers_offset = u32::MAX - 3,
        |net| net.image.operators[0].shifts_offset = net.image.constants.len() as u32,
        |net| net.image.operators[0].kernel_height += 1,
        |net| net.image.constants.clear(),
    ];
    let parameter: [Change; 6] = [
        |net| net.image.operators[0].activation_min = 128,
        |net| net.image.operators[0].activation_max = -129,
        |net| net.image.operators[0].reserved = 1,
        |net| net.image.operators[0].reserved_end = 1,
        |net| net.image.operators[0].params[6] = 1,
        |net| {
            let shifts = net.image.operators[0].shifts_offset as usize;
            net.image.constants[shifts] = 31;
        },
    ];
    for (changes, error) in [
        (&wiring[..], ModelError::Wiring { operator }),
        (&shape, ModelError::Shape { operator }),
        (&constants, ModelError::Constants { operator }),
        (&parameter, ModelError::Parameter { operator }),
    ] {
        for (number, change) in changes.iter().enumerate() {
            assert_eq!(after(change), Err(error), "change {number}");
        }
    }
    for kind in [0, 19, 255] {
        let refused = after(|net| net.image.operators[0].kind = kind);
        assert_eq!(refused, Err(ModelError::Kind { operator }));
    }
    let refused = after(|net| net.image.operators[0].layout = 255);
    assert_eq!(
        refused,
        Err(ModelError::Layout {
            operator,
            layout: 255
        })
    );
    // Sums of int8 can be kept in 16 bits, those of int16 not in 8; packed kernels write what they read.
    let between = |from, to, layout: Layout| {
        let mut random = Random::new(7);
        let mut net = Net::new(Shape::new(1, 1, 3), from, 0);
        operators::add(&mut net, &mut random, (Kind::Pointwise, 8), 0);
        net.image.tensors[1].element = to as u8;
        net.image.operators[0].layout = layout as u8;
        let kernels = sepconv::build::every_layout();
        Model::with_kernels(&net.file(), kernels).map(|_| ())
    };
    use sepconv::Element::{Int8, Int16};
    assert_eq!(
        between(Int16, Int8, Layout::Plain),
        Err(ModelError::Shape { operator })
    );
    let packed = between(Int8, Int16, Layout::CortexM4);
    assert_eq!(packed, Err(ModelError::Shape { operator }));
    // The network's output has to be some operator's.
    assert_eq!(
        after(|net| net.image.output = 0),
        Err(ModelError::Wiring { operator: NONE })
    );
}

#[test]
fn fields_that_a_kind_does_not_use_are_zero() {
    type Change = fn(&mut Net);
    let changes: [Change; 6] = [
        |net| net.image.operators[1].bias_offset = 16,
        |net| net.image.operators[1].shifts_offset = 16,
        |net| net.image.operators[1].weight_bits = 8,
        |net| net.image.operators[1].params[0] = 1,
        |net| net.image.operators[1].params[6] = -1,
        |net| net.image.operators[1].reserved_end = 1,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert_eq!(
            after(change),
            Err(ModelError::Parameter { operator: 1 }),
            "change {number}"
        );
    }
}

#[test]
fn tables_without_a_kernel_or_a_layout_refuse_the_model() {
    static NO_POOL: Kernels = Kernels {
        convolution: reference::KERNELS.convolution,
        layouts: reference::KERNELS.layouts,
        ..Kernels::NONE
    };
    let file = net().file();
    let refused = Model::with_kernels(&file, &NO_POOL).map(|_| ());
    assert_eq!(refused, Err(ModelError::NoKernel { operator: 1 }));
    let refused = Model::with_kernels(&file, &Kernels::NONE).map(|_| ());
    assert_eq!(
        refused,
        Err(ModelError::Layout {
            operator: 0,
            layout: 0
        })
    );
}

#[test]
fn schedules_out_of_order_are_refused() {
    let step = |operator, first_row, rows| Step {
        operator,
        reserved: 0,
        first_row,
        rows,
    };
    let height = net().image.steps[0].rows;
    let cases = [
        // The pool before the convolution.
        (vec![step(1, 0, height), step(0, 0, height)], 1),
        // A row left out, at the end, at the start, in the middle.
        (vec![step(0, 0, height - 1), step(1, 0, height)], 0),
        (vec![step(0, 1, height - 1), step(1, 0, height)], 0),
        (vec![step(0, 0, 1), step(0, 2, height - 2), step(1, 0, height)], 0),
        // A row twice.
        (vec![step(0, 0, 1), step(0, 0, height), step(1, 0, height)], 0),
        // Rows beyond the end, and none.
        (vec![step(0, 0, height + 1), step(1, 0, height)], 0),
        (vec![step(0, 0, 0), step(0, 0, height), step(1, 0, height)], 0),
        // An operator that is none.
        (vec![step(0, 0, height), step(1, 0, height), step(2, 0, 1)], 2),
        // Input rows pushed only in part.
        (
            vec![step(PUSH_INPUT, 0, 3), step(0, 0, height), step(1, 0, height)],
            PUSH_INPUT,
        ),
        // Input rows pushed only after they are needed.
        (
            vec![step(0, 0, height), step(PUSH_INPUT, 0, 4), step(1, 0, height)],
            0,
        ),
    ];
    for (steps, operator) in cases {
        let refused = after(|net| net.image.steps = steps.clone());
        assert_eq!(refused, Err(ModelError::Schedule { operator }), "{steps:?}");
    }
    let refused = after(|net| net.image.steps[0].reserved = 1);
    assert_eq!(refused, Err(ModelError::Schedule { operator: 0 }));
}

#[test]
fn rows_that_a_ring_no_longer_holds_are_refused() {
    // The convolution writes all of its rows into a ring of one before the pool reads the first.
    let refused = after(|net| {
        net.image.tensors[1].ring_rows = 1;
        let height = net.image.steps[0].rows;
        let one_by_one = |operator: u16| {
            (0..height).map(move |first_row| Step {
                operator,
                reserved: 0,
                first_row,
                rows: 1,
            })
        };
        net.image.steps = one_by_one(0).chain(one_by_one(1)).collect();
    });
    assert!(net().image.steps[0].rows > 1);
    assert_eq!(refused, Err(ModelError::Schedule { operator: 1 }));
    // An input in a ring that nobody pushes.
    assert_eq!(
        after(|net| net.image.tensors[0].ring_rows = 3),
        Err(ModelError::Schedule { operator: PUSH_INPUT })
    );
    // A step that crosses the ring's end: its rows would not lie one after the other.
    let refused = after(|net| net.image.tensors[1].ring_rows = 1);
    assert_eq!(refused, Err(ModelError::Schedule { operator: 0 }));
}

#[test]
fn steps_that_write_where_they_read_are_refused() {
    let refused = after(|net| net.image.tensors[2].offset = net.image.tensors[1].offset);
    assert_eq!(refused, Err(ModelError::Schedule { operator: 1 }));
    // Over the rows of a tensor that is read no more is allowed.
    let taken = after(|net| {
        net.image.tensors[1].offset = net.image.arena_len;
        net.image.arena_len *= 2;
        net.image.tensors[2].offset = net.image.tensors[0].offset;
    });
    assert_eq!(taken, Ok(()));
}

#[test]
fn runs_refuse_buffers_that_do_not_fit() {
    let file = net().file();
    let model = Model::with_kernels(&file, &reference::KERNELS).unwrap();
    let (input_len, output_len) = (model.input().bytes(), model.output().bytes());
    let mut arena = AlignedVec::zeroed(model.arena_len() + 1);
    let (needed, given) = (model.arena_len(), model.arena_len() - 1);
    let mut output = vec![0; output_len];
    assert_eq!(
        model.run(&vec![0; input_len], &mut arena[..given], &mut output),
        Err(RunError::ArenaLength { needed, given })
    );
    assert_eq!(
        model.run(&vec![0; input_len], &mut arena[1..], &mut output),
        Err(RunError::ArenaMisaligned)
    );
    assert_eq!(
        model.run(&vec![0; input_len + 1], &mut arena, &mut output),
        Err(RunError::InputLength {
            needed: input_len,
            given: input_len + 1
        })
    );
    assert_eq!(
        model.run(&vec![0; input_len], &mut arena, &mut output[1..]),
        Err(RunError::OutputLength {
            needed: output_len,
            given: output_len - 1
        })
    );
    for error in [RunError::ArenaMisaligned, RunError::PushesInput] {
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn all_ways_to_run_give_the_same_bytes() {
    let mut random = Random::new(11);
    let net = net();
    let file = net.file();
    let model = Model::with_kernels(&file, &reference::KERNELS).unwrap();
    let input = random.bytes(net.input_len());
    let wanted = support::run(&file, &input);

    let mut arena = AlignedVec::zeroed(model.arena_len());
    model.input_mut(&mut arena).unwrap().copy_from_slice(&input);
    assert_eq!(model.invoke(&mut arena).unwrap(), wanted);

    let pushed = schedule::scatter(&net, &mut random);
    let file = pushed.file();
    let model = Model::with_kernels(&file, &reference::KERNELS).unwrap();
    assert!(model.pushes_input());
    let mut arena = AlignedVec::zeroed(model.arena_len());
    assert_eq!(model.input_mut(&mut arena).err(), Some(RunError::PushesInput));
    assert_eq!(model.invoke(&mut arena).err(), Some(RunError::PushesInput));
    let mut session = model.start(&mut arena).unwrap();
    let mut unread = &input[..];
    while let Some(rows) = session.next_rows() {
        let (now, later) = unread.split_at(rows.len());
        rows.copy_from_slice(now);
        unread = later;
    }
    assert!(unread.is_empty());
    assert_eq!(session.output(), wanted);
}
