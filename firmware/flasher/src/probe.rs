//! The chip itself: flashed through a debug probe, listened to over RTT.

use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use probe_rs::flashing::{DownloadOptions, ElfLoader, ElfOptions, FileDownloadError, download_file_with_options};
use probe_rs::probe::list::Lister;
use probe_rs::probe::{DebugProbeError, DebugProbeSelector, Probe};
use probe_rs::rtt::{self, ChannelMode, Rtt, ScanRegion};
use probe_rs::{Core, Permissions};
use tweedie_core::artifact::{Header, STATE_FRACTION};

use crate::board::stream::{self, Event, Reader, Sample, StreamError};

/// How long a halt, or the program's start, may take.
const START: Duration = Duration::from_secs(5);
/// A chip that has been silent for so long hangs.
const SILENCE: Duration = Duration::from_secs(120);
/// Between two looks at the chip's buffer.
const PAUSE: Duration = Duration::from_millis(5);

/// What can go wrong between here and the chip.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// Nothing is attached.
    #[error(
        "no debug probe is attached: plug one in (on Linux, with probe-rs's udev rules: https://probe.rs/docs/getting-started/probe-setup), \
         or stop after the build with --build-only"
    )]
    None,
    /// More than one is attached.
    #[error("several debug probes are attached: choose one with --probe, {0}")]
    Several(String),
    /// The name of a probe is none.
    #[error("--probe {0}: it must be VID:PID or VID:PID:SERIAL, in hexadecimal")]
    Selector(String),
    /// The probe could not be opened.
    #[error("the debug probe cannot be used: {0}")]
    Open(#[from] DebugProbeError),
    /// The chip does not answer.
    #[error("the chip does not answer: {0}; is it powered, and is it the chip that --chip names?")]
    Chip(#[from] probe_rs::Error),
    /// Flashing.
    #[error("flashing failed: {0}")]
    Flash(#[from] FileDownloadError),
    /// RTT.
    #[error("the chip was flashed, but its output cannot be read: {0}")]
    Rtt(#[from] rtt::Error),
    /// The stream.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The program gave up.
    #[error("the chip gave up: {0}")]
    GaveUp(String),
    /// The program fell silent.
    #[error("the chip has been silent for {} seconds, after {samples} samples", SILENCE.as_secs())]
    Silent {
        /// Samples that came.
        samples: u64,
    },
    /// Samples got lost.
    #[error("{samples} whole samples came, {wanted} were asked for")]
    Lost {
        /// Samples that came.
        samples: u64,
        /// Samples that should have come.
        wanted: u64,
    },
    /// Files.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Flashes a program, starts it, and prints what it says until it has drawn all it was asked for.
///
/// # Errors
/// [`ProbeError`].
pub fn draw(program: &Path, chip: &str, selector: Option<&str>, header: &Header, count: u64) -> Result<(), ProbeError> {
    let elf = fs::read(program)?;
    let table = stream::table(&elf)?;
    let block = rtt::find_rtt_control_block_in_raw_file(&elf).ok().flatten();
    let block = block.map(ScanRegion::Exact).ok_or(rtt::Error::NoControlBlockLocation)?;
    let mut session = open(selector)?.attach(chip, Permissions::default())?;
    println!("flashing");
    let mut options = DownloadOptions::default();
    options.verify = true;
    download_file_with_options(&mut session, program, ElfLoader(ElfOptions::default()), options)?;

    let mut core = session.core(0)?;
    core.reset_and_halt(START)?;
    // What an earlier program left would be taken for this one's.
    Rtt::clear_control_block(&mut core, &block)?;
    core.run()?;
    let mut rtt = attach(&mut core, &block)?;
    let channel = rtt.up_channel(0).ok_or(rtt::Error::ControlBlockNotFound)?;
    // From now on nothing may be left out.
    channel.set_mode(&mut core, ChannelMode::BlockIfFull)?;

    let mut reader = Reader::new(&table);
    let (mut samples, mut heard) = (0, Instant::now());
    let mut buffer = [0; 1024];
    loop {
        let bytes = channel.read(&mut core, &mut buffer)?;
        if bytes == 0 {
            if heard.elapsed() > SILENCE {
                return Err(ProbeError::Silent { samples });
            }
            thread::sleep(PAUSE);
            continue;
        }
        heard = Instant::now();
        for event in reader.read(&buffer[..bytes])? {
            match event {
                Event::Sample(sample) if sample.bits.len() == header.features() => {
                    samples += 1;
                    print(header, &sample);
                }
                Event::End if samples == count => return Ok(()),
                Event::End => return Err(ProbeError::Lost { samples, wanted: count }),
                Event::Text(text, true) => return Err(ProbeError::GaveUp(text)),
                Event::Text(text, false) => println!("{chip}: {text}"),
                _ => {}
            }
        }
    }
}

/// Opens the probe that is meant.
fn open(selector: Option<&str>) -> Result<Probe, ProbeError> {
    let lister = Lister::new();
    if let Some(text) = selector {
        let selector: DebugProbeSelector = text.parse().map_err(|_| ProbeError::Selector(text.into()))?;
        return Ok(lister.open(selector)?);
    }
    match &lister.list_all()[..] {
        [] => Err(ProbeError::None),
        [only] => Ok(only.open()?),
        several => {
            let names: Vec<_> = several.iter().map(ToString::to_string).collect();
            Err(ProbeError::Several(names.join(" or ")))
        }
    }
}

/// Waits until the program has set up its buffers.
fn attach(core: &mut Core<'_>, block: &ScanRegion) -> Result<Rtt, ProbeError> {
    let start = Instant::now();
    loop {
        match Rtt::attach_region(core, block) {
            Ok(rtt) => return Ok(rtt),
            Err(error) if start.elapsed() > START => return Err(error.into()),
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// From black to white, on a dark background.
const RAMP: &[u8; 10] = b" .:-=+*#%@";

fn print(header: &Header, sample: &Sample) {
    println!(
        "sample {}{}: {} ticks, stack {} bytes",
        sample.number,
        if sample.class < 0 { String::new() } else { format!(", class {}", sample.class) },
        sample.ticks,
        sample.stack
    );
    let rank = usize::from(header.rank);
    let width = header.dims.get(rank.saturating_sub(1)).map_or(1, |&width| usize::from(width).max(1));
    for line in sample.bits.chunks(width) {
        println!("{}", line.iter().map(|&bits| pixel(bits)).collect::<String>());
    }
}

/// Two characters, so that a pixel looks square.
fn pixel(bits: i16) -> String {
    let one = 1 << STATE_FRACTION;
    let level = (i32::from(bits).clamp(-one, one) + one) * (RAMP.len() as i32 - 1) / (2 * one);
    let character = RAMP.get(level as usize).copied().unwrap_or(b'?');
    char::from(character).to_string().repeat(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_go_from_black_to_white() {
        assert_eq!([-4096, 0, 4096, i16::MIN, i16::MAX].map(pixel), ["  ", "==", "@@", "  ", "@@"]);
    }

    #[test]
    fn an_impossible_probe_is_one_sentence() {
        let Err(error) = open(Some("nonsense")) else { panic!("there is no such probe") };
        let error = error.to_string();
        assert!(error.starts_with("--probe nonsense: it must be"), "{error}");
    }
}
