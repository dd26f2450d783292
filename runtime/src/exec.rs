//! The executor: walks the schedule and hands each step's rows to a kernel.

use crate::format::{NONE, OperatorRecord, PUSH_INPUT, Step};
use crate::model::{Model, Tensor};
use crate::observer::Observer;
use crate::operator::Operator;
use crate::{ALIGNMENT, Band, Element, Rows};
use core::fmt;

/// Why a run cannot start.
///
/// ```
/// use sepconv::{Aligned, Model, RunError, tiny};
/// let model = Model::new(&tiny::WHOLE.0)?;
/// let (mut small, mut scores) = (Aligned([0; 16]), [0; 4]);
/// let error = model.run(&[0; 192], &mut small.0, &mut scores).unwrap_err();
/// assert_eq!(error, RunError::ArenaLength { needed: model.arena_len(), given: 16 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunError {
    /// The arena is smaller than [`Model::arena_len`].
    ArenaLength {
        /// Bytes needed.
        needed: usize,
        /// Bytes given.
        given: usize,
    },
    /// The arena is not at an address that is a multiple of 16.
    ArenaMisaligned,
    /// The input has another size than the model's.
    InputLength {
        /// Bytes needed.
        needed: usize,
        /// Bytes given.
        given: usize,
    },
    /// The output has another size than the model's.
    OutputLength {
        /// Bytes needed.
        needed: usize,
        /// Bytes given.
        given: usize,
    },
    /// The arena never holds the whole input of this model: its rows are to be pushed.
    PushesInput,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ArenaLength { needed, given } => {
                write!(f, "the arena has {given} bytes, the model needs {needed}")
            }
            Self::ArenaMisaligned => {
                write!(
                    f,
                    "the arena is not at an address that is a multiple of 16; see sepconv::Aligned"
                )
            }
            Self::InputLength { needed, given } => {
                write!(f, "the input has {given} bytes, the model takes {needed}")
            }
            Self::OutputLength { needed, given } => {
                write!(f, "the output has {given} bytes, the model gives {needed}")
            }
            Self::PushesInput => write!(
                f,
                "this model's input is pushed row by row; use Model::run or Model::start"
            ),
        }
    }
}

impl core::error::Error for RunError {}

impl Model<'_> {
    /// One inference: copies `input` in, runs, copies the output out. All three are as bytes (int16 values little-endian),
    /// in NHWC order. `arena` has at least [`arena_len`](Self::arena_len) bytes at an address that is a multiple of 16.
    ///
    /// ```
    /// use sepconv::{Aligned, Model, tiny};
    /// let model = Model::new(&tiny::WHOLE.0)?;
    /// let mut arena = Aligned([0; 2304]);
    /// let (mut dark, mut bright) = ([0; 4], [0; 4]);
    /// model.run(&[-128; 192], &mut arena.0, &mut dark)?;
    /// model.run(&[127; 192], &mut arena.0, &mut bright)?;
    /// assert_ne!(dark, bright);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RunError`] if a size or the alignment is wrong; nothing has run then.
    pub fn run(&self, input: &[i8], arena: &mut [i8], output: &mut [i8]) -> Result<(), RunError> {
        self.run_observed(input, arena, output, &mut ())
    }

    /// As [`run`](Self::run), telling an observer of every step.
    ///
    /// ```
    /// use sepconv::{Aligned, Model, Observer, tiny};
    ///
    /// struct Steps(usize);
    /// impl Observer for Steps {
    ///     fn before(&mut self, _operator: usize) {
    ///         self.0 += 1;
    ///     }
    /// }
    ///
    /// let model = Model::new(&tiny::WHOLE.0)?;
    /// let (mut arena, mut steps) = (Aligned([0; 2304]), Steps(0));
    /// model.run_observed(&[0; 192], &mut arena.0, &mut [0; 4], &mut steps)?;
    /// assert_eq!(steps.0, model.operator_count());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_observed<O: Observer>(
        &self,
        input: &[i8],
        arena: &mut [i8],
        output: &mut [i8],
        observer: &mut O,
    ) -> Result<(), RunError> {
        self.run_with(input, arena, output, observer, &mut dispatch)
    }

    /// As [`run_observed`](Self::run_observed), each step by `compute`.
    pub(crate) fn run_with<O: Observer>(
        &self,
        input: &[i8],
        arena: &mut [i8],
        output: &mut [i8],
        observer: &mut O,
        compute: &mut impl Compute,
    ) -> Result<(), RunError> {
        let (needed, given) = (self.input().bytes(), input.len());
        if needed != given {
            return Err(RunError::InputLength { needed, given });
        }
        let (needed, given) = (self.output().bytes(), output.len());
        if needed != given {
            return Err(RunError::OutputLength { needed, given });
        }
        let mut session = self.start(arena)?;
        let mut unread = input;
        if !self.pushes_input() {
            copy(
                session.rows_of(&self.input(), 0, self.input().shape.height as usize),
                input,
            );
        }
        while let Some(rows) = session.next_rows_with(observer, compute) {
            let (now, later) = unread.split_at_checked(rows.len()).unwrap_or((unread, &[]));
            copy(rows, now);
            unread = later;
        }
        copy(output, session.output());
        Ok(())
    }

    /// The input in the arena, to be filled before [`invoke`](Self::invoke).
    ///
    /// ```
    /// use sepconv::{Aligned, Model, tiny};
    /// let model = Model::new(&tiny::WHOLE.0)?;
    /// let mut arena = Aligned([0; 2304]);
    /// model.input_mut(&mut arena.0)?.fill(5); // a camera's DMA could write here
    /// let scores = model.invoke(&mut arena.0)?;
    /// assert_eq!(scores.len(), 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RunError`] if the arena is too small, or if this model's rows are to be pushed.
    pub fn input_mut<'a>(&self, arena: &'a mut [i8]) -> Result<&'a mut [i8], RunError> {
        self.check_arena(arena)?;
        if self.pushes_input() {
            return Err(RunError::PushesInput);
        }
        let input = self.input();
        Ok(arena
            .get_mut(input.offset..input.offset + input.bytes())
            .unwrap_or(&mut []))
    }

    /// Runs on the input that lies in the arena and returns the output, which lies there too.
    ///
    /// ```
    /// use sepconv::{Aligned, Model, tiny};
    /// let model = Model::new(&tiny::WHOLE.0)?;
    /// let (mut arena, mut scores) = (Aligned([0; 2304]), [0; 4]);
    /// model.run(&[5; 192], &mut arena.0, &mut scores)?;
    /// model.input_mut(&mut arena.0)?.fill(5);
    /// assert_eq!(model.invoke(&mut arena.0)?, scores); // as run, without copies
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`input_mut`](Self::input_mut).
    pub fn invoke<'a>(&self, arena: &'a mut [i8]) -> Result<&'a [i8], RunError> {
        if self.pushes_input() {
            return Err(RunError::PushesInput);
        }
        let mut session = self.start(arena)?;
        while session.next_rows().is_some() {}
        let output = self.output();
        Ok(arena
            .get(output.offset..output.offset + output.bytes())
            .unwrap_or(&[]))
    }

    /// Starts an inference that takes its input row by row.
    ///
    /// ```
    /// use sepconv::{Aligned, Model, tiny};
    /// let model = Model::new(&tiny::STREAMED.0)?;
    /// let mut arena = Aligned([0; 2304]);
    /// let mut session = model.start(&mut arena.0)?;
    /// assert_eq!(session.next_rows().map(|rows| rows.len()), Some(8 * 3)); // it wants the first row
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RunError`] if the arena is too small or not aligned.
    pub fn start<'a>(&'a self, arena: &'a mut [i8]) -> Result<Session<'a>, RunError> {
        self.check_arena(arena)?;
        Ok(Session {
            model: self,
            arena,
            next: 0,
        })
    }

    fn check_arena(&self, arena: &[i8]) -> Result<(), RunError> {
        let (needed, given) = (self.arena_len(), arena.len());
        if given < needed {
            return Err(RunError::ArenaLength { needed, given });
        }
        if arena.as_ptr().align_offset(ALIGNMENT) != 0 {
            return Err(RunError::ArenaMisaligned);
        }
        Ok(())
    }
}

/// An inference under way, which asks for input rows when it needs them.
///
/// ```no_run
/// # fn camera_row(row: &mut [i8]) {}
/// # fn classify(model: &sepconv::Model, arena: &mut [i8]) -> Result<(), sepconv::RunError> {
/// let mut session = model.start(arena)?;
/// while let Some(rows) = session.next_rows() {
///     camera_row(rows);
/// }
/// let scores = session.output();
/// # Ok(())
/// # }
/// ```
pub struct Session<'a> {
    model: &'a Model<'a>,
    arena: &'a mut [i8],
    next: usize,
}

impl Session<'_> {
    /// Runs until input rows are needed and returns them to be filled; `None` once the output is complete. A model whose
    /// whole input lies in the arena ([`Model::input_mut`]) asks for none.
    ///
    /// ```
    /// use sepconv::{Aligned, Model, tiny};
    /// let model = Model::new(&tiny::STREAMED.0)?;
    /// let mut arena = Aligned([0; 2304]);
    /// let mut session = model.start(&mut arena.0)?;
    /// let mut asked = 0;
    /// while let Some(rows) = session.next_rows() {
    ///     rows.fill(7);
    ///     asked += rows.len();
    /// }
    /// assert_eq!(asked, model.input().bytes());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_rows(&mut self) -> Option<&mut [i8]> {
        self.next_rows_observed(&mut ())
    }

    /// As [`next_rows`](Self::next_rows), telling an observer of every step.
    ///
    /// ```
    /// # let model = sepconv::Model::new(&sepconv::tiny::STREAMED.0)?;
    /// # let mut arena = sepconv::Aligned([0; 2304]);
    /// let mut session = model.start(&mut arena.0)?;
    /// let observer = &mut (); // any Observer
    /// while let Some(rows) = session.next_rows_observed(observer) {
    ///     rows.fill(7);
    /// }
    /// assert_eq!(session.output().len(), 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_rows_observed<O: Observer>(&mut self, observer: &mut O) -> Option<&mut [i8]> {
        self.next_rows_with(observer, &mut dispatch)
    }

    fn next_rows_with<O: Observer>(
        &mut self,
        observer: &mut O,
        compute: &mut impl Compute,
    ) -> Option<&mut [i8]> {
        loop {
            let step = self.model.step(self.next)?;
            self.next += 1;
            if step.operator == PUSH_INPUT {
                let input = self.model.input();
                return Some(self.rows_of(&input, step.first_row as usize, step.rows as usize));
            }
            execute(self.model, &step, self.arena, observer, compute);
        }
    }

    /// The output; complete once [`next_rows`](Self::next_rows) has returned `None`.
    ///
    /// ```
    /// use sepconv::{Aligned, Model, tiny};
    /// let (mut arena, mut other, mut scores) = (Aligned([0; 2304]), Aligned([0; 2304]), [0; 4]);
    /// let streamed = Model::new(&tiny::STREAMED.0)?;
    /// let mut session = streamed.start(&mut arena.0)?;
    /// while let Some(rows) = session.next_rows() {
    ///     rows.fill(7);
    /// }
    /// Model::new(&tiny::WHOLE.0)?.run(&[7; 192], &mut other.0, &mut scores)?;
    /// assert_eq!(session.output(), scores); // row by row or whole, the same bytes
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn output(&self) -> &[i8] {
        let output = self.model.output();
        self.arena
            .get(output.offset..output.offset + output.bytes())
            .unwrap_or(&[])
    }

    fn rows_of(&mut self, tensor: &Tensor, first: usize, rows: usize) -> &mut [i8] {
        let start = tensor.offset + tensor.slot(first) * tensor.row_bytes();
        self.arena
            .get_mut(start..start + rows * tensor.row_bytes())
            .unwrap_or(&mut [])
    }
}

/// `copy_from_slice` without its panic.
pub(crate) fn copy(to: &mut [i8], from: &[i8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

/// What computes the band of a step; [`dispatch`], or something around it.
pub(crate) trait Compute:
    FnMut(&Model, &OperatorRecord, &Memory, &mut Band, &mut [i8]) -> Option<()>
{
}

impl<F: FnMut(&Model, &OperatorRecord, &Memory, &mut Band, &mut [i8]) -> Option<()>> Compute for F {}

/// Runs one step. The model view has proven that nothing in here returns early.
fn execute<O: Observer>(
    model: &Model,
    step: &Step,
    arena: &mut [i8],
    observer: &mut O,
    compute: &mut impl Compute,
) -> Option<()> {
    let number = step.operator as usize;
    observer.before(number);
    let record = model.record(number)?;
    let output = model.tensor(record.output);
    let (first_row, rows) = (step.first_row as usize, step.rows as usize);
    let start = output.offset + output.slot(first_row) * output.row_bytes();

    let arena = arena.get_mut(..model.arena_len())?;
    let (activations, scratch) =
        arena.split_at_mut_checked(model.arena_len().checked_sub(record.scratch_len())?)?;
    let (below, rest) = activations.split_at_mut_checked(start)?;
    let (data, above) = rest.split_at_mut_checked(rows * output.row_bytes())?;
    let memory = Memory {
        below,
        above_start: start + data.len(),
        above,
    };
    let mut band = Band {
        data,
        first_row,
        rows,
        shape: output.shape,
        element: output.element,
    };
    compute(model, &record, &memory, &mut band, scratch)?;
    observer.after(number, first_row, band.data);
    Some(())
}

/// The arena around the written band.
pub(crate) struct Memory<'a> {
    below: &'a [i8],
    above: &'a [i8],
    above_start: usize,
}

impl<'a> Memory<'a> {
    #[inline]
    pub(crate) fn rows(&self, tensor: &Tensor) -> Rows<'a> {
        Rows {
            below: self.below,
            above: self.above,
            above_start: self.above_start,
            offset: tensor.offset,
            ring_rows: tensor.ring_rows,
            row_bytes: tensor.row_bytes(),
            shape: tensor.shape,
            element: tensor.element,
        }
    }
}

/// Computes a band by the table's kernel.
pub(crate) fn dispatch(
    model: &Model,
    record: &OperatorRecord,
    memory: &Memory,
    band: &mut Band,
    scratch: &mut [i8],
) -> Option<()> {
    let kernels = model.kernels;
    let [a, b, ..] = record.inputs;
    let input = memory.rows(&model.tensor(a));
    let (from, to) = (input.element, band.element);
    let wide = from == Element::Int16;
    match model.decode(record)? {
        Operator::Convolution(linear) => {
            kernels.convolution.of(from, to, linear.weight_bits)?(&linear, &input, band, scratch)
        }
        Operator::Depthwise(linear) => {
            kernels.depthwise.of(from, to, linear.weight_bits)?(&linear, &input, band, scratch)
        }
        Operator::Pointwise(linear) => {
            kernels.pointwise.of(from, to, linear.weight_bits)?(&linear, &input, band, scratch)
        }
        Operator::FullyConnected(linear) => {
            kernels.fully_connected.of(from, to, linear.weight_bits)?(&linear, &input, band, scratch)
        }
        Operator::Add(binary) => kernels.add.of(wide)?(&binary, &input, &memory.rows(&model.tensor(b)), band),
        Operator::Mul(binary) => kernels.mul.of(wide)?(&binary, &input, &memory.rows(&model.tensor(b)), band),
        Operator::AveragePool(pool) => kernels.average_pool.of(wide)?(&pool, &input, band),
        Operator::MaxPool(pool) => kernels.max_pool.of(wide)?(&pool, &input, band),
        Operator::Mean(mean) => kernels.mean.of(wide)?(&mean, &input, band),
        Operator::Pad(pad) => kernels.pad?(&pad, &input, band),
        Operator::Concatenation(concatenation) => {
            let inputs = record.inputs.map(|number| {
                if number == NONE {
                    Rows::EMPTY
                } else {
                    memory.rows(&model.tensor(number))
                }
            });
            let count = record.inputs.iter().take_while(|number| **number != NONE).count();
            kernels.concatenation?(&concatenation, inputs.get(..count)?, band)
        }
        Operator::Reshape => kernels.reshape?(&(), &input, band),
        Operator::Softmax(softmax) => kernels.softmax.of(wide)?(&softmax, &input, band),
        Operator::Lookup(lookup) => kernels.lookup?(&lookup, &input, band),
        Operator::Requantize(requantize) => kernels.requantize?(&requantize, &input, band),
        Operator::ResizeNearest(resize) => kernels.resize_nearest?(&resize, &input, band),
        Operator::Transpose(transpose) => kernels.transpose?(&transpose, &input, band),
        Operator::ArgMax(_) => kernels.arg_max?(&(), &input, band),
    }
    Some(())
}
