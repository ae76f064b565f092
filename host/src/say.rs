//! Standard output for people, which may close early, as in `cargo xtask sample … | head`.

/// `println!`, but for a closed standard output, which is no reason to panic.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}
