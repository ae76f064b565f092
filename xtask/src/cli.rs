//! The table of commands, its help, and the nearest name for a misspelt one.

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

/// One sentence about a call that could not be understood; the exit status is 2.
#[derive(Debug, PartialEq, Eq)]
pub struct UsageError(pub String);

/// What a command that runs inside xtask looks like: its arguments in, an exit status out.
pub type Here = fn(&[OsString]) -> Result<ExitCode, UsageError>;

/// Who does the work of a command.
pub enum Run {
    /// The host program's command of the same name; it parses its arguments and has its own `--help`.
    Host,
    /// A function of this crate.
    Here(Here),
}

/// One line of `cargo xtask help`.
pub struct Command {
    name: &'static str,
    about: &'static str,
    run: Run,
}

impl Command {
    /// A command called `name`; `about` is its line in the overview.
    pub const fn new(name: &'static str, about: &'static str, run: Run) -> Self {
        Self { name, about, run }
    }
}

/// Runs the command that `arguments` name, or prints the overview when they name none.
pub fn dispatch(
    commands: &[Command],
    examples: &[(&str, &str)],
    arguments: &[OsString],
) -> Result<ExitCode, UsageError> {
    let Some((name, rest)) = arguments.split_first() else {
        print!("{}", overview(commands, examples));
        return Ok(ExitCode::SUCCESS);
    };
    if is_help(name) {
        // `help train` is `train --help`.
        return match rest.first() {
            Some(topic) => dispatch(commands, examples, &[topic.clone(), "--help".into()]),
            None => dispatch(commands, examples, &[]),
        };
    }
    let command = find(commands, &name.to_string_lossy())?;
    match command.run {
        Run::Host => Ok(crate::host::run(command.name, rest)),
        Run::Here(run) => run(rest),
    }
}

/// Whether an argument asks for help.
pub fn is_help(argument: &OsStr) -> bool {
    ["help", "--help", "-h"].iter().any(|help| argument == *help)
}

fn find<'a>(commands: &'a [Command], name: &str) -> Result<&'a Command, UsageError> {
    if let Some(command) = commands.iter().find(|command| command.name == name) {
        return Ok(command);
    }
    let names = commands.iter().map(|command| command.name);
    Err(UsageError(match nearest(name, names) {
        Some(near) => format!("unknown command `{name}`: did you mean `{near}`?"),
        None => format!("unknown command `{name}`: `cargo xtask help` lists them all."),
    }))
}

/// The name that a misspelt one most likely means; none when nothing is close.
fn nearest<'a>(misspelt: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|name| (strsim::jaro_winkler(misspelt, name), name))
        .filter(|(likeness, _)| *likeness > 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

fn overview(commands: &[Command], examples: &[(&str, &str)]) -> String {
    let width = |longest: Option<usize>| longest.unwrap_or(0) + 3;
    let mut text = String::from(
        "Tweedie: diffusion models from a GPU host down to a microcontroller.\n\n\
         Usage: cargo xtask COMMAND [ARGUMENTS]\n\nCommands:\n",
    );
    let column = width(commands.iter().map(|command| command.name.len()).max());
    for Command { name, about, .. } in commands {
        text += &format!("  {name:column$}{about}\n");
    }
    text += "\nExamples:\n";
    let column = width(examples.iter().map(|(line, _)| line.len()).max());
    for (line, about) in examples {
        text += &format!("  {line:column$}{about}\n");
    }
    text + "\n`cargo xtask COMMAND --help` explains a command.\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = ["train", "sample", "test", "setup"];

    #[test]
    fn a_misspelt_command_names_the_nearest_one() {
        for (misspelt, meant) in
            [("trian", "train"), ("samples", "sample"), ("tests", "test"), ("set-up", "setup"), ("tr", "train")]
        {
            assert_eq!(nearest(misspelt, NAMES.into_iter()), Some(meant), "{misspelt}");
        }
        assert_eq!(nearest("xyzzy", NAMES.into_iter()), None);
    }

    #[test]
    fn the_overview_has_every_command_and_example() {
        let text = overview(crate::COMMANDS, crate::EXAMPLES);
        for command in crate::COMMANDS {
            assert!(text.contains(&format!("\n  {} ", command.name)), "{}", command.name);
        }
        for (line, _) in crate::EXAMPLES {
            let command = line.split(' ').nth(2).unwrap();
            assert!(find(crate::COMMANDS, command).is_ok(), "{line}");
        }
    }

    #[test]
    fn an_unknown_command_is_one_sentence() {
        let UsageError(sentence) = find(crate::COMMANDS, "trane").err().unwrap();
        assert_eq!(sentence, "unknown command `trane`: did you mean `train`?");
    }
}
