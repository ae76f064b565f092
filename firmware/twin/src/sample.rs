//! `cargo xtask sample FILE`.

use crate::board::ModelFile;
use crate::cli::positive;
use crate::draw::{DeviceOptions, Drawer, classes_in_turn, model};
use crate::error::Error;
use clap::Args;
use std::path::PathBuf;
use std::time::Instant;
use tweedie_host::cli::preview;
use tweedie_host::data::Scaling;
use tweedie_host::picture::Depiction;
use tweedie_host::say::counted;
use tweedie_host::{atomic_file, npy};

/// Draw samples of an artifact, on this machine, with the bits of a microcontroller.
///
/// Sample i depends on the seed, its class and i alone. Files are left beside digits.tweedie in digits.samples (or in --out): samples.png, samples.npy
/// (f32, [n, ...], in the data's units), samples.raw.npy (i16, the device's own bits, 12 of them fractional), labels.npy (i64, one each, when
/// there are classes) and samples.json.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask sample digits.tweedie --class 3 --count 16    sixteen threes
  cargo xtask sample digits.tweedie --count 2000 --out all  2000 samples, classes 0, 1, 2, … in turn
  cargo xtask sample digits.tweedie --count 50000 --device wgpu  on a GPU, with the same bits")]
pub struct Arguments {
    /// An artifact, as `export` leaves it
    file: PathBuf,
    /// How many samples [default: 16 of one class, else 10 of each; 4096 points]
    #[arg(long, value_name = "N", value_parser = positive)]
    count: Option<usize>,
    /// Only this class [default: all in turn]
    #[arg(long, value_name = "C")]
    class: Option<u16>,
    /// Seed of the noise
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Where to leave the files [default: FILE's name with .samples]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print a summary as JSON on standard output instead of samples
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceOptions,
}

/// The most samples drawn by one call, as of the host.
const MOST: usize = 10_000_000;
/// Samples on the terminal.
const ON_TERMINAL: usize = 40;

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let file = ModelFile::open(&arguments.file)?;
    file.check_class(arguments.class)?;
    let model = model(&arguments.file, file.words())?;
    let header = *model.header();
    let dims: Vec<usize> = header.dims.iter().take(usize::from(header.rank)).map(|&n| usize::from(n)).collect();
    let depiction = Depiction::of(&dims);
    let classes = arguments.classes(header.classes, depiction)?;
    let drawer = Drawer::open(&model, &arguments.device, classes.len())?;
    let begun = Instant::now();
    let raw = drawer.draw(&classes, arguments.seed)?;
    let seconds = begun.elapsed().as_secs_f64();

    let out = arguments.out.clone().unwrap_or_else(|| arguments.file.with_extension("samples"));
    std::fs::create_dir_all(&out).map_err(tweedie_host::Error::file(&out, "make the folder"))?;
    let samples: Vec<f32> = raw.iter().map(|value| value.to_num()).collect();
    let shape = [&[classes.len()], dims.as_slice()].concat();
    let columns = if arguments.class.is_none() && header.classes > 1 { usize::from(header.classes) } else { 16 };
    depiction.write(&out.join("samples.png"), &samples, &shape, columns)?;
    let scaling = Scaling { offset: header.offset, scale: header.scale };
    let units: Vec<f32> = samples.iter().map(|&value| scaling.to_units(value)).collect();
    let bits: Vec<i16> = raw.iter().map(|value| value.to_bits()).collect();
    npy::write_f32(&out.join("samples.npy"), &shape, &units).map_err(Error::Write)?;
    npy::write_i16(&out.join("samples.raw.npy"), &shape, &bits).map_err(Error::Write)?;
    if header.classes > 0 {
        let labels: Vec<i64> = classes.iter().map(|class| class.map_or(-1, i64::from)).collect();
        npy::write_i64(&out.join("labels.npy"), &[classes.len()], &labels).map_err(Error::Write)?;
    }
    let summary = serde_json::json!({
        "file": arguments.file, "count": classes.len(), "class": arguments.class, "seed": arguments.seed, "steps": model.steps(),
        "device": drawer.name(), "scratch_bytes": 4 * model.scratch_words(), "seconds": seconds,
    });
    atomic_file::write(&out.join("samples.json"), format!("{summary:#}\n").as_bytes()).map_err(Error::Write)?;

    if arguments.json {
        tweedie_host::say!("{summary}");
    } else {
        preview::print(&shape[1..], &samples, &preview::labels(classes.iter().copied(), ON_TERMINAL));
        tweedie_host::say!(
            "\ndrew {} samples in {} each, {seconds:.2} s; see {}",
            classes.len(),
            counted(model.steps(), "step"),
            out.join("samples.png").display()
        );
    }
    Ok(())
}

impl Arguments {
    fn classes(&self, classes: u16, depiction: Depiction) -> Result<Vec<Option<u16>>, Error> {
        let count = match (self.count, self.class) {
            (Some(count), _) if count > MOST => return Err(Error::Count { count, most: MOST }),
            (Some(count), _) => count,
            (None, Some(_)) => 16,
            (None, None) => depiction.good_count(usize::from(classes)),
        };
        match self.class {
            Some(class) => Ok(vec![Some(class); count]),
            None => Ok(classes_in_turn(count, classes)),
        }
    }
}
