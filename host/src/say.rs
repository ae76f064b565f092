//! Words for people, on a standard output that may close early, as in `cargo xtask sample … | head`.

/// `println!`, but for a closed standard output, which is no reason to panic.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

/// `1 step`, `2 steps`.
pub fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}
