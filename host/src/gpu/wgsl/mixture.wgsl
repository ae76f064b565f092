// A mixture of low-rank Gaussians, by the terms that core makes of its tables at each noise level (`CentredTerms`): `explain` finds for every sample and
// component the coordinates and the logit, `expand` the posterior's estimate.

struct Parameters {
    rows: u32,
    features: u32,
    rank: u32,
    components: u32,    // of all classes together
    classes: u32,
    none: u32,          // 1: no sample has a class, so that all components count
    alpha: f32,
    terms_at: u32,      // where the step's terms begin
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;                     // [rows, features]
@group(0) @binding(2) var<storage, read> means: array<f32>;                 // [components, features]
@group(0) @binding(3) var<storage, read> bases: array<f32>;                 // [components, rank, features]
@group(0) @binding(4) var<storage, read> terms: array<f32>;                 // [steps, components, 3 + 2 rank]
@group(0) @binding(5) var<storage, read> classes: array<u32>;               // [rows]
@group(0) @binding(6) var<storage, read_write> scratch: array<f32>;         // [rows, components, 1 + rank]: logit, coordinates
@group(0) @binding(7) var<storage, read_write> out: array<f32>;             // [rows, features]

// The first component of a row's class, and the one behind its last.
fn range_of(row: u32) -> vec2<u32> {
    var class_of_row = p.classes;
    if (p.none == 0u) {
        class_of_row = classes[row];
    }
    if (class_of_row >= p.classes) {
        return vec2<u32>(0u, p.components);
    }
    let each = p.components / p.classes;
    return vec2<u32>(class_of_row * each, (class_of_row + 1u) * each);
}

fn term_of(component: u32) -> u32 {
    return p.terms_at + component * (3u + 2u * p.rank);
}

@compute @workgroup_size(256)
fn explain(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + local;
    if (i >= p.rows * p.components) {
        return;
    }
    let row = i / p.components;
    let component = i % p.components;
    let range = range_of(row);
    if (component < range.x || component >= range.y) {
        return;
    }
    let place = i * (1u + p.rank);
    let term = term_of(component);
    var energy = 0.0;
    for (var j = 0u; j < p.rank; j++) {
        var coordinate = 0.0;
        for (var k = 0u; k < p.features; k++) {
            let deviation = x[row * p.features + k] - p.alpha * means[component * p.features + k];
            coordinate += bases[(component * p.rank + j) * p.features + k] * deviation;
        }
        scratch[place + 1u + j] = coordinate;
        energy += terms[term + 3u + j] * coordinate * coordinate;
    }
    var rest = 0.0;
    for (var k = 0u; k < p.features; k++) {
        var deviation = x[row * p.features + k] - p.alpha * means[component * p.features + k];
        for (var j = 0u; j < p.rank; j++) {
            deviation -= scratch[place + 1u + j] * bases[(component * p.rank + j) * p.features + k];
        }
        rest += deviation * deviation;
    }
    scratch[place] = terms[term] - 0.5 * (energy + terms[term + 1u] * rest);
}

@compute @workgroup_size(256)
fn expand(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + local;
    if (i >= p.rows * p.features) {
        return;
    }
    let row = i / p.features;
    let k = i % p.features;
    let range = range_of(row);
    let length = 1u + p.rank;
    var most = -3e38;
    for (var component = range.x; component < range.y; component++) {
        most = max(most, scratch[(row * p.components + component) * length]);
    }
    var total = 0.0;
    var sum = 0.0;
    for (var component = range.x; component < range.y; component++) {
        let place = (row * p.components + component) * length;
        let term = term_of(component);
        let mean = means[component * p.features + k];
        var rest = x[i] - p.alpha * mean;
        var estimate = mean;
        for (var j = 0u; j < p.rank; j++) {
            let part = scratch[place + 1u + j] * bases[(component * p.rank + j) * p.features + k];
            rest -= part;
            estimate += terms[term + 3u + p.rank + j] * part;
        }
        let share = exp(scratch[place] - most);
        total += share;
        sum += share * (estimate + terms[term + 2u] * rest);
    }
    out[i] = sum / total;
}
