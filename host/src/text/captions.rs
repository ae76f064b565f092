//! What is said of samples: captions of a file, or made up from digits' labels.

use super::tokens::tokens;
use crate::condition::Source;
use crate::data::conditions::same_count;
use crate::data::{DataError, Dataset};
use std::collections::BTreeMap;
use std::path::Path;

/// Distinct captions, and which of them describe which sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Captions {
    /// The captions.
    pub texts: Vec<String>,
    /// For each sample the captions that describe it, at least one.
    pub choices: Vec<Vec<u32>>,
    /// Captions to show where nobody asks for others.
    pub examples: Vec<u32>,
    /// Whether those are one for each class, in their order.
    pub by_class: bool,
}

/// Examples where there are no classes.
const EXAMPLES: usize = 10;

const WORDS: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/// What is said of a digit, `#` being its numeral and `*` its word. The first is the example.
const TEMPLATES: [&str; 10] = [
    "the digit #",
    "#",
    "*",
    "a *",
    "the number *",
    "a handwritten #",
    "handwritten digit *",
    "a picture of a *",
    "a drawing of the number #",
    "the numeral #",
];
/// The same, said otherwise: no training sees them.
const HELD_OUT: [&str; 5] =
    ["a handwritten *", "the digit *", "a picture of the number #", "a drawing of a *", "the number #"];

fn fill(template: &str, digit: usize) -> String {
    template.replace('#', &digit.to_string()).replace('*', WORDS[digit])
}

/// For each digit what no training says of it.
pub fn held_out() -> Vec<Vec<String>> {
    (0..WORDS.len()).map(|digit| HELD_OUT.iter().map(|template| fill(template, digit)).collect()).collect()
}

impl Captions {
    /// The captions of data from a source, if it has any.
    ///
    /// # Errors
    /// Data without the classes of digits, where they are to be made up; a file that is no text, has another number of lines than there are samples,
    /// or a line without a word.
    pub fn of(source: &Source, data: &Dataset) -> Result<Option<Self>, DataError> {
        match source {
            Source::Templates => Self::made_up(data).map(Some),
            Source::Captions(file) => Self::read(file, data).map(Some),
            Source::Class | Source::None | Source::Vectors(_) => Ok(None),
        }
    }

    /// Captions from the labels of digits.
    fn made_up(data: &Dataset) -> Result<Self, DataError> {
        let labels = match &data.labels {
            Some(labels) if data.classes == WORDS.len() => labels,
            _ => return Err(DataError::NoTemplates { name: data.name.clone(), classes: data.classes }),
        };
        let mut texts: Vec<String> =
            (0..WORDS.len()).flat_map(|digit| TEMPLATES.map(|template| fill(template, digit))).collect();
        let parities = texts.len() as u32;
        texts.extend(["an even number", "an odd number", "an even digit", "an odd digit"].map(str::to_owned));
        let per_digit = TEMPLATES.len() as u32;
        let of_digit = |digit: u32| {
            let own = (digit * per_digit..(digit + 1) * per_digit).chain([0, 2].map(|at| parities + at + digit % 2));
            own.collect::<Vec<_>>()
        };
        let choices = labels.iter().map(|&label| of_digit(label)).collect();
        let examples = (0..WORDS.len() as u32).map(|digit| digit * per_digit).collect();
        Ok(Self { texts, choices, examples, by_class: true })
    }

    /// Captions from a file, one a line.
    fn read(file: &Path, data: &Dataset) -> Result<Self, DataError> {
        let bytes = std::fs::read(file).map_err(|reason| DataError::Unreadable { file: file.to_owned(), reason })?;
        let text = String::from_utf8(bytes).map_err(|_| DataError::NotText { file: file.to_owned() })?;
        let (mut texts, mut numbers, mut choices) = (Vec::new(), BTreeMap::new(), Vec::new());
        for (line, caption) in text.lines().map(str::trim).enumerate() {
            if tokens(caption).is_empty() {
                return Err(DataError::EmptyCaption { file: file.to_owned(), line: line + 1 });
            }
            let number = *numbers.entry(caption).or_insert_with(|| {
                texts.push(caption.to_owned());
                texts.len() as u32 - 1
            });
            choices.push(vec![number]);
        }
        same_count(file, choices.len(), data)?;
        let examples = match &data.labels {
            // The first that is said of each class; of one without samples, the first of all.
            Some(labels) => (0..data.classes as u32)
                .map(|class| labels.iter().position(|&label| label == class).map_or(0, |sample| choices[sample][0]))
                .collect(),
            None => (0..texts.len().min(EXAMPLES) as u32).collect(),
        };
        Ok(Self { texts, choices, examples, by_class: data.labels.is_some() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn digits_are_described_by_what_is_true_of_them() {
        let data = Dataset::digits().unwrap();
        let captions = Captions::of(&Source::Templates, &data).unwrap().unwrap();
        let labels = data.labels.as_ref().unwrap();
        for (choices, &label) in captions.choices.iter().zip(labels) {
            let said: Vec<&str> = choices.iter().map(|&text| captions.texts[text as usize].as_str()).collect();
            let (numeral, word) = (label.to_string(), WORDS[label as usize]);
            let parity = if label % 2 == 1 { "odd" } else { "even" };
            assert!(said.iter().all(|text| text.contains(&numeral) || text.contains(word) || text.contains(parity)));
            assert_eq!(said.iter().collect::<BTreeSet<_>>().len(), 12);
        }
        let examples: Vec<&str> =
            captions.examples.iter().map(|&text| captions.texts[text as usize].as_str()).collect();
        assert_eq!((examples[3], examples.len()), ("the digit 3", 10));
    }

    #[test]
    fn held_out_captions_are_in_no_training() {
        let captions = Captions::of(&Source::Templates, &Dataset::digits().unwrap()).unwrap().unwrap();
        let seen: BTreeSet<Vec<u32>> = captions.texts.iter().map(|text| tokens(text)).collect();
        // Not even in another order of words.
        assert!(held_out().iter().flatten().all(|text| !seen.contains(&tokens(text))));
        assert_eq!(held_out()[7][0], "a handwritten seven");
    }

    #[test]
    fn a_file_has_a_caption_for_each_sample() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("captions.txt");
        let source = Source::Captions(file.clone());
        let mut data = Dataset::digits().unwrap();
        data.samples.truncate(3 * 64);
        (data.labels, data.classes) = (None, 0);
        let mut read = |text: &[u8], labels: Option<Vec<u32>>| {
            std::fs::write(&file, text).unwrap();
            data.classes = if labels.is_some() { 3 } else { 0 };
            data.labels = labels;
            Captions::of(&source, &data)
        };
        let captions = read(b"a cat\r\na dog\n  a cat \n", None).unwrap().unwrap();
        assert_eq!(
            (captions.texts, captions.choices),
            (vec!["a cat".into(), "a dog".into()], vec![vec![0], vec![1], vec![0]])
        );
        assert_eq!((captions.examples, captions.by_class), (vec![0, 1], false));
        let captions = read(b"a cat\na dog\na cow", Some(vec![1, 1, 0])).unwrap().unwrap();
        assert_eq!((captions.examples, captions.by_class), (vec![2, 0, 0], true));
        for (text, sentence) in [
            (&b"a cat\na dog"[..], "captions.txt: holds 2 rows for the 3 samples of digits"),
            (b"a cat\n \na dog", "captions.txt: line 2 (counted from 1) holds no word"),
            (b"\xff\n", "captions.txt: it is no text in UTF-8"),
        ] {
            let error = read(text, None).unwrap_err().to_string();
            assert!(error.ends_with(sentence), "{error}");
        }
    }

    #[test]
    fn captions_are_made_up_for_digits_alone() {
        let plain = Dataset { labels: None, classes: 0, ..Dataset::digits().unwrap() };
        assert!(matches!(Captions::of(&Source::Templates, &plain), Err(DataError::NoTemplates { classes: 0, .. })));
    }
}
