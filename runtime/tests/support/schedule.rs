//! Random schedules: any partition of rows into bands, any heights of rings that hold what is needed, input rows pushed.

use super::Random;
use super::net::Net;
use sepconv::format::{NONE, PUSH_INPUT, Step};
use sepconv::{Model, operator};

/// Another schedule of a network that computes the same: in bands of random heights, each as late as possible, every
/// tensor but the output in a ring of at least the rows that readers still need.
pub fn scatter(net: &Net, random: &mut Random) -> Net {
    let file = net.file();
    let model = Model::with_kernels(&file, &sepconv::kernels::reference::KERNELS).expect("a sound model");
    let count = model.tensor_count();
    let mut plan = Plan {
        model: &model,
        computed: vec![0; count],
        needed: vec![1; count],
        steps: Vec::new(),
        random,
    };
    plan.compute(model.output_number(), model.output().shape.height as usize);
    // Operators that nothing reads still have to run.
    for number in 0..model.operator_count() {
        let output = model.record(number).unwrap().output;
        plan.compute(output, model.tensor(output).shape.height as usize);
    }
    let input = model.input_number();
    plan.compute(input, model.input().shape.height as usize);

    let (steps, needed) = (plan.steps, plan.needed);
    let mut scattered = net.clone();
    let mut offset = 0;
    for (number, record) in scattered.image.tensors.iter_mut().enumerate() {
        if number as u16 != model.output_number() {
            let most = record.height as i64;
            record.ring_rows = random.within(needed[number] as i64, most) as u32;
        }
        record.offset = offset;
        let tensor = model.tensor(number as u16);
        offset += (record.ring_rows as usize * tensor.row_bytes()) as u32;
        offset = (offset + random.below(40) as u32).next_multiple_of(2);
    }
    scattered.image.arena_len = offset;
    scattered.image.steps = steps
        .into_iter()
        .flat_map(|step| split_at_wraps(&scattered, &model, step))
        .collect();
    scattered
}

struct Plan<'a> {
    model: &'a Model<'a>,
    /// Rows of each tensor computed so far.
    computed: Vec<usize>,
    /// Rows that each tensor's ring has to hold.
    needed: Vec<usize>,
    steps: Vec<Step>,
    random: &'a mut Random,
}

impl Plan<'_> {
    /// Has a tensor's rows up to `end` computed.
    fn compute(&mut self, tensor: u16, end: usize) {
        while self.computed[tensor as usize] < end {
            let first = self.computed[tensor as usize];
            let producer = (0..self.model.operator_count())
                .find(|number| self.model.record(*number).unwrap().output == tensor);
            let rows = match producer {
                None => 1,
                // More than is asked for at times, to the tensor's end at most.
                Some(_) => {
                    1 + self
                        .random
                        .below(self.model.tensor(tensor).shape.height as usize - first)
                }
            };
            if let Some(number) = producer {
                self.read(number, first, rows);
            }
            self.steps.push(Step {
                operator: producer.map_or(PUSH_INPUT, |number| number as u16),
                reserved: 0,
                first_row: first as u16,
                rows: rows as u16,
            });
            self.computed[tensor as usize] = first + rows;
        }
    }

    /// Has all rows that a step reads computed, and remembers how far back it reads.
    fn read(&mut self, number: usize, first: usize, rows: usize) {
        let (_, decoded) = self.model.operator(number).unwrap();
        let inputs = self.model.record(number).unwrap().inputs;
        let ranges: Vec<_> = (0..)
            .zip(inputs.into_iter().take_while(|input| *input != NONE))
            .map(|(position, input)| {
                let shape = self.model.tensor(input).shape;
                (
                    input,
                    operator::input_rows(&decoded, position, shape, first, rows),
                )
            })
            .collect();
        for (input, (_, to)) in &ranges {
            self.compute(*input, *to);
        }
        for (input, (from, _)) in ranges {
            let input = input as usize;
            self.needed[input] = self.needed[input].max(self.computed[input] - from);
        }
    }
}

/// A step in pieces, none of which crosses the end of its ring.
fn split_at_wraps(net: &Net, model: &Model, step: Step) -> Vec<Step> {
    let tensor = match step.operator {
        PUSH_INPUT => model.input_number(),
        number => model.record(number as usize).unwrap().output,
    };
    let ring = net.image.tensors[tensor as usize].ring_rows as u16;
    let mut pieces = Vec::new();
    let (mut first, end) = (step.first_row, step.first_row + step.rows);
    while first < end {
        let rows = (end - first).min(ring - first % ring);
        pieces.push(Step {
            first_row: first,
            rows,
            ..step
        });
        first += rows;
    }
    pieces
}
