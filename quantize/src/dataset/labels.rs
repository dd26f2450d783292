//! Tables of labels: tab-separated text, one image a line.

use std::fs;
use std::path::Path;

use super::DatasetError;

/// One line of a label table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The image file, relative to the folder of images.
    pub file: String,
    /// The class index.
    pub class: u32,
    /// The class's name: the last column, if there are more than two.
    pub name: Option<String>,
}

/// Reads a table of labels: file name, class index, and possibly more columns, separated by tabs.
///
/// Empty lines and lines that start with `#` are skipped.
pub fn read_labels(path: &Path) -> Result<Vec<Label>, DatasetError> {
    let bytes = fs::read(path).map_err(DatasetError::io(path))?;
    let text = String::from_utf8(bytes).map_err(|_| DatasetError::malformed(path, "is not UTF-8 text"))?;
    let mut labels = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let columns: Vec<&str> = line.split('\t').collect();
        let class = columns
            .get(1)
            .and_then(|class| class.trim().parse().ok())
            .ok_or_else(|| {
                let what = format!(
                    "line {}: expected FILE<tab>CLASS INDEX, found {line:?}",
                    number + 1
                );
                DatasetError::malformed(path, what)
            })?;
        let name = columns
            .get(2..)
            .and_then(|more| more.last())
            .map(|name| name.trim().to_string());
        labels.push(Label {
            file: columns[0].to_string(),
            class,
            name,
        });
    }
    if labels.is_empty() {
        return Err(DatasetError::malformed(path, "holds no labels"));
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lines_and_names_the_bad_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("labels.tsv");
        let read = |text: &[u8]| {
            fs::write(&path, text).unwrap();
            read_labels(&path)
        };
        let labels = read(b"# file\tclass\na.png\t3\n\nb.png\t472\tn02951358\tcanoe\r\n").unwrap();
        assert_eq!(
            labels[0],
            Label {
                file: "a.png".into(),
                class: 3,
                name: None
            }
        );
        assert_eq!(
            labels[1],
            Label {
                file: "b.png".into(),
                class: 472,
                name: Some("canoe".into())
            }
        );
        assert!(
            read(b"a.png\t3\nb.png\tcanoe\n")
                .unwrap_err()
                .to_string()
                .contains("line 2")
        );
        assert!(read(b"a.png 3\n").unwrap_err().to_string().contains("line 1"));
        assert!(read(b"\n").unwrap_err().to_string().contains("no labels"));
        assert!(read(b"\xff\xfe").unwrap_err().to_string().contains("UTF-8"));
    }
}
