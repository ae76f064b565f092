//! `cargo xtask`: the whole command line of Tweedie.
//!
//! This crate is a light front: it depends on nothing heavy, so `cargo xtask` answers in a second.
//! [`COMMANDS`] is the one table of what there is; a command of the host program is one line in it.

mod cargo;
mod cli;
mod cuda;
mod host;
#[path = "../../firmware/boards/emulated/machines.rs"]
mod machines;
mod setup;
mod test;

use std::process::ExitCode;

use cli::{Command, Run, UsageError};

/// Every command, in the order in which a newcomer meets them.
const COMMANDS: &[Command] = &[
    Command::new("inspect", "measure data before training: noise, dimensions, and a preset that suits", Run::Host),
    Command::new("train", "train a model; with no argument, on the embedded 8x8 digits", Run::Host),
    Command::new("distill", "make a student that draws in one, two or four steps", Run::Host),
    Command::new("sample", "draw samples from a trained model or an artifact", Run::Host),
    Command::new(
        "watch",
        "watch a trained model or an artifact draw, step by step, in the terminal or a window",
        Run::Host,
    ),
    Command::new("eval", "judge a trained model or an artifact: quality, copies, cost of quantisation", Run::Host),
    Command::new("export", "turn a trained model into an artifact for microcontrollers", Run::Host),
    Command::new("run", "draw samples of an artifact on an emulated microcontroller", Run::Host),
    Command::new("flash", "put an artifact on a real microcontroller and watch it draw", Run::Host),
    Command::new("study", "draw the theory: figures made with exact denoisers", Run::Host),
    Command::new(
        "bench",
        "measure the speed of training, or of device kernels, beside PyTorch and embedded-nn",
        Run::Host,
    ),
    Command::new("devices", "list what this machine can compute on: processor and GPUs", Run::Host),
    Command::new("test", "run every check and test, or those that match a filter", Run::Here(test::main)),
    Command::new("check-cuda", "compile what runs on NVIDIA GPUs, without one", Run::Here(cuda::main)),
    Command::new(
        "setup",
        "install what is missing: Rust targets, QEMU, and on Linux a Vulkan driver in software",
        Run::Here(setup::main),
    ),
];

const EXAMPLES: &[(&str, &str)] = &[
    ("cargo xtask train", "train on the digits and draw them in the terminal"),
    ("cargo xtask sample runs/digits --class 3 --count 16", "draw sixteen threes"),
    ("cargo xtask watch runs/digits", "see the digits come out of the noise; keys change what is drawn"),
    ("cargo xtask distill runs/digits", "make a student that draws in two steps, with two fifths of the weights"),
    ("cargo xtask eval runs/digits", "how good is it, and does it copy?"),
    ("cargo xtask train digits-text", "digits that are drawn by a prompt, such as \"a handwritten seven\""),
    ("cargo xtask train cow", "points inside a cow, drawn from noise"),
    ("cargo xtask inspect faces.npy", "what is in my data, and how should I train on them?"),
    ("cargo xtask train --help", "how to train on your own data"),
    ("cargo xtask export runs/digits -o digits.tweedie", "make an artifact for microcontrollers"),
    ("cargo xtask run digits.tweedie --machine m4", "draw with it on an emulated Cortex-M4"),
    ("cargo xtask bench --kernels", "instructions of device kernels on emulated chips, beside another library's"),
    ("cargo xtask test", "every test, on this machine and on emulated chips"),
];

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match cli::dispatch(COMMANDS, EXAMPLES, &arguments) {
        Ok(status) => status,
        Err(UsageError(sentence)) => {
            eprintln!("{sentence}");
            ExitCode::from(2)
        }
    }
}
