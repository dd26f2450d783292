//! What each operator takes.

use heapless::Vec;
use sepconv::Observer;

use crate::{Counter, assets::OPERATOR_COUNT};

/// Adds up the ticks of every operator over its steps.
pub struct PerOperator<'a, C> {
    counter: &'a mut C,
    /// The ticks that reading the counter takes.
    reading: u64,
    started: u64,
    ticks: Vec<u64, OPERATOR_COUNT>,
}

impl<'a, C: Counter> PerOperator<'a, C> {
    /// All operators at zero.
    pub fn new(counter: &'a mut C) -> Self {
        let first = counter.ticks();
        let reading = counter.ticks() - first;
        let mut ticks = Vec::new();
        ticks.resize_default(OPERATOR_COUNT).unwrap_or_default();
        Self {
            counter,
            reading,
            started: 0,
            ticks,
        }
    }

    /// The ticks of every operator.
    pub fn into_ticks(self) -> Vec<u64, OPERATOR_COUNT> {
        self.ticks
    }
}

impl<C: Counter> Observer for PerOperator<'_, C> {
    fn before(&mut self, _operator: usize) {
        self.started = self.counter.ticks();
    }

    fn after(&mut self, operator: usize, _first_row: usize, _rows: &[i8]) {
        let taken = self.counter.ticks() - self.started;
        if let Some(ticks) = self.ticks.get_mut(operator) {
            *ticks += taken.saturating_sub(self.reading);
        }
    }
}
