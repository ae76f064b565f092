//! `cargo xtask bench`: what a training step costs, beside PyTorch's where there is one.

use super::positive;
use crate::atomic_file;
use crate::batch::Batch;
use crate::data::Dataset;
use crate::error::Error;
use crate::network::{Inputs, Network, Parameters};
use crate::optimiser::OptimiserState;
use crate::preset::Preset;
use crate::process::AnyProcess;
use crate::train::{Training, adamw, gradients};
use candle_core::{Device, Tensor};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use tweedie_core::noise::NoiseStream;

/// Measure the speed of training, on a machine that does nothing else.
///
/// One training step of the digits' network (a batch of 256, width 128, 2 blocks) is timed twice: `fixed` is forward, backward and
/// update on inputs that stay the same, `whole` is a step as `train` takes it, with rows, times and noise drawn and the moving
/// average kept. Where Python with PyTorch is found, the same steps are timed there, in turns with ours. The table is printed and
/// left as bench.json.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench                                        beside PyTorch, if `python3` has it
  cargo xtask bench --python ~/venv/bin/python --rounds 15 beside the PyTorch of a virtual environment
  RAYON_NUM_THREADS=1 cargo xtask bench                    on one thread each")]
pub struct Arguments {
    /// The Python to look for PyTorch in
    #[arg(long, value_name = "PATH", default_value = "python3")]
    python: PathBuf,
    /// Turns that each side takes; medians are reported
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = positive::<u64>)]
    rounds: u64,
    /// Training steps in a turn
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = positive::<u64>)]
    steps: u64,
    /// Where to leave bench.json
    #[arg(long, value_name = "DIR", default_value = "runs/bench")]
    out: PathBuf,
    /// Print bench.json on standard output instead of the table
    #[arg(long)]
    json: bool,
}

/// Milliseconds of one training step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Turn {
    fixed: f64,
    whole: f64,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    std::fs::create_dir_all(&arguments.out).map_err(Error::file(&arguments.out, "make the folder"))?;
    let (preset, data) = (Preset::load("digits", &[])?, Dataset::digits()?);
    let process = AnyProcess::new(&preset.process)?;
    let mut own = Own::new(&preset, &data, &process)?;
    let threads = rayon::current_num_threads();
    let (mut peer, absence) = match Peer::start(arguments, threads, &data) {
        Ok(peer) => (Some(peer), None),
        Err(sentence) => (None, Some(sentence)),
    };

    // A first turn warms caches and clocks up, and is not counted.
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..=arguments.rounds {
        let turn = own.turn(arguments.steps)?;
        // The other side's threads wait for work in a loop for a while before they sleep.
        std::thread::sleep(Duration::from_millis(30));
        let other = peer.as_mut().map(|peer| peer.turn(arguments.steps)).transpose()?;
        std::thread::sleep(Duration::from_millis(30));
        if round > 0 {
            ours.push(turn);
            theirs.extend(other);
        }
    }

    let torch = peer.as_ref().map(|peer| peer.version.as_str());
    let report = serde_json::json!({
        "threads": threads, "steps": arguments.steps, "torch": torch,
        "tweedie_ms": ours, "torch_ms": theirs,
        "median": [row("fixed", &ours, &theirs), row("whole", &ours, &theirs)],
    });
    let file = arguments.out.join("bench.json");
    atomic_file::write(&file, format!("{report:#}\n").as_bytes()).map_err(Error::Write)?;
    if arguments.json {
        crate::say!("{report:#}");
        return Ok(());
    }
    let peer = torch.map_or("PyTorch".to_owned(), |version| format!("PyTorch {version}"));
    crate::say!(
        "one training step [256, 64], width 128, 2 blocks, on {threads} threads: median of {} turns of {} steps\n",
        ours.len(),
        arguments.steps
    );
    crate::say!("{:8}{:>12}{:>24}{:>10}{:>20}", "", "Tweedie", peer, "ratio", "ratio of fastest");
    for name in ["fixed", "whole"] {
        let Row { tweedie, torch, ratio, ratio_of_fastest, .. } = row(name, &ours, &theirs);
        let cell = |value: Option<f64>, unit: &str| value.map_or("-".to_owned(), |value| format!("{value:.3}{unit}"));
        crate::say!(
            "{name:8}{:>12}{:>24}{:>10}{:>20}",
            cell(Some(tweedie), " ms"),
            cell(torch, " ms"),
            cell(ratio, ""),
            cell(ratio_of_fastest, "")
        );
    }
    if let Some(sentence) = absence {
        crate::say!("\n{sentence}");
    }
    crate::say!("\nsee {}", file.display());
    Ok(())
}

/// One line of the table: medians in milliseconds, and ours over theirs, also of the fastest turns, which other programs on the
/// machine disturb least.
#[derive(Debug, PartialEq, Serialize)]
struct Row {
    step: &'static str,
    tweedie: f64,
    torch: Option<f64>,
    ratio: Option<f64>,
    ratio_of_fastest: Option<f64>,
}

fn row(step: &'static str, ours: &[Turn], theirs: &[Turn]) -> Row {
    let of = |turn: &Turn| if step == "fixed" { turn.fixed } else { turn.whole };
    let all = |turns: &[Turn]| turns.iter().map(of).collect::<Vec<_>>();
    let fastest = |turns: &[Turn]| all(turns).into_iter().fold(f64::INFINITY, f64::min);
    let tweedie = median(all(ours));
    let torch = (!theirs.is_empty()).then(|| median(all(theirs)));
    Row {
        step,
        tweedie,
        torch,
        ratio: torch.map(|torch| tweedie / torch),
        ratio_of_fastest: torch.map(|_| fastest(ours) / fastest(theirs)),
    }
}

/// The middle value, or the mean of the two middle ones; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n => 0.5 * (values[(n - 1) / 2] + values[n / 2]),
    }
}

/// This side of the comparison.
struct Own<'a> {
    preset: &'a Preset,
    network: Box<dyn Network>,
    parameters: Parameters,
    optimiser: OptimiserState,
    /// The fixed inputs, in parts of `training.shard` rows.
    parts: Vec<Batch>,
    training: Training<'a>,
}

impl<'a> Own<'a> {
    fn new(preset: &'a Preset, data: &'a Dataset, process: &'a AnyProcess) -> Result<Self, Error> {
        let device = Device::Cpu;
        let (rows, features) = (preset.training.batch, data.sample_size());
        let network = preset.network.build(features, data.classes);
        let parameters = network.initialise(0, &device)?;
        let optimiser = OptimiserState::new(&parameters)?;
        let parts = (0..rows).step_by(preset.training.shard).map(|start| {
            let count = preset.training.shard.min(rows - start);
            let mut states = vec![0.0; count * features];
            NoiseStream::new(0, start as u64).fill(0, &mut states);
            let angles: Vec<f64> = (start..start + count).map(|row| row as f64 / rows as f64).collect();
            Ok(Batch {
                inputs: Inputs::from_rows(states, &angles, &vec![0; count], &device)?,
                target: Tensor::zeros((count, features), candle_core::DType::F32, &device)?,
                weights: Tensor::ones(count, candle_core::DType::F32, &device)?,
            })
        });
        let parts = parts.collect::<Result<Vec<_>, Error>>()?;
        let training = Training::begin(preset, data, process, &device)?;
        Ok(Self { preset, network, parameters, optimiser, parts, training })
    }

    fn turn(&mut self, steps: u64) -> Result<Turn, Error> {
        let fixed = milliseconds(steps, || self.step())?;
        let whole = milliseconds(steps, || self.training.update().map(|_| ()))?;
        Ok(Turn { fixed, whole })
    }

    /// Forward, backward and AdamW on the fixed inputs; the target is 0, as of the mean square.
    fn step(&mut self) -> Result<(), Error> {
        let count: usize = self.parts.iter().map(|part| part.target.elem_count()).sum();
        let loss = |part: &Batch| part.loss(self.network.as_ref(), &self.parameters, 1.0 / count as f64);
        let (_, gradients) = gradients(&self.parameters, self.parts.iter().collect(), loss)?;
        adamw(&self.preset.training).update(&self.parameters, &gradients, &mut self.optimiser, 1e-3)?;
        Ok(())
    }
}

fn milliseconds(steps: u64, mut step: impl FnMut() -> Result<(), Error>) -> Result<f64, Error> {
    let begun = Instant::now();
    for _ in 0..steps {
        step()?;
    }
    Ok(begun.elapsed().as_secs_f64() * 1e3 / steps as f64)
}

/// PyTorch, running `host/bench/peer.py`.
struct Peer {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    version: String,
}

/// What the script says first.
#[derive(Deserialize)]
#[serde(untagged)]
enum Greeting {
    Here { torch: String },
    Missing { missing: String },
}

const SCRIPT: &str = include_str!("../../bench/peer.py");

impl Peer {
    /// Starts it and hands it the data; the sentence says why there is none.
    fn start(arguments: &Arguments, threads: usize, data: &Dataset) -> Result<Self, String> {
        let python = arguments.python.display();
        let absent = |reason: String| {
            format!("{reason}, so there is no comparison with PyTorch; --python PATH names another Python")
        };
        let mut child = Command::new(&arguments.python)
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

    fn turn(&mut self, steps: u64) -> Result<Turn, Error> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_medians_and_their_ratio() {
        let turns = |values: [f64; 3]| values.map(|value| Turn { fixed: value, whole: 10.0 * value });
        let row = row("whole", &turns([3.0, 1.0, 2.0]), &turns([8.0, 4.0, 0.8]));
        assert_eq!(
            row,
            Row { step: "whole", tweedie: 20.0, torch: Some(40.0), ratio: Some(0.5), ratio_of_fastest: Some(1.25) }
        );
        let alone = super::row("fixed", &turns([3.0, 1.0, 2.0]), &[]);
        assert_eq!(alone, Row { step: "fixed", tweedie: 2.0, torch: None, ratio: None, ratio_of_fastest: None });
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn a_python_that_is_missing_is_one_sentence() {
        let arguments =
            Arguments { python: "/no/such/python".into(), rounds: 1, steps: 1, out: "unused".into(), json: false };
        let sentence = Peer::start(&arguments, 1, &Dataset::digits().unwrap()).err().unwrap();
        assert!(sentence.starts_with("/no/such/python cannot be started"), "{sentence}");
    }
}
