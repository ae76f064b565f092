//! Tables: one sample per line, comma or semicolon between cells, an optional header, an optional column for the class.

use std::path::Path;

use ::csv::{ByteRecord, ReaderBuilder, Trim};

use super::labels::class_labels;
use super::scaling::to_network;
use super::{DataError, Dataset, Place};

/// Header names, in any case, that make a column the class.
const CLASS_NAMES: [&str; 3] = ["label", "class", "target"];

/// Numbers of a table as they stand in the file.
pub(super) struct Table {
    /// Cells of every row; at least 1.
    pub(super) columns: usize,
    /// Row by row, `rows * columns`.
    pub(super) values: Vec<f64>,
    /// Where each row starts in the file, counted from 1.
    lines: Vec<u64>,
    /// The column that the header calls the class, counted from 0.
    class_column: Option<usize>,
}

/// Samples of shape `[columns without the class]`, scaled by [`to_network`].
pub(super) fn dataset(name: String, file: &Path, text: &[u8]) -> Result<Dataset, DataError> {
    let Table { columns, mut values, lines, class_column } = read(file, text)?;
    let labels = match class_column {
        None => None,
        Some(class) => {
            let column = values.iter().skip(class).step_by(columns).copied();
            let places = lines.iter().map(|&line| Place::Cell { line, column: class + 1 });
            let labels = class_labels(file, places.zip(column))?;
            let mut column = (0..columns).cycle();
            values.retain(|_| column.next() != Some(class));
            Some(labels)
        }
    };
    let width = columns - usize::from(labels.is_some());
    if width == 0 {
        return Err(DataError::NoValues { file: file.into(), shape: vec![0] });
    }
    let place = |i: usize| {
        let column = i % width;
        let shifted = class_column.is_some_and(|class| column >= class);
        Place::Cell { line: lines[i / width], column: column + usize::from(shifted) + 1 }
    };
    let (samples, scaling) = to_network(file, values.iter().copied(), place)?;
    let (labels, classes) = match labels {
        Some((labels, classes)) => (Some(labels), classes),
        None => (None, 0),
    };
    Ok(Dataset { name, shape: vec![width], samples, labels, classes, conditions: None, scaling })
}

/// The numbers of a table. Cells may be NaN or infinite: what they are for decides whether that is a fault.
pub(super) fn read(file: &Path, text: &[u8]) -> Result<Table, DataError> {
    if text.is_empty() {
        return Err(DataError::Empty { file: file.into() });
    }
    // Flexible, because the message of `Ragged` should be ours and name the file.
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter(text))
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .from_reader(text);
    let mut table = Table { columns: 0, values: Vec::new(), lines: Vec::new(), class_column: None };
    let mut record = ByteRecord::new();
    let mut lines = LineCounter { text, position: 0, line: 1 };
    let mut first = true;
    while reader
        .read_byte_record(&mut record)
        .map_err(|error| DataError::Unreadable { file: file.into(), reason: error.into() })?
    {
        if first {
            first = false;
            table.columns = record.len();
            if record.iter().all(|cell| number(cell).is_none()) || has_class_name(&record) {
                table.class_column = class_column(file, &record)?;
                continue;
            }
        }
        let line = lines.of(&record);
        if record.len() != table.columns {
            return Err(DataError::Ragged { file: file.into(), line, cells: record.len(), expected: table.columns });
        }
        for (i, cell) in record.iter().enumerate() {
            let value = number(cell).ok_or_else(|| DataError::NotANumber {
                file: file.into(),
                place: Place::Cell { line, column: i + 1 },
                // A stray quote can make the rest of the file one cell.
                cell: String::from_utf8_lossy(cell).chars().take(40).collect(),
            })?;
            table.values.push(value);
        }
        table.lines.push(line);
    }
    if first {
        return Err(DataError::Empty { file: file.into() });
    }
    if table.lines.is_empty() {
        return Err(DataError::NoSamples { file: file.into() });
    }
    Ok(table)
}

/// Lines of records that are asked for in the order of the file.
///
/// The csv crate's own count is that of the byte after the previous record, which is wrong after blank lines.
struct LineCounter<'a> {
    text: &'a [u8],
    position: usize,
    line: u64,
}

impl LineCounter<'_> {
    fn of(&mut self, record: &ByteRecord) -> u64 {
        let start = record.position().map_or(self.position, |position| position.byte() as usize);
        while let Some(&byte) = self.text.get(self.position) {
            if self.position >= start && byte != b'\n' && byte != b'\r' {
                break;
            }
            self.position += 1;
            // CR, LF and CR LF each end one line.
            let ends_line = byte == b'\n' || byte == b'\r' && self.text.get(self.position) != Some(&b'\n');
            self.line += u64::from(ends_line);
        }
        self.line
    }
}

/// Semicolon if the first line that holds anything has one: such files may use a comma inside a header's names.
fn delimiter(text: &[u8]) -> u8 {
    let line = text.split(|&b| b == b'\n' || b == b'\r').find(|line| !line.is_empty());
    if line.is_some_and(|line| line.contains(&b';')) { b';' } else { b',' }
}

fn number(cell: &[u8]) -> Option<f64> {
    std::str::from_utf8(cell).ok()?.parse().ok()
}

fn is_class_name(cell: &[u8]) -> bool {
    CLASS_NAMES.iter().any(|name| cell.eq_ignore_ascii_case(name.as_bytes()))
}

fn has_class_name(record: &ByteRecord) -> bool {
    record.iter().any(is_class_name)
}

fn class_column(file: &Path, header: &ByteRecord) -> Result<Option<usize>, DataError> {
    let mut named = (0..header.len()).filter(|&i| is_class_name(&header[i]));
    match (named.next(), named.next()) {
        (Some(first), Some(second)) => {
            Err(DataError::TwoClassColumns { file: file.into(), first: first + 1, second: second + 1 })
        }
        (column, _) => Ok(column),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Scaling;
    use super::*;
    use quickcheck::quickcheck;

    fn load(text: &str) -> Result<Dataset, DataError> {
        dataset("t".into(), Path::new("t.csv"), text.as_bytes())
    }

    fn message(text: &str) -> String {
        load(text).unwrap_err().to_string()
    }

    #[test]
    fn without_a_header_every_column_is_data() {
        let data = load("0.5,-1\n0,1\n").unwrap();
        assert_eq!(data.shape, [2]);
        assert_eq!(data.samples, [0.5, -1.0, 0.0, 1.0]);
        assert_eq!((data.labels, data.classes), (None, 0));
        assert_eq!(data.scaling, Scaling::IDENTITY);
    }

    #[test]
    fn a_named_column_is_the_class_wherever_it_stands() {
        for text in [
            "label,x,y\n2,10,20\n0,30,20\n",
            "x,Class,y\n10,2,20\n30,0,20\n",
            "x;y;TARGET\r\n10;20;2\r\n\r\n30;20;0",
            "\u{feff}x , y , label\n10, 20, 2\n30, 20, 0.0\n",
            // pandas names columns 0, 1, ... when nobody else does.
            "0,1,label\n10,20,2\n30,20,0\n",
        ] {
            let data = load(text).unwrap();
            assert_eq!(data.labels, Some(vec![2, 0]), "{text}");
            assert_eq!(data.classes, 3);
            assert_eq!(data.shape, [2]);
            assert_eq!(data.samples, [-1.0, 0.0, 1.0, 0.0]);
            assert_eq!(data.scaling, Scaling { offset: 20.0, scale: 10.0 });
            data.validate().unwrap();
        }
    }

    #[test]
    fn a_header_without_a_class_is_skipped() {
        let data = load("x,y\n0.5,0.25\n").unwrap();
        assert_eq!(data.samples, [0.5, 0.25]);
        assert_eq!(data.labels, None);
    }

    #[test]
    fn faults_say_where() {
        assert_eq!(message("1,2\n\n3\n"), "t.csv: line 3 has 1 cell(s), the first line has 2");
        for text in ["1,2\r\n3,4\r\n\r\n5\r\n", "1,2\r3,4\r\r5\r", "\u{feff}\"a\nb\",c\n3,4\n5\n6,7"] {
            assert_eq!(message(text), "t.csv: line 4 has 1 cell(s), the first line has 2", "{text:?}");
        }
        assert_eq!(message("1,2\n3,4,5\n"), "t.csv: line 2 has 3 cell(s), the first line has 2");
        assert_eq!(message("x,y\n1,2\n3,four\n"), "t.csv: line 3, column 2 holds \"four\"; expected a number");
        assert_eq!(message("1,2\n3,\n"), "t.csv: line 2, column 2 holds \"\"; expected a number");
        assert_eq!(
            message("1,oops\n3,4\n"),
            "t.csv: line 1, column 2 holds \"oops\"; expected a number",
            "a typo in the first row of data must not turn the row into a header"
        );
        assert_eq!(
            message("x,label,y\n1,0,2\n3,0,nan\n"),
            "t.csv: line 3, column 3 is NaN; every value must be finite"
        );
        assert_eq!(message("1,2\n3,-inf\n"), "t.csv: line 2, column 2 is -inf; every value must be finite");
        assert!(message("x\n1\n\"2\n3\n4\n").starts_with("t.csv: line 3, column 1 holds \"2\\n3\\n4"));
    }

    #[test]
    fn labels_must_be_class_indices() {
        for bad in ["-1", "1.5", "1000", "nan", "1e300"] {
            let error = load(&format!("x,label\n1,0\n2,{bad}\n")).unwrap_err();
            let place = Place::Cell { line: 3, column: 2 };
            assert!(matches!(error, DataError::Label { place: p, .. } if p == place), "{error}");
        }
        assert!(matches!(load("x,label\n1,seven\n"), Err(DataError::NotANumber { .. })));
        assert!(matches!(load("label,x,target\n1,2,3\n"), Err(DataError::TwoClassColumns { first: 1, second: 3, .. })));
    }

    #[test]
    fn nothing_to_learn_from_is_refused() {
        assert!(matches!(load(""), Err(DataError::Empty { .. })));
        assert!(matches!(load("\n\n"), Err(DataError::Empty { .. })));
        assert!(matches!(load("x,y\n"), Err(DataError::NoSamples { .. })));
        assert!(matches!(load("label\n1\n"), Err(DataError::NoValues { .. })));
        assert!(matches!(load("7,7\n7,7\n"), Err(DataError::Constant { .. })));
    }

    quickcheck! {
        fn any_bytes_are_a_table_or_an_error(bytes: Vec<u8>) -> bool {
            dataset("t".into(), Path::new("t.csv"), &bytes).map_or(true, |data| data.validate().is_ok())
        }

        // Random bytes seldom form a table; random characters of tables often do.
        fn any_near_table_is_a_table_or_an_error(picks: Vec<u8>) -> bool {
            let text: Vec<u8> = picks.iter().map(|&p| b"01289.-e,,,;\"\n\n\r lx"[p as usize % 19]).collect();
            dataset("t".into(), Path::new("t.csv"), &text).map_or(true, |data| data.validate().is_ok())
        }

        fn what_is_written_comes_back(rows: Vec<(i16, i16, u8)>) -> bool {
            let mut text = String::from("a,label,b\n");
            for (a, b, label) in &rows {
                text += &format!("{a},{label},{b}\n");
            }
            let labels: Vec<u32> = rows.iter().map(|row| row.2.into()).collect();
            match load(&text) {
                Ok(data) => data.labels == Some(labels) && rows.iter().enumerate().all(|(i, row)| {
                    let back = |v: f32| data.scaling.to_units(v).round();
                    let sample = data.sample(i);
                    data.scaling == Scaling::IDENTITY && sample == [f32::from(row.0), f32::from(row.1)]
                        || (back(sample[0]), back(sample[1])) == (row.0.into(), row.1.into())
                }),
                Err(DataError::NoSamples { .. }) => rows.is_empty(),
                Err(DataError::Constant { .. }) => rows.iter().all(|row| (row.0, row.1) == (rows[0].0, rows[0].0)),
                Err(_) => false,
            }
        }
    }
}
