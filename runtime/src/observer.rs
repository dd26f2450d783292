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
    ///
    /// ```
    /// use sepconv::Observer;
    /// struct Last(Option<usize>);
    /// impl Observer for Last {
    ///     fn before(&mut self, operator: usize) {
    ///         self.0 = Some(operator);
    ///     }
    /// }
    /// let mut last = Last(None);
    /// last.before(3);
    /// assert_eq!(last.0, Some(3));
    /// ```
    fn before(&mut self, operator: usize) {
        let _ = operator;
    }

    /// A step of operator number `operator` has computed the rows of its output from `first_row` on; `rows` are their bytes.
    ///
    /// ```
    /// use sepconv::Observer;
    /// struct Rows(usize);
    /// impl Observer for Rows {
    ///     fn after(&mut self, _operator: usize, _first_row: usize, rows: &[i8]) {
    ///         self.0 += rows.len();
    ///     }
    /// }
    /// let mut rows = Rows(0);
    /// rows.after(0, 2, &[1, 2, 3]);
    /// assert_eq!(rows.0, 3);
    /// ```
    fn after(&mut self, operator: usize, first_row: usize, rows: &[i8]) {
        let _ = (operator, first_row, rows);
    }
}

impl Observer for () {}
