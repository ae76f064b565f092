//! `cargo xtask run`: the model on an emulated microcontroller, and what it costs there.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use tweedie_core::artifact::{Header, STATE_FRACTION};
use tweedie_host::cli::preview;
use tweedie_host::data::Scaling;
use tweedie_host::npy;
use tweedie_host::picture::terminal::{Style, rows};
use tweedie_host::picture::{Depiction, PictureError};

use crate::board::build::{Build, BuildError};
use crate::board::emulator::{self, EmulatorError, Run};
use crate::board::image::Image;
use crate::board::machines::{MACHINES, Machine};
use crate::board::stream::Sample;
use crate::board::{ModelError, ModelFile, request};

/// Draw samples on an emulated microcontroller.
///
/// Builds the board's program around the artifact, runs it under QEMU, shows the samples as they come, and says what they cost: flash, RAM,
/// stack, and instructions. The chip's real memory is granted and no more. Files are left as `sample` leaves them: samples.npy (f32, in the
/// data's units), samples.raw.npy (i16), labels.npy (when there are classes) and samples.png.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask run digits.tweedie                         sixteen digits on a Cortex-M4
  cargo xtask run digits.tweedie --machine m0 --count 4  on the smallest chip
  cargo xtask run digits.tweedie --class 3 --out threes  sixteen threes, left in threes/")]
pub struct Arguments {
    /// An artifact, as `export` leaves it
    file: PathBuf,
    /// m0, m3, m4, m7 or m33
    #[arg(long, value_name = "NAME", default_value = "m4", value_parser = machine)]
    machine: &'static Machine,
    /// How many samples [default: 16; 256 points]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Only this class [default: all in turn]
    #[arg(long, value_name = "C")]
    class: Option<u16>,
    /// Seed of the noise
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Where to leave the files [default: FILE's name with the machine's]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print the figures as JSON on standard output instead of samples
    #[arg(long)]
    json: bool,
}

/// The machine of that name, for clap.
pub fn machine(name: &str) -> Result<&'static Machine, String> {
    MACHINES.iter().find(|machine| machine.name == name).ok_or_else(|| {
        let names: Vec<_> = MACHINES.iter().map(|machine| machine.name).collect();
        format!("there are {}", names.join(", "))
    })
}

/// Why there are no samples.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The model's file.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The build for the machine.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The emulated board.
    #[error(transparent)]
    Emulator(#[from] EmulatorError),
    /// Samples of another size than the model's.
    #[error("the board drew {0} samples, and not all of them whole")]
    Incomplete(usize),
    /// The picture of the samples.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// Files.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What a run came to, beside the samples.
struct Figures {
    image: Image,
    scratch: u64,
    stack: u64,
    instructions: f64,
    per_multiply_accumulate: f64,
}

/// The command.
///
/// # Errors
/// [`RunError`].
pub fn run(arguments: &Arguments) -> Result<(), RunError> {
    let model = ModelFile::open(&arguments.file)?;
    model.check_class(arguments.class)?;
    let header = *model.artifact()?.header();
    emulator::check()?;
    let Machine { name, tick, .. } = *arguments.machine;
    let program = Build::emulated(arguments.machine).run(&model)?;
    let image = Image::read(&program, model.artifact()?.bytes() as u64)?;

    let dims = dims(&header);
    let depiction = Depiction::of(&dims);
    let count = arguments.count.unwrap_or(if depiction == Depiction::Cloud { 256 } else { 16 });
    let wanted = request(arguments.seed, count, arguments.class, header.classes);
    let mut show = |sample: &Sample| match (arguments.json, depiction) {
        // A point alone shows nothing.
        (true, _) | (_, Depiction::Cloud) => Ok(()),
        (false, Depiction::Traces) => show_curve(&dims, sample),
        (false, Depiction::Sheet) => show(&header, sample),
    };
    let Run { samples, scratch } = emulator::run(&program, arguments.machine, &wanted, &mut show)?;
    let expected = samples.len() as u64 == count && samples.iter().all(|s| s.bits.len() == header.features());
    if !expected {
        return Err(RunError::Incomplete(samples.len()));
    }
    let out = arguments.out.clone().unwrap_or_else(|| arguments.file.with_extension(name));
    let values = save(&out, &header, &samples)?;
    if depiction == Depiction::Cloud && !arguments.json {
        preview::print(&dims, &values, &[]);
    }
    let ticks = samples.iter().map(|sample| sample.ticks).sum::<u64>() as f64 / samples.len() as f64;
    let instructions = ticks * f64::from(tick) / 1000.0;
    let figures = Figures {
        image,
        scratch,
        stack: samples.iter().map(|sample| sample.stack).max().unwrap_or(0),
        instructions,
        per_multiply_accumulate: instructions / model.multiply_accumulates()?.max(1) as f64,
    };
    report(arguments, &figures, &out);
    Ok(())
}

/// A sample in the network's range.
fn normalised(bits: i16) -> f32 {
    f32::from(bits) / (1 << STATE_FRACTION) as f32
}

/// The shape of a sample.
fn dims(header: &Header) -> Vec<usize> {
    header.dims.iter().take(usize::from(header.rank)).map(|&n| usize::from(n)).collect()
}

fn show_curve(dims: &[usize], sample: &Sample) -> io::Result<()> {
    let values: Vec<_> = sample.bits.iter().map(|&bits| normalised(bits)).collect();
    preview::print(dims, &values, &[label(sample)]);
    io::stdout().flush()
}

fn label(sample: &Sample) -> String {
    match sample.class {
        -1 => format!("sample {}", sample.number),
        class => format!("sample {}, class {class}", sample.number),
    }
}

fn show(header: &Header, sample: &Sample) -> io::Result<()> {
    let (height, width) = match header.rank {
        0 | 1 => (1, header.features()),
        rank => (usize::from(header.dims[usize::from(rank) - 2]), usize::from(header.dims[usize::from(rank) - 1])),
    };
    let values: Vec<_> = sample.bits.iter().map(|&bits| normalised(bits)).collect();
    let text = rows(&values, 1, height, width, &[label(sample)], 80, Style::of_standard_output());
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Leaves the files, and returns the samples in the network's range.
fn save(folder: &Path, header: &Header, samples: &[Sample]) -> Result<Vec<f32>, RunError> {
    fs::create_dir_all(folder)?;
    let dims = dims(header);
    let shape = [&[samples.len()], dims.as_slice()].concat();
    let bits: Vec<i16> = samples.iter().flat_map(|sample| sample.bits.iter().copied()).collect();
    let values: Vec<f32> = bits.iter().map(|&bits| normalised(bits)).collect();
    let scaling = Scaling { offset: header.offset, scale: header.scale };
    let units: Vec<f32> = values.iter().map(|&value| scaling.to_units(value)).collect();
    npy::write_i16(&folder.join("samples.raw.npy"), &shape, &bits)?;
    npy::write_f32(&folder.join("samples.npy"), &shape, &units)?;
    if header.classes > 0 {
        let labels: Vec<i64> = samples.iter().map(|sample| i64::from(sample.class)).collect();
        npy::write_i64(&folder.join("labels.npy"), &[labels.len()], &labels)?;
    }
    let columns = if header.classes > 1 { usize::from(header.classes) } else { 16 };
    Depiction::of(&dims).write(&folder.join("samples.png"), &values, &shape, columns)?;
    Ok(values)
}

fn report(arguments: &Arguments, figures: &Figures, out: &Path) {
    let Figures { image, scratch, stack, instructions, per_multiply_accumulate } = figures;
    let Image { code, model, statics } = image;
    let Machine { name, chip, flash, ram, .. } = arguments.machine;
    if arguments.json {
        let figures = serde_json::json!({
            "machine": name, "chip": chip, "code_bytes": code, "model_bytes": model, "static_bytes": statics,
            "scratch_bytes": scratch, "stack_bytes": stack, "instructions_per_sample": instructions,
            "instructions_per_multiply_accumulate": per_multiply_accumulate,
        });
        tweedie_host::say!("{figures}");
        return;
    }
    tweedie_host::say!("on {name}, with the memory of {chip}:");
    tweedie_host::say!("  flash         {:>9} of {} bytes: code {code}, model {model}", code + model, flash.length);
    tweedie_host::say!(
        "  RAM           {:>9} of {} bytes: static {statics} ({scratch} of them the model's), stack {stack}",
        statics + stack,
        ram.length
    );
    tweedie_host::say!(
        "  instructions  {instructions:>9.0} per sample, {per_multiply_accumulate:.2} per multiply-accumulate"
    );
    tweedie_host::say!("see {}", out.join("samples.png").display());
}
