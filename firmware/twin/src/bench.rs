//! `cargo xtask bench --kernels`: what device kernels cost on emulated microcontrollers, beside another library's.

use crate::board::build::Build;
use crate::board::emulator::{self, EmulatorError};
use crate::board::machines::{MACHINES, Machine};
use crate::error::Error;
use crate::run::machine;
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};
use tweedie_host::cli::bench::record;
use tweedie_host::cli::eval::Progress;

/// Measure device kernels on emulated microcontrollers.
///
/// Instructions of each kernel at work on one shape, all overhead included, for each multiply-accumulate, number or byte, under QEMU; they are
/// exact, and they are not cycles of silicon. Every machine's results are compared bit for bit. Below each of ours stands the same shape by
/// the library embedded-nn 0.2, whose activations have 8 bits where ours have 16. The table is printed and left in bench.json, beside what
/// `bench` alone has left there. What a chip has no memory for is left out.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench --kernels                            on m0, m3, m4, m7 and m33
  cargo xtask bench --kernels --machine m4               on one of them
  cargo xtask bench --kernels --machine m0 --machine m4  on two
  cargo xtask bench                                      training steps instead")]
pub struct Arguments {
    /// Device kernels, not training
    #[arg(long, required = true)]
    kernels: bool,
    /// m0, m3, m4, m7 or m33; may be given again [default: all]
    #[arg(long, value_name = "NAME", value_parser = machine)]
    machine: Vec<&'static Machine>,
    /// Where to leave bench.json
    #[arg(long, value_name = "DIR", default_value = "runs/bench")]
    out: PathBuf,
    /// Print what was measured as JSON on standard output instead of the table
    #[arg(long)]
    json: bool,
}

/// A kernel on a machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Cost {
    /// Kernel and shape.
    name: String,
    /// Instructions of one run.
    instructions: u64,
    /// What the run has many of: `mac`, `number`, `byte`, or `run` itself.
    unit: String,
    /// Instructions for each of them.
    each: f64,
}

/// All kernels on a machine.
#[derive(Serialize)]
struct Costs {
    machine: &'static str,
    chip: &'static str,
    tweedie: Vec<Cost>,
    embedded_nn: Vec<Cost>,
}

/// CMSIS-NN's kernels of 8 bits on a Cortex-M4, counted in the same emulator but elsewhere: they are C, which is not compiled here.
const CMSIS_NN: [(&str, f64); 7] = [
    ("linear 256x256", 2.07),
    ("3x3 16x16 16->16", 2.33),
    ("3x3 8x8 32->32", 1.93),
    ("1x1 16x16 32->32", 2.70),
    ("depthwise 16x16x32", 8.8),
    ("add 128", 81.0),
    ("softmax 64", 428.0),
];

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    emulator::check()?;
    // Before minutes of building, whether there is a place for the result.
    record::leave(&arguments.out, &serde_json::json!({}))?;
    let machines: Vec<&Machine> =
        MACHINES.iter().filter(|machine| arguments.machine.is_empty() || arguments.machine.contains(machine)).collect();
    let progress = Progress::default();
    let measured = machines.iter().map(|machine| measure(machine, &progress)).collect::<Result<Vec<_>, Error>>();
    progress.finish();
    let measured = measured?;
    let report = serde_json::json!({ "kernels": measured });
    let file = record::leave(&arguments.out, &report)?;
    if arguments.json {
        tweedie_host::say!("{report:#}");
    } else {
        tweedie_host::say!("{}\n\nsee {}", table(&measured), file.display());
    }
    Ok(())
}

fn measure(machine: &'static Machine, progress: &Progress) -> Result<Costs, Error> {
    let build = Build::emulated(machine);
    let costs = |program: &str, features: &[&str]| -> Result<Vec<Cost>, Error> {
        progress.show(&format!("building {program} for {}", machine.name));
        let path = build.program(program, features)?;
        progress.show(&format!("running {program} on {}", machine.name));
        Ok(read(&path, machine)?)
    };
    let tweedie = costs("kernels", &["images", "depthwise", "attention", "mixture"])?;
    let embedded_nn = costs("peer_kernels", &["peer"])?;
    progress.done(&format!("measured on {}", machine.name));
    Ok(Costs { machine: machine.name, chip: machine.chip, tweedie, embedded_nn })
}

/// What a program prints, line by line.
fn read(program: &Path, machine: &Machine) -> Result<Vec<Cost>, EmulatorError> {
    let text = emulator::print(program, machine)?;
    let costs: Option<Vec<Cost>> = text.lines().map(cost).collect();
    costs.filter(|costs| !costs.is_empty()).ok_or_else(|| EmulatorError::GaveUp(format!("it printed {text:?}")))
}

/// `name N instructions, X per unit`.
fn cost(line: &str) -> Option<Cost> {
    let (work, each) = line.split_once(" instructions, ")?;
    let (name, instructions) = work.trim_end().rsplit_once(' ')?;
    let (each, unit) = each.split_once(" per ")?;
    Some(Cost {
        name: name.trim_end().to_owned(),
        instructions: instructions.parse().ok()?,
        unit: unit.to_owned(),
        each: each.trim().parse().ok()?,
    })
}

/// A line for each kernel and, below it, one for embedded-nn's; a column for each machine.
fn table(measured: &[Costs]) -> String {
    let on_m4 = measured.iter().any(|costs| costs.machine == "m4");
    let mut lines = vec!["instructions, all overhead included, on emulated chips\n".to_owned()];
    let heads = measured.iter().map(|costs| format!("{:>9}", costs.machine)).collect::<String>();
    lines.push(format!("{:26}{:8}{heads}", "", "for each"));
    // The machine with the most memory measures everything.
    let longest = measured.iter().map(|costs| &costs.tweedie).max_by_key(|costs| costs.len());
    for Cost { name, unit, .. } in longest.into_iter().flatten() {
        // A run of many shapes shows that all machines leave the same bits, and says nothing of cost.
        if unit == "run" {
            continue;
        }
        lines.push(row(name, unit, measured.iter().map(|costs| find(&costs.tweedie, name))));
        if measured.iter().any(|costs| find(&costs.embedded_nn, name).is_some()) {
            lines.push(row("  embedded-nn", "", measured.iter().map(|costs| find(&costs.embedded_nn, name))));
        }
        let quoted = CMSIS_NN.iter().find(|(quoted, _)| on_m4 && quoted == name);
        if let Some((_, each)) = quoted {
            let on = |costs: &Costs| (costs.machine == "m4").then_some(*each);
            lines.push(row("  CMSIS-NN, quoted", "", measured.iter().map(on)));
        }
    }
    if on_m4 {
        lines.push("\nquoted: s8 kernels of CMSIS-NN, counted in the same emulator but not in this call".to_owned());
    }
    lines.join("\n")
}

fn find(costs: &[Cost], name: &str) -> Option<f64> {
    costs.iter().find(|cost| cost.name == name).map(|cost| cost.each)
}

fn row(name: &str, unit: &str, each: impl Iterator<Item = Option<f64>>) -> String {
    let cells = each.map(|each| match each {
        None => format!("{:>9}", "-"),
        Some(each @ 100.0..) => format!("{each:>9.0}"),
        Some(each @ 10.0..) => format!("{each:>9.1}"),
        Some(each) => format!("{each:>9.2}"),
    });
    format!("{name:26}{unit:8}{}", cells.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "3x3 16x16 16->16           621345 instructions,   1.053 per mac";

    #[test]
    fn lines_are_read() {
        let read = cost(LINE).unwrap();
        assert_eq!(
            read,
            Cost { name: "3x3 16x16 16->16".into(), instructions: 621_345, unit: "mac".into(), each: 1.053 }
        );
        for broken in ["", "hard fault", "3x3 instructions, 1 per mac", "3x3 5 instructions, x per mac"] {
            assert_eq!(cost(broken), None, "{broken}");
        }
    }

    #[test]
    fn the_table_has_a_column_for_each_machine() {
        let costs = |machine, each: &[f64], peer: &[f64]| {
            let cost = |(index, &each): (usize, &f64)| {
                let (name, unit) = [("linear 256x256", "mac"), ("every shape", "run"), ("softmax 64", "number")][index];
                Cost { name: name.into(), instructions: 1, unit: unit.into(), each }
            };
            let all = |each: &[f64]| each.iter().enumerate().map(cost).collect();
            Costs { machine, chip: "", tweedie: all(each), embedded_nn: all(peer) }
        };
        let text = table(&[costs("m0", &[5.0, 1.0], &[]), costs("m4", &[0.95, 1.0, 28.3], &[8.2])]);
        let cells = |name: &str| -> Vec<String> {
            let line = text.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
            line[26..].split_whitespace().map(str::to_owned).collect()
        };
        assert_eq!(cells("linear"), ["mac", "5.00", "0.95"]);
        assert_eq!(cells("embedded-nn"), ["-", "8.20"]);
        assert_eq!(cells("CMSIS-NN"), ["-", "2.07"]);
        assert_eq!(cells("softmax"), ["number", "-", "28.3"]);
        assert!(!text.contains("every shape"));
    }
}
