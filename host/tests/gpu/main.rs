//! The wgpu backend on whatever adapter there is, which on a server is a driver in software: samples are candle's, noise is core's, and whatever
//! goes wrong is one sentence.

#![allow(missing_docs)]

mod command;
mod device;
mod samples;
mod tensors;

#[path = "../program/mod.rs"]
mod program;

use std::sync::{Arc, OnceLock};
use tweedie_host::gpu::{Gpu, GpuError};

/// A device for tests that share one; `None` where there is no adapter, which a build machine must have.
fn shared() -> Option<&'static Arc<Gpu>> {
    static GPU: OnceLock<Option<Arc<Gpu>>> = OnceLock::new();
    GPU.get_or_init(|| own().map(Arc::new)).as_ref()
}

/// A device of the test's own.
fn own() -> Option<Gpu> {
    match Gpu::open(None) {
        Ok(gpu) => Some(gpu),
        Err(error @ GpuError::NoAdapter { .. }) if std::env::var_os("CI").is_none() => {
            eprintln!("left out: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}
