//! Counts of SysTick, which every Cortex-M but the nRF51's has: processor cycles on silicon, instructions under QEMU's `-icount`.

use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;

/// The counter is 24 bits wide.
const PERIOD: u32 = 1 << 24;

/// How often the counter came to its end.
static PERIODS: AtomicU32 = AtomicU32::new(0);

/// SysTick, extended to 64 bits.
pub struct Clock {
    _systick: SYST,
}

impl Clock {
    /// Starts the counter.
    pub fn new(mut systick: SYST) -> Self {
        systick.set_clock_source(SystClkSource::Core);
        systick.set_reload(PERIOD - 1);
        systick.clear_current();
        systick.enable_counter();
        systick.enable_interrupt();
        // Until the first tick the counter reads 0, which would look like a whole period.
        for _ in 0..1_000 {
            cortex_m::asm::nop();
        }
        Self { _systick: systick }
    }

    /// Ticks since the start.
    pub fn now(&self) -> u64 {
        loop {
            let periods = PERIODS.load(Ordering::Relaxed);
            let left = SYST::get_current();
            // A period that ends between the two reads would be counted for one of them alone.
            if PERIODS.load(Ordering::Relaxed) == periods {
                return u64::from(periods) * u64::from(PERIOD) + u64::from(PERIOD - 1 - left.min(PERIOD - 1));
            }
        }
    }
}

#[exception]
fn SysTick() {
    // Nobody else writes, so no exchange is needed, which ARMv6-M would not have.
    PERIODS.store(PERIODS.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}
