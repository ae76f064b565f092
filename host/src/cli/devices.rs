//! `cargo xtask devices`: what this machine can compute on.

use crate::device::DeviceName;
use crate::error::Error;
use clap::Args;
use serde::Serialize;

/// List what this machine can compute on: the processor, and the GPUs that this build reaches.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask devices                                       the processor and every GPU of wgpu, numbered
  cargo xtask sample runs/digits --device wgpu --adapter 1  draw by the second of them
  WGPU_BACKEND=vulkan cargo xtask devices                   those of one interface (vulkan, metal, dx12, gl)")]
pub struct Arguments {
    /// Print the list as JSON
    #[arg(long)]
    json: bool,
}

/// Everything that is there.
#[derive(Serialize)]
struct Listing {
    /// Threads of the processor.
    cpu_threads: usize,
    /// Devices of candle's other backends in this build, as `--device` takes them.
    candle: Vec<String>,
    /// The adapters of wgpu, if it is in this build.
    #[cfg(feature = "wgpu")]
    wgpu: Vec<crate::gpu::adapter::Listed>,
}

/// The device of that number.
type Numbered = fn(usize) -> DeviceName;

/// GPUs that are looked for: more are in no machine.
const MOST: usize = 64;

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let families: [(&str, Numbered, bool); 2] =
        [("cuda", DeviceName::Cuda, cfg!(feature = "cuda")), ("metal", DeviceName::Metal, cfg!(feature = "metal"))];
    let built = families.into_iter().filter(|(_, _, built)| *built);
    let candle = built.flat_map(|(name, of, _)| {
        (0..MOST).take_while(move |&number| of(number).open().is_ok()).map(move |number| format!("{name}:{number}"))
    });
    let listing = Listing {
        cpu_threads: std::thread::available_parallelism().map_or(1, usize::from),
        candle: candle.collect(),
        #[cfg(feature = "wgpu")]
        wgpu: crate::gpu::adapter::listed(),
    };
    if arguments.json {
        let text = serde_json::to_string(&listing);
        crate::say!("{}", text.map_err(|error| Error::Argument(format!("the list is no JSON: {error}")))?);
    } else {
        crate::say!("{}", text(&listing));
    }
    Ok(())
}

fn text(listing: &Listing) -> String {
    let mut lines = vec![format!("cpu      {} threads", listing.cpu_threads)];
    lines.extend(listing.candle.iter().map(|name| format!("{name:8} for everything")));
    for (name, built) in [("cuda", cfg!(feature = "cuda")), ("metal", cfg!(feature = "metal"))] {
        if !built {
            lines.push(format!("{name:8} not in this build; `cargo xtask train --device {name}` builds with it, where there is such a GPU"));
        }
    }
    adapters(listing, &mut lines);
    lines.join("\n")
}

#[cfg(feature = "wgpu")]
fn adapters(listing: &Listing, lines: &mut Vec<String>) {
    for one in &listing.wgpu {
        let (megabytes, driver) = (one.largest_buffer >> 20, &one.driver);
        lines.push(format!(
            "wgpu     --adapter {}: {} by {}, {}, driver {driver}, buffers up to {megabytes} MiB",
            one.number, one.name, one.backend, one.kind
        ));
    }
    if listing.wgpu.is_empty() {
        lines.push(format!("wgpu     {}", crate::gpu::adapter::none()));
    }
}

#[cfg(not(feature = "wgpu"))]
fn adapters(_listing: &Listing, lines: &mut Vec<String>) {
    lines.push("wgpu     not in this build: build it with --features wgpu, as `cargo xtask devices` does".to_owned());
}
