//! Waiting for a device. wgpu panics where a device is lost meanwhile; here that is an error like any other.

use super::error::GpuError;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether this thread waits, so that a panic is not printed.
    static WAITS: Cell<bool> = const { Cell::new(false) };
}
static HOOK: Once = Once::new();

/// Waits until all that was submitted is done, and its callbacks have run.
pub(super) fn wait(device: &wgpu::Device) -> Result<(), GpuError> {
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic| {
            if !WAITS.get() {
                before(panic);
            }
        }));
    });
    WAITS.set(true);
    let waited = catch_unwind(AssertUnwindSafe(|| device.poll(wgpu::PollType::wait_indefinitely())));
    WAITS.set(false);
    match waited {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(GpuError::Lost { reason: error.to_string() }),
        Err(panic) => {
            let message = panic.downcast_ref::<String>().map_or("the driver says no more", String::as_str);
            Err(GpuError::Lost { reason: crate::cli::one_line(message) })
        }
    }
}
