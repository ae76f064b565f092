//! Words as numbers: hashed character n-grams, so that no vocabulary is kept and an unknown word still resembles those it shares letters with.

/// Rows of the table that tokens index.
pub const BUCKETS: usize = 1024;

/// Letters of an n-gram; marks of a word's beginning and end count.
const LETTERS: usize = 3;

/// The distinct tokens of a text, rising, each below [`BUCKETS`]: for every word `<word>`, with its marks, as a whole and every three letters of
/// it (as in fastText; Bojanowski et al. 2017). Case does not count, and everything but letters and numerals parts words.
///
/// ```
/// use tweedie_host::text::tokens::tokens;
///
/// assert_eq!(tokens("a Seven!"), tokens("seven, A"));
/// assert_ne!(tokens("seven"), tokens("six"));
/// // <seven>, <se, sev, eve, ven, en>
/// assert_eq!(tokens("seven").len(), 6);
/// assert!(tokens("?!").is_empty());
/// ```
pub fn tokens(text: &str) -> Vec<u32> {
    let lower = text.to_lowercase();
    let words = lower.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    let mut tokens: Vec<u32> = words
        .flat_map(|word| {
            let marked: Vec<char> = ['<'].into_iter().chain(word.chars()).chain(['>']).collect();
            let grams: Vec<u32> = marked.windows(LETTERS).chain([marked.as_slice()]).map(bucket).collect();
            grams
        })
        .collect();
    tokens.sort_unstable();
    tokens.dedup();
    tokens
}

/// FNV-1a, 32 bits, over the letters' code points.
fn bucket(letters: &[char]) -> u32 {
    let hash = letters.iter().fold(0x811c_9dc5_u32, |hash, &letter| (hash ^ letter as u32).wrapping_mul(0x0100_0193));
    // The low bits of a product depend on low bits alone: fold the high ones in.
    (hash ^ hash >> 16) % BUCKETS as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_one_letter_is_one_token() {
        assert_eq!((tokens("7").len(), tokens("a 7").len()), (1, 2));
    }

    #[test]
    fn tokens_are_those_of_every_program() {
        // What FNV-1a gives for the code points of <, 7 and >, computed apart.
        let mut hash: u64 = 2_166_136_261;
        for code in [60_u64, 55, 62] {
            hash = ((hash ^ code) * 16_777_619) % (1 << 32);
        }
        assert_eq!(u64::from(tokens("7")[0]), (hash ^ (hash >> 16)) % 1024);
    }
}
