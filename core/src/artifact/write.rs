//! The writer of the whole file.

use super::record::{MAX_TABLES, pair};
use super::step::step_words;
use super::{
    Artifact, ArtifactError, CLIP_FLAG, HEADER_WORDS, Header, Layer, MAGIC, MEMORY_FLAG, PlanStep, VERSION, checksum,
};

/// How many words [`write()`] needs.
pub fn length(plan: &[PlanStep], layers: &[Layer<'_>]) -> usize {
    let tables = |layer: &Layer<'_>| layer.tables().iter().map(|table| table.len()).sum::<usize>();
    tables_begin(plan, layers) + layers.iter().map(tables).sum::<usize>()
}

fn is_remembering(plan: &[PlanStep]) -> bool {
    plan.iter().any(|step| step.memory.is_some())
}

fn plan_words(plan: &[PlanStep]) -> usize {
    plan.len() * step_words(is_remembering(plan))
}

fn tables_begin(plan: &[PlanStep], layers: &[Layer<'_>]) -> usize {
    HEADER_WORDS + plan_words(plan) + layers.iter().map(Layer::words).sum::<usize>()
}

/// Writes an artifact into `out` and returns its length in words; what is written has been parsed, so it can be.
///
/// # Errors
/// [`ArtifactError::Truncated`] when `out` is too short, otherwise whatever [`Artifact::parse`] finds wrong with the result.
pub fn write(
    header: &Header,
    plan: &[PlanStep],
    layers: &[Layer<'_>],
    out: &mut [u32],
) -> Result<usize, ArtifactError> {
    let length = length(plan, layers);
    let have = out.len();
    let out = out.get_mut(..length).ok_or(ArtifactError::Truncated { need: length, have })?;
    let count = |n: usize, what| u16::try_from(n).map(u32::from).map_err(|_| ArtifactError::Inconsistent(what));
    let (steps, layer_count) =
        (count(plan.len(), "the number of steps")?, count(layers.len(), "the number of layers")?);
    let words = u32::try_from(length).map_err(|_| ArtifactError::Inconsistent("the file's length"))?;
    let history = plan.iter().map(|step| step.pull_count).max().unwrap_or(0);
    let flags = u8::from(header.clip) * CLIP_FLAG + u8::from(is_remembering(plan)) * MEMORY_FLAG;
    let head = [
        MAGIC[0],
        MAGIC[1],
        pair(VERSION, HEADER_WORDS as u16),
        words,
        0,
        u32::from_le_bytes([header.rank, history, flags, 0]),
        pair(header.dims[0], header.dims[1]),
        pair(header.dims[2], header.dims[3]),
        u32::from(header.classes) | steps << 16,
        layer_count,
        header.arena,
        header.input_at,
        header.output_at,
        header.offset.to_bits(),
        header.scale.to_bits(),
        0,
    ];
    let (head_out, rest) = out.split_at_mut(HEADER_WORDS);
    head_out.copy_from_slice(&head);
    let (plan_out, rest) = rest.split_at_mut(plan_words(plan));
    for (step, record) in plan.iter().zip(plan_out.chunks_exact_mut(step_words(is_remembering(plan)))) {
        step.write(record);
    }
    let mut at = tables_begin(plan, layers);
    let (mut records_out, mut tables_out) = rest.split_at_mut(at - HEADER_WORDS - plan_words(plan));
    for layer in layers {
        let mut places = [0; MAX_TABLES];
        for (place, table) in places.iter_mut().zip(layer.tables()) {
            if !table.is_empty() {
                *place = at as u32;
            }
            let (own, others) = tables_out.split_at_mut(table.len());
            own.copy_from_slice(table);
            tables_out = others;
            at += table.len();
        }
        let (record, others) = records_out.split_at_mut(layer.words());
        layer.write(places, record)?;
        records_out = others;
    }
    out[4] = checksum(out);
    let parsed = Artifact::parse(out)?;
    // Lengths that do not fit each other would be read back as other tables.
    if parsed.layers().eq(layers.iter().copied()) && parsed.plan().eq(plan.iter().copied()) {
        Ok(length)
    } else {
        Err(ArtifactError::Inconsistent("a table's length, or a coefficient of more than 16 bits"))
    }
}
