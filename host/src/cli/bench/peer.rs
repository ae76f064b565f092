//! PyTorch on the other side, if there is one.

use super::{Arguments, Turn};
use crate::data::Dataset;
use crate::error::Error;
use serde::Deserialize;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// PyTorch, running `host/bench/peer.py`.
pub struct Peer {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Of PyTorch.
    pub version: String,
}

/// What the script says first.
#[derive(Deserialize)]
#[serde(untagged)]
enum Greeting {
    Here { torch: String },
    Missing { missing: String },
}

const SCRIPT: &str = include_str!("../../../bench/peer.py");

impl Peer {
    /// Starts it and hands it the data; the sentence says why there is none.
    pub fn start(arguments: &Arguments, threads: usize, data: &Dataset) -> Result<Self, String> {
        let program = arguments.python.clone().unwrap_or_else(|| "python3".into());
        let python = program.display();
        let absent = |reason: String| {
            format!("{reason}, so there is no comparison with PyTorch; --python PATH names another Python")
        };
        let mut child = Command::new(&program)
            .args(["-c", SCRIPT, &threads.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| absent(format!("{python} cannot be started ({error})")))?;
        let (Some(questions), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(absent(format!("{python} has no standard input and output")));
        };
        let mut peer = Self { child, questions, answers: BufReader::new(answers), version: String::new() };
        peer.version = match serde_json::from_str(&peer.answer().unwrap_or_default()) {
            Ok(Greeting::Here { torch }) => torch,
            Ok(Greeting::Missing { missing }) => return Err(absent(format!("{python} has no {missing}"))),
            Err(_) => return Err(absent(format!("{python} does not run Python 3 programs"))),
        };
        peer.teach(data).map_err(|error| absent(format!("{python} stopped ({error})")))?;
        Ok(peer)
    }

    fn teach(&mut self, data: &Dataset) -> std::io::Result<()> {
        let labels = data.labels.iter().flatten();
        let mut text = String::new();
        for (row, label) in (0..data.len()).zip(labels) {
            for value in data.sample(row) {
                text += &format!("{value} ");
            }
            text += &format!("{label}\n");
        }
        self.questions.write_all(text.as_bytes())?;
        self.questions.write_all(b"steps\n")
    }

    /// What so many steps cost.
    pub fn turn(&mut self, steps: u64) -> Result<Turn, Error> {
        let stopped =
            |reason: String| Error::Argument(format!("the Python beside which this is measured stopped: {reason}"));
        writeln!(self.questions, "{steps}").map_err(|error| stopped(error.to_string()))?;
        let answer = self.answer().map_err(|error| stopped(error.to_string()))?;
        serde_json::from_str(&answer).map_err(|_| stopped("it gave no times".to_owned()))
    }

    fn answer(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It waits for a line; nobody is interested in how it ends.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
