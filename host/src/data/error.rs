//! What can be wrong with a data set, one sentence each: the file, the fault, and what would be right.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::labels::MAX_CLASSES;

/// Where in a file a faulty value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The label of a sample; samples are counted from 0.
    Sample(usize),
    /// One value of a sample, in row-major order; both are counted from 0.
    Element {
        /// The sample.
        sample: usize,
        /// The value inside the sample.
        element: usize,
    },
    /// A corner of a mesh, counted from 0.
    Vertex(usize),
    /// A cell of a CSV file; both are counted from 1, as editors do.
    Cell {
        /// The line.
        line: u64,
        /// The column.
        column: usize,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Sample(sample) => write!(f, "sample {sample} (counted from 0)"),
            Place::Element { sample, element } => {
                write!(f, "sample {sample}, element {element} (counted from 0)")
            }
            Place::Vertex(vertex) => write!(f, "vertex {vertex} (counted from 0)"),
            Place::Cell { line, column } => write!(f, "line {line}, column {column}"),
        }
    }
}

/// Why a data set could not be read. Every message is one sentence that starts with the file.
#[derive(Debug, Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum DataError {
    /// The path leads nowhere.
    #[error("{}: no such file or folder", file.display())]
    Missing { file: PathBuf },

    /// A bare word that is neither a file nor an embedded data set.
    #[error("{name}: no such file, folder or data set; {}", if *near { format!("did you mean `{nearest}`?") } else { "`digits` and `cow` are built in, anything else must be a path".to_owned() })]
    UnknownName {
        name: String,
        nearest: &'static str,
        /// Whether `nearest` looks like a misspelling of `name`.
        near: bool,
    },

    /// The operating system refused to read it.
    #[error("{}: cannot be read: {reason}", file.display())]
    Unreadable { file: PathBuf, reason: io::Error },

    /// A device, pipe or socket: these have no size, so their promises cannot be checked before reading.
    #[error("{}: is neither a file nor a folder", file.display())]
    NotRegular { file: PathBuf },

    /// The file's name doesn't say what it holds.
    #[error("{}: not a known kind of data; expected .npy, .csv, a mesh (.off, .obj, .ply), or an IDX file with `idx` or `ubyte` in its name", file.display())]
    UnknownFormat { file: PathBuf },

    /// A folder without any of the names that data sets have.
    #[error("{}: no data set in this folder; expected train-images-idx3-ubyte (or train-images.idx3-ubyte, either may end in .gz), samples.npy, or PNGs, which may lie in a sub-folder for each class", file.display())]
    NoDataset { file: PathBuf },

    /// No bytes, or a CSV without a single row.
    #[error("{}: the file is empty", file.display())]
    Empty { file: PathBuf },

    /// The first bytes are those of another format.
    #[error("{}: starts with the bytes {found:02x?}; {expected}", file.display())]
    Magic { file: PathBuf, found: Vec<u8>, expected: &'static str },

    /// The file ends inside its header.
    #[error("{}: the header needs {needed} bytes, the file has {actual}", file.display())]
    HeaderTruncated { file: PathBuf, needed: u64, actual: u64 },

    /// The file ends before what its header promises.
    #[error("{}: the header promises {what} ({promised} bytes), the file has {actual} bytes", file.display())]
    Truncated { file: PathBuf, what: String, promised: u64, actual: u64 },

    /// The file goes on after what its header promises.
    #[error("{}: the header promises {what} ({promised} bytes), but the file goes on after them", file.display())]
    TrailingBytes { file: PathBuf, what: String, promised: u64 },

    /// The header's shape overflows the address space.
    #[error("{}: the header promises {what}, more than this machine can address", file.display())]
    TooLarge { file: PathBuf, what: String },

    /// The header promises far more than so few compressed bytes usually hold.
    #[error("{}: the header promises {promised} bytes out of {compressed} compressed ones; if that is right, decompress the file first", file.display())]
    Inflation { file: PathBuf, promised: u64, compressed: u64 },

    /// The gzip stream ends early or fails its checksum.
    #[error("{}: the gzip stream is damaged ({reason}); fetch the file again", file.display())]
    Gzip { file: PathBuf, reason: io::Error },

    /// Nothing to learn from.
    #[error("{}: holds no samples; at least one is needed", file.display())]
    NoSamples { file: PathBuf },

    /// A dimension of a sample is 0, or a CSV has no column beside the class.
    #[error("{}: a sample of shape {shape:?} holds no values; at least one is needed", file.display())]
    NoValues { file: PathBuf, shape: Vec<usize> },

    /// A file that is no PNG, or a damaged one.
    #[error("{}: cannot be read as PNG: {reason}", file.display())]
    Png { file: PathBuf, reason: String },

    /// Images of several sizes.
    #[error("{}: an image of {}x{} pixels, while {} has {}x{}; all must be of one size", file.display(), size.0, size.1, of.display(), expected.0, expected.1)]
    ImageSize { file: PathBuf, size: (u32, u32), of: PathBuf, expected: (u32, u32) },

    /// A class without images.
    #[error("{}: no PNGs in this folder, which is a class by its place", file.display())]
    NoImages { file: PathBuf },

    /// More sub-folders than there may be classes.
    #[error("{}: {classes} sub-folders would be as many classes; there may be {MAX_CLASSES}", file.display())]
    TooManyClasses { file: PathBuf, classes: usize },

    /// An IDX file of anything but bytes.
    #[error("{}: IDX elements of type 0x{code:02x} are not supported; expected unsigned bytes (0x08)", file.display())]
    IdxElement { file: PathBuf, code: u8 },

    /// An IDX file of the other kind.
    #[error("{}: has {dimensions} dimension(s), {expected}", file.display())]
    IdxDimensions { file: PathBuf, dimensions: usize, expected: &'static str },

    /// The text of an npy header cannot be understood.
    #[error("{}: the npy header is damaged: {reason}", file.display())]
    NpyHeader { file: PathBuf, reason: &'static str },

    /// An npy element type that is no plain integer or float.
    #[error("{}: arrays of dtype {dtype} are not supported; save it as a plain array of u1 to u8, i1 to i8, f4 or f8, for instance with .astype('float32')", file.display())]
    NpyElement { file: PathBuf, dtype: String },

    /// An npy array without a dimension that counts samples.
    #[error("{}: holds a single value; expected an array of shape [n, ...]", file.display())]
    NpyScalar { file: PathBuf },

    /// Labels that are no list of integers.
    #[error("{}: labels of dtype {dtype} and shape {shape:?}; expected integers of shape [n]", file.display())]
    NpyLabels { file: PathBuf, dtype: String, shape: Vec<usize> },

    /// A CSV row with more or fewer cells than the first one.
    #[error("{}: line {line} has {cells} cell(s), the first line has {expected}", file.display())]
    Ragged { file: PathBuf, line: u64, cells: usize, expected: usize },

    /// A CSV cell that isn't a number.
    #[error("{}: {place} holds {cell:?}; expected a number", file.display())]
    NotANumber {
        file: PathBuf,
        place: Place,
        /// The start of the cell.
        cell: String,
    },

    /// A CSV header in which more than one column may be the class.
    #[error("{}: columns {first} and {second} are both named as the class; keep one of label, class and target", file.display())]
    TwoClassColumns { file: PathBuf, first: usize, second: usize },

    /// NaN or infinity.
    #[error("{}: {place} is {value}; every value must be finite", file.display())]
    NotFinite { file: PathBuf, place: Place, value: f64 },

    /// All values equal and outside [-1, 1], so no scale maps them there.
    #[error("{}: every value is {value:?}; values outside [-1, 1] must differ, or there is no range to scale to it", file.display())]
    Constant { file: PathBuf, value: f64 },

    /// The values' own range doesn't fit f32, in which samples are written back.
    #[error("{}: values go from {min:?} to {max:?}, beyond the range of f32; divide them before saving", file.display())]
    Range { file: PathBuf, min: f64, max: f64 },

    /// As many labels as samples are needed.
    #[error("{}: holds {labels} labels for the {samples} samples of {}", file.display(), of.display())]
    LabelCount { file: PathBuf, labels: usize, of: PathBuf, samples: usize },

    /// A label that is no class index.
    #[error("{}: {place} has the label {label}; expected a whole number from 0 to {} (the number of classes is the largest label + 1, at most {MAX_CLASSES})", file.display(), MAX_CLASSES - 1)]
    Label { file: PathBuf, place: Place, label: f64 },

    /// A line of a mesh that says something else than it should.
    #[error("{}: line {line}: {reason}", file.display())]
    MeshText { file: PathBuf, line: usize, reason: &'static str },

    /// A mesh that ends before what its header promises.
    #[error("{}: the file ends where {wanted} should stand", file.display())]
    MeshEnds { file: PathBuf, wanted: &'static str },

    /// A ply whose elements lack what a mesh needs.
    #[error("{}: a mesh needs the properties x, y and z of its vertices and a list vertex_indices of its faces", file.display())]
    PlyProperties { file: PathBuf },

    /// A ply that ends before what its header promises.
    #[error("{}: the file ends in {element} {row} (counted from 0), before what its header promises", file.display())]
    PlyEnds { file: PathBuf, element: String, row: u64 },

    /// A word of a ply that is no number, or a list's count or index that is no whole one.
    #[error("{}: {element} {row} (counted from 0) holds what is no number, or a count or an index that is no whole one", file.display())]
    PlyNumber { file: PathBuf, element: String, row: u64 },

    /// A ply that goes on after what its header promises.
    #[error("{}: the file goes on after what its header promises", file.display())]
    PlyGoesOn { file: PathBuf },

    /// A cloud of points, or a drawing of lines.
    #[error("{}: holds no faces; a solid needs a closed surface of them", file.display())]
    NoFaces { file: PathBuf },

    /// A face of a corner that is not there.
    #[error("{}: a face names vertex {vertex} (counted from 0), but there are {vertices}", file.display())]
    FaceVertex { file: PathBuf, vertex: u64, vertices: usize },

    /// A surface that encloses nothing, since it has holes or branches.
    #[error("{}: the mesh leaks: {leaks} of its edges belong to one triangle or to more than two, the first from {from:?} to {to:?}; close the holes first", file.display())]
    Leaks { file: PathBuf, leaks: usize, from: [f64; 3], to: [f64; 3] },

    /// A surface without an inside, such as Klein's bottle.
    #[error("{}: the mesh has one side only, so nothing is inside", file.display())]
    OneSided { file: PathBuf },

    /// A solid of next to no volume.
    #[error("{}: the mesh encloses less than a thousandth of its box, too little to fill with points", file.display())]
    Thin { file: PathBuf },

    /// A solid so far from the origin that little of the network's range would be left for it.
    #[error("{}: the mesh is {size} long, and its coordinates go from {min} to {max}; move it nearer to the origin", file.display())]
    OffCentre { file: PathBuf, size: f64, min: f64, max: f64 },

    /// Data that are no single series of numbers, cut into windows.
    #[error(
        "{name}: windows are cut from one series without classes, an array [n] or a table of one column or one row; these are {samples} samples of shape {shape:?}"
    )]
    NoSeries { name: String, samples: usize, shape: Vec<usize> },

    /// A window longer than its series.
    #[error("{name}: a window of {window} is longer than the series, which has {length} numbers")]
    WindowTooLong { name: String, window: usize, length: usize },

    /// So many windows that they would fill the memory.
    #[error("{name}: {windows} windows of {window} numbers are too many; raise the stride")]
    TooManyWindows { name: String, windows: usize, window: usize },

    /// A data set built by hand whose parts contradict each other.
    #[error("{name}: {reason}")]
    Inconsistent { name: String, reason: &'static str },
}
