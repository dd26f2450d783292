//! Hooks into execution.

/// Told what an executor does, step by step. An operator may take several steps. The observer `()` costs nothing.
///
/// ```
/// struct Count(usize);
/// impl sepconv::Observer for Count {
///     fn after(&mut self, _operator: usize, _first_row: usize, rows: &[i8]) {
///         self.0 += rows.len();
///     }
/// }
/// ```
pub trait Observer {
    /// A step of operator number `operator` begins.
    fn before(&mut self, operator: usize) {
        let _ = operator;
    }

    /// A step of operator number `operator` has computed the rows of its output from `first_row` on; `rows` are their bytes.
    fn after(&mut self, operator: usize, first_row: usize, rows: &[i8]) {
        let _ = (operator, first_row, rows);
    }
}

impl Observer for () {}
