//! One inference on several threads.
//!
//! Every step of the schedule is cut into bands of rows, pointwise convolutions into runs of pixels, one for each thread.
//! Kernels compute a value alike in whatever band it lies, so that the result does not depend on the number of threads.
//! Steps of a single row (fully connected, mean) run on one thread.
//!
//! ```
//! use sepconv::{AlignedVec, Model, parallel::Workers, tiny};
//!
//! let model = Model::new(&tiny::WHOLE.0)?;
//! let mut arena = AlignedVec::zeroed(model.arena_len());
//! let (mut one, mut two) = ([0; 4], [0; 4]);
//! model.run(&[7; 8 * 8 * 3], &mut arena, &mut one)?;
//! model.run_parallel(&mut Workers::new(2)?, &[7; 8 * 8 * 3], &mut arena, &mut two, &mut ())?;
//! assert_eq!(one, two);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::exec::{Memory, dispatch};
use crate::format::OperatorRecord;
use crate::operator::Operator;
use crate::{AlignedVec, Band, Element, Model, Observer, Rows, RunError, Shape};
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::Arc;
use std::vec::Vec;

/// Bytes of output below which a step is not worth waking another thread.
const SMALL: usize = 2048;

/// Threads with scratch memory of their own, which is allocated with the first inference on a model. Each inference then
/// allocates only what calling the threads takes: a few hundred bytes.
///
/// ```
/// use sepconv::{Model, parallel::Workers, tiny};
/// let model = Model::new(&tiny::WHOLE.0)?;
/// let mut workers = Workers::new(2)?; // once, for all inferences
/// let mut arena = sepconv::AlignedVec::zeroed(model.arena_len());
/// let mut scores = [0; 4];
/// for image in [[0; 8 * 8 * 3], [1; 8 * 8 * 3]] {
///     model.run_parallel(&mut workers, &image, &mut arena, &mut scores, &mut ())?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Workers {
    pool: Arc<rayon::ThreadPool>,
    scratch: Vec<AlignedVec<i8>>,
}

/// Why there are no threads: the operating system refused to start them.
///
/// ```
/// use sepconv::parallel::{ThreadError, Workers};
/// fn workers() -> Result<Workers, ThreadError> {
///     Workers::new(4).inspect_err(|error| eprintln!("{error}; one thread does as well"))
/// }
/// # assert!(workers().is_ok());
/// ```
#[derive(Debug)]
pub struct ThreadError(rayon::ThreadPoolBuildError);

impl core::fmt::Display for ThreadError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "threads could not be started: {}", self.0)
    }
}

impl core::error::Error for ThreadError {}

impl Workers {
    /// `count` threads, at least one.
    ///
    /// # Errors
    ///
    /// [`ThreadError`] if the operating system does not start them.
    ///
    /// ```
    /// assert_eq!(sepconv::parallel::Workers::new(0)?.count(), 1);
    /// # Ok::<(), sepconv::parallel::ThreadError>(())
    /// ```
    pub fn new(count: usize) -> Result<Self, ThreadError> {
        let count = count.max(1);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build();
        Ok(Self {
            pool: Arc::new(pool.map_err(ThreadError)?),
            scratch: (0..count).map(|_| AlignedVec::zeroed(0)).collect(),
        })
    }

    /// Does some work on one of the threads. Inferences within start at once; others wake a thread first, which takes about as
    /// long as a small network.
    ///
    /// ```
    /// use sepconv::{Model, RunError, parallel::Workers, tiny};
    /// let model = Model::new(&tiny::WHOLE.0)?;
    /// let mut arena = sepconv::AlignedVec::zeroed(model.arena_len());
    /// let mut scores = [0; 4];
    /// Workers::new(2)?.within(|workers| {
    ///     for _ in 0..10 {
    ///         model.run_parallel(workers, &[0; 8 * 8 * 3], &mut arena, &mut scores, &mut ())?;
    ///     }
    ///     Ok::<(), RunError>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn within<R: Send>(&mut self, work: impl FnOnce(&mut Self) -> R + Send) -> R {
        let pool = self.pool.clone();
        pool.install(|| work(self))
    }

    /// How many threads there are.
    ///
    /// ```
    /// assert_eq!(sepconv::parallel::Workers::new(2)?.count(), 2);
    /// # Ok::<(), sepconv::parallel::ThreadError>(())
    /// ```
    pub fn count(&self) -> usize {
        self.scratch.len()
    }
}

impl Model<'_> {
    /// As [`run_observed`](Self::run_observed), on several threads. The observer is told of whole steps.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    ///
    /// ```
    /// use sepconv::{Model, parallel::Workers, tiny};
    /// let model = Model::new(&tiny::WHOLE.0)?;
    /// let mut workers = Workers::new(2)?;
    /// let mut arena = sepconv::AlignedVec::zeroed(model.arena_len());
    /// let mut scores = [0; 4];
    /// model.run_parallel(&mut workers, &[0; 8 * 8 * 3], &mut arena, &mut scores, &mut ())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn run_parallel<O: Observer + Send>(
        &self,
        workers: &mut Workers,
        input: &[i8],
        arena: &mut [i8],
        output: &mut [i8],
        observer: &mut O,
    ) -> Result<(), RunError> {
        let Workers { pool, scratch } = workers;
        for scratch in scratch.iter_mut() {
            if scratch.len() < self.scratch_len() {
                *scratch = AlignedVec::zeroed(self.scratch_len());
            }
        }
        pool.install(|| {
            let finished = AtomicBool::new(false);
            let this_thread = rayon::current_thread_index();
            rayon::scope(|scope| {
                scope.spawn_broadcast(|_, context| {
                    if Some(context.index()) != this_thread {
                        stay_awake(&finished);
                    }
                });
                let mut compute = |model: &Model,
                                   record: &OperatorRecord,
                                   memory: &Memory,
                                   band: &mut Band,
                                   _: &mut [i8]| {
                    compute_shared(model, record, memory, band, scratch)
                };
                let result = self.run_with(input, arena, output, observer, &mut compute);
                finished.store(true, Ordering::Release);
                result
            })
        })
    }
}

/// Takes other threads' work until the inference is finished. Steps follow each other within microseconds: a thread that
/// went to sleep in between would miss the next.
fn stay_awake(finished: &AtomicBool) {
    let mut idle = 0;
    while !finished.load(Ordering::Acquire) {
        if rayon::yield_now() == Some(rayon::Yield::Executed) {
            idle = 0;
        } else if idle < PATIENCE {
            idle += 1;
            core::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
    }
}

/// How many turns to wait for another thread before letting other programs run: some hundred microseconds.
const PATIENCE: u32 = 10_000;

/// Computes a step's band on as many threads as there are pieces of scratch memory.
fn compute_shared(
    model: &Model,
    record: &OperatorRecord,
    memory: &Memory,
    band: &mut Band,
    scratch: &mut [AlignedVec<i8>],
) -> Option<()> {
    let mut whole = Band {
        data: &mut *band.data,
        ..*band
    };
    if whole.data.len() < SMALL {
        let scratch = scratch.first_mut()?;
        return dispatch(model, record, memory, &mut whole, scratch);
    }
    let operator = model.decode(record)?;
    if let (Operator::Pointwise(linear), Element::Int8) = (operator, whole.element) {
        // Pixels as rows of one pixel, so that they can be shared out evenly.
        let input = memory.rows(&model.tensor(record.inputs[0]));
        let kernel = model
            .kernels
            .pointwise
            .of(Element::Int8, Element::Int8, linear.weight_bits)?;
        let (width, input) = (input.shape.width as usize, pixels_as_rows(&input));
        let whole = Band {
            first_row: whole.first_row * width,
            rows: whole.rows * width,
            shape: column(whole.shape),
            ..whole
        };
        return share(
            &|band, scratch| {
                kernel(&linear, &input, band, scratch);
                Some(())
            },
            whole,
            scratch,
        );
    }
    share(
        &|band, scratch| dispatch(model, record, memory, band, scratch),
        whole,
        scratch,
    )
}

fn column(shape: Shape) -> Shape {
    Shape::new(shape.height * shape.width, 1, shape.channels)
}

fn pixels_as_rows<'a>(rows: &Rows<'a>) -> Rows<'a> {
    let width = rows.shape.width as usize;
    Rows {
        ring_rows: rows.ring_rows * width,
        row_bytes: rows.shape.channels as usize * rows.element.bytes(),
        shape: column(rows.shape),
        ..*rows
    }
}

/// Computes a band in as many parts as there are pieces of scratch memory, halving both.
fn share(
    compute: &(dyn Fn(&mut Band, &mut [i8]) -> Option<()> + Sync),
    mut band: Band,
    scratch: &mut [AlignedVec<i8>],
) -> Option<()> {
    let threads = scratch.len();
    if threads < 2 || band.rows < 2 {
        return compute(&mut band, scratch.first_mut()?);
    }
    let (first_scratch, second_scratch) = scratch.split_at_mut(threads / 2);
    let rows = (band.rows * (threads / 2)).div_ceil(threads);
    let row_bytes = band.row_bytes();
    let (first_data, second_data) = band.data.split_at_mut_checked(rows * row_bytes)?;
    let first = Band {
        data: first_data,
        rows,
        ..band
    };
    let second = Band {
        data: second_data,
        first_row: band.first_row + rows,
        rows: band.rows - rows,
        ..band
    };
    let state = AtomicU8::new(WAITING);
    let (first, second) = rayon::join(
        || {
            let first = share(compute, first, first_scratch);
            // Nearly done, if another thread has begun: rather than let `join` put this one to sleep, wait.
            for _ in 0..PATIENCE {
                if state.load(Ordering::Acquire) != BEGUN {
                    break;
                }
                core::hint::spin_loop();
            }
            first
        },
        || {
            state.store(BEGUN, Ordering::Release);
            let second = share(compute, second, second_scratch);
            state.store(DONE, Ordering::Release);
            second
        },
    );
    first.and(second)
}

/// How far the second half of a band is.
const WAITING: u8 = 0;
const BEGUN: u8 = 1;
const DONE: u8 = 2;
