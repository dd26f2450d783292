//! What the firmware reports on its serial port; `firmware/app/src/report.rs` describes the lines.

use crate::error::Error;

/// An inference's result.
#[derive(Debug, PartialEq)]
pub struct Image {
    /// The position of the largest output.
    pub class: u64,
    /// Instructions that the inference took.
    pub instructions: u64,
    /// FNV-1a of the output, 16 hexadecimal digits.
    pub hash: String,
    /// The output.
    pub output: Vec<i8>,
}

/// A run's results.
#[derive(Debug, Default, PartialEq)]
pub struct Report {
    /// The kernels in use.
    pub kernels: String,
    /// A loop's instructions as they are known, and as the board counted them.
    pub calibration: (u64, u64),
    /// The images in their order.
    pub images: Vec<Image>,
    /// Instructions that each operator took for the first image.
    pub operators: Vec<u64>,
    /// The most bytes of stack in use at once.
    pub stack: u64,
}

/// Reads a report.
///
/// # Errors
///
/// [`Error::Failed`] with the board's own words if it reported an error, or with the line that is not understood, or if
/// the end is missing.
pub fn parse(text: &str) -> Result<Report, Error> {
    let mut report = Report::default();
    let mut done = false;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(message) = line.strip_prefix("error ") {
            return Err(Error::Failed(format!("the board reports: {message}")));
        }
        done |= line == "done";
        read_line(&mut report, line).ok_or_else(|| {
            Error::Failed(format!(
                "the board's report has a line that makes no sense: {line}"
            ))
        })?;
    }
    if !done {
        return Err(Error::Failed(format!(
            "the board stopped before the end of its report:\n{text}"
        )));
    }
    Ok(report)
}

/// Adds what a line says to the report; `None` if it makes no sense there.
fn read_line(report: &mut Report, line: &str) -> Option<()> {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["kernels", name] => report.kernels = name.to_string(),
        ["calibration", "expected", expected, "measured", measured] => {
            report.calibration = (number(expected)?, number(measured)?);
        }
        [
            "image",
            place,
            "class",
            class,
            "instructions",
            instructions,
            "hash",
            hash,
            "output",
            output,
        ] if number(place)? == report.images.len() as u64 => {
            report.images.push(image(class, instructions, hash, output)?);
        }
        ["operator", place, "instructions", instructions]
            if number(place)? == report.operators.len() as u64 =>
        {
            report.operators.push(number(instructions)?);
        }
        ["stack", bytes] => report.stack = number(bytes)?,
        ["done"] => {}
        _ => return None,
    }
    Some(())
}

fn number(word: &str) -> Option<u64> {
    word.parse().ok()
}

fn image(class: &str, instructions: &str, hash: &str, output: &str) -> Option<Image> {
    let bytes = (0..output.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(output.get(at..at + 2)?, 16).ok());
    let output: Vec<i8> = bytes
        .map(|byte| byte.map(u8::cast_signed))
        .collect::<Option<_>>()?;
    // What the hash is for: a byte lost on the way would else look like a wrong result.
    let intact = fnv1a_64(&output) == hash;
    intact.then_some(Image {
        class: number(class)?,
        instructions: number(instructions)?,
        hash: hash.into(),
        output,
    })
}

/// FNV-1a with 64 bits of the values as bytes, as 16 hexadecimal digits: the hash that boards report of outputs.
pub fn fnv1a_64(values: &[i8]) -> String {
    let hash = values.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, value| {
        (hash ^ u64::from(value.cast_unsigned())).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "calibration expected 20000 measured 19999\nkernels reference\n\
        image 0 class 1 instructions 4242 hash HASH output 616200\n\
        operator 0 instructions 4000\noperator 1 instructions 200\nstack 1064\ndone\n";

    fn good() -> String {
        GOOD.replace("HASH", &fnv1a_64(&[0x61, 0x62, 0]))
    }

    #[test]
    fn the_hash_is_fnv1a() {
        // Test vectors of the algorithm's authors.
        assert_eq!(fnv1a_64(&[]), "cbf29ce484222325");
        assert_eq!(fnv1a_64(&[0x61]), "af63dc4c8601ec8c");
        assert_eq!(
            fnv1a_64(&[0x66, 0x6f, 0x6f, 0x62, 0x61, 0x72]),
            "85944171f73967e8"
        );
    }

    #[test]
    fn a_whole_report_is_read() {
        let report = parse(&good()).unwrap();
        assert_eq!(report.calibration, (20000, 19999));
        assert_eq!(report.kernels, "reference");
        assert_eq!(report.operators, [4000, 200]);
        assert_eq!(report.stack, 1064);
        assert_eq!(report.images.len(), 1);
        assert_eq!(report.images[0].output, [0x61, 0x62, 0]);
        assert_eq!((report.images[0].class, report.images[0].instructions), (1, 4242));
    }

    #[test]
    fn what_is_damaged_is_refused() {
        for (from, to, why) in [
            ("done\n", "", "before the end"),
            ("output 616200", "output 616201", "makes no sense"),
            ("operator 1", "operator 2", "makes no sense"),
            ("stack 1064", "stack many", "makes no sense"),
            ("stack 1064", "error panic: at x", "panic: at x"),
        ] {
            let text = good().replace(from, to);
            assert_ne!(text, good());
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
