//! What every board does with a model: test the noise source, draw what was asked for, say what it cost.
//!
//! Everything goes out through `defmt`, whose transport is the board's choice (semihosting or RTT). Messages with a level are text for
//! people. Messages without one are records for the program at the other end of the wire, `firmware/twin/src/board/stream.rs`:
//!
//! | record | says |
//! |---|---|
//! | `model scratch BYTES` | the model was accepted, and needs a scratch buffer of so many bytes |
//! | `bits [..]` | the next few `i16` of a sample |
//! | `sample SAMPLE seed SEED class CLASS ticks TICKS stack BYTES` | that was the whole sample; what SysTick counted while it was drawn, and the deepest stack so far |
//! | `end` | everything that was asked for has been drawn |
//!
//! `CLASS` is -1 for none.
#![no_std]

mod clock;
mod request;
mod stack;

pub use request::{Class, Request};

use core::panic::PanicInfo;

use clock::Clock;
use cortex_m::peripheral::SYST;
use cortex_m_rt::ExceptionFrame;
use tweedie_core::noise::NoiseStream;
use tweedie_firmware::kernels::numbers_mut;
use tweedie_firmware::{Model, power_on};

/// Values in one record: a transport's buffer may hold as little as a kilobyte.
const LINE: usize = 32;

/// Numbers drawn by the power-on test, where there is room for them.
const TESTED: usize = 512;

/// Why the program stopped early; the reason itself has gone out as an error message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// Draws what `requests` ask for, each `SEED:FIRST:COUNT:CLASS`, where the class is a number, `none` or `turn`.
///
/// # Errors
/// [`Stopped`] for a model, a request or a source of noise that is refused. The messages are short, since whoever builds a board's
/// program has the model checked on the host first.
pub fn run<'a>(
    model: &[u32],
    scratch: &mut [u32],
    systick: SYST,
    requests: impl Iterator<Item = &'a str>,
) -> Result<(), Stopped> {
    let model = Model::parse(model).map_err(|_| {
        defmt::error!("the artifact is refused, or damaged");
        Stopped
    })?;
    test_noise(scratch)?;
    defmt::println!("model scratch {=usize}", model.scratch_words() * size_of::<u32>());
    let clock = Clock::new(systick);
    for text in requests {
        let Some(request) = Request::parse(text) else {
            defmt::error!("cannot read the request `{=str}`: it must be SEED:FIRST:COUNT:CLASS", text);
            return Err(Stopped);
        };
        for sample in request.samples() {
            draw(&model, scratch, &clock, &request, sample)?;
        }
    }
    defmt::println!("end");
    Ok(())
}

/// The source of noise is tested in the buffer that the model will use.
fn test_noise(scratch: &mut [u32]) -> Result<(), Stopped> {
    let numbers = numbers_mut(scratch);
    let length = numbers.len().min(TESTED);
    let numbers = numbers.get_mut(..length).unwrap_or_default();
    match power_on::check(&mut NoiseStream::new(0, 0), numbers, power_on::DEVIATIONS) {
        Ok(()) => {
            defmt::info!("the source of noise passes its power-on test");
            Ok(())
        }
        Err(_) => {
            defmt::error!("the source of noise fails its power-on test");
            Err(Stopped)
        }
    }
}

fn draw(model: &Model<'_>, scratch: &mut [u32], clock: &Clock, request: &Request, sample: u64) -> Result<(), Stopped> {
    let class = request.class.of(sample, model.header().classes);
    let start = clock.now();
    let drawn = tweedie_firmware::sample(model, scratch, request.seed, sample, class, |_| {});
    let ticks = clock.now().wrapping_sub(start);
    let Ok(values) = drawn else {
        defmt::error!(
            "sample {=u64} cannot be drawn: the model has no class {=i32}",
            sample,
            class.map_or(-1, i32::from)
        );
        return Err(Stopped);
    };
    for values in values.chunks(LINE) {
        let mut bits = [0; LINE];
        for (bits, value) in bits.iter_mut().zip(values) {
            *bits = value.to_bits();
        }
        defmt::println!("bits {}", bits.get(..values.len()).unwrap_or_default());
    }
    defmt::println!(
        "sample {=u64} seed {=u64} class {=i32} ticks {=u64} stack {=usize}",
        sample,
        request.seed,
        class.map_or(-1, i32::from),
        ticks,
        stack::deepest()
    );
    Ok(())
}

/// Says where a program panicked. Why would take the formatting that `defmt` leaves to the host.
pub fn report_panic(info: &PanicInfo<'_>) {
    let (file, line) = info.location().map_or(("", 0), |place| (place.file(), place.line()));
    defmt::error!("panicked at {=str}:{=u32}", file, line);
}

/// Says where a fault was met.
pub fn report_fault(frame: &ExceptionFrame) {
    defmt::error!("hard fault at {=u32:#010x}", frame.pc());
}
