//! What can go wrong on a GPU, each as one sentence for the person at the keyboard.

/// Errors of the wgpu backend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GpuError {
    /// No driver that wgpu can use, or none with a device.
    #[error(
        "no GPU was found by way of {backends}: install the card's driver, or a driver in software (Debian and Ubuntu: mesa-vulkan-drivers), or use --device cpu{hint}"
    )]
    NoAdapter {
        /// The interfaces that were asked, such as "Vulkan and GL".
        backends: String,
        /// What in the environment narrows the search, as a part of the sentence.
        hint: String,
    },
    /// A name or number that no adapter has.
    #[error("no adapter is called `{asked}`; there are {known}")]
    UnknownAdapter {
        /// What was asked for.
        asked: String,
        /// Those that are there, numbered.
        known: String,
    },
    /// A part of a name that several adapters have.
    #[error("several adapters are called `{asked}`: choose one by its number, of {known}")]
    AmbiguousAdapter {
        /// What was asked for.
        asked: String,
        /// Those that match, numbered.
        known: String,
    },
    /// An adapter that cannot compute what is asked.
    #[error("{adapter} {reason}; `cargo xtask devices` lists others")]
    Unfit {
        /// The adapter.
        adapter: String,
        /// What it lacks.
        reason: String,
    },
    /// The driver refused to open the device.
    #[error("{adapter} could not be opened: {reason}")]
    Open {
        /// The adapter.
        adapter: String,
        /// What the driver says.
        reason: String,
    },
    /// The device has gone: unplugged, reset, or hung for too long.
    #[error(
        "the GPU was lost while it computed ({reason}); try again, with fewer samples at a time (--batch) if it was busy for too long"
    )]
    Lost {
        /// What the driver says.
        reason: String,
    },
    /// More memory than the device has left.
    #[error(
        "the GPU has no memory left for {what} of {bytes} bytes; close what else uses it, or draw fewer samples at a time (--batch)"
    )]
    OutOfMemory {
        /// What the memory was for.
        what: String,
        /// Its size.
        bytes: u64,
    },
    /// A buffer beyond the adapter's limit.
    #[error("{what} needs a buffer of {bytes} bytes, and {adapter} binds at most {most}")]
    BufferTooLarge {
        /// What the buffer is for.
        what: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        most: u64,
        /// The adapter.
        adapter: String,
    },
    /// More samples at a time than fit.
    #[error("{rows} samples at a time do not fit into {adapter}: at most {most} do (--batch {most})")]
    BatchTooLarge {
        /// Samples asked for.
        rows: usize,
        /// Samples that fit.
        most: usize,
        /// The adapter.
        adapter: String,
    },
    /// Buffers of different lengths.
    #[error(transparent)]
    Length(#[from] tweedie_core::tensor::LengthMismatch),
    /// What this backend does not compute.
    #[error("{0}")]
    Unsupported(String),
    /// The driver or wgpu refused a call, which is a fault of this program or of the driver.
    #[error("the GPU refused {what}: {reason}")]
    Refused {
        /// What was asked.
        what: String,
        /// The refusal.
        reason: String,
    },
}
