// softmax(Q K^T / sqrt(DEPTH)) V of every head: qkv is [samples, tokens, 3 heads DEPTH], out [samples, tokens, heads DEPTH].
//
// A workgroup takes 64 queries of one head, an invocation one; TILE keys and values at a time come by way of its memory. The softmax runs along: what
// has been summed shrinks when a larger score comes.

struct Parameters {
    samples: u32,
    tokens: u32,
    heads: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> qkv: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

var<workgroup> keys: array<f32, TILE * DEPTH>;
var<workgroup> values: array<f32, TILE * DEPTH>;

@compute @workgroup_size(64)
fn attention(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let parts = (p.tokens + 63u) / 64u;
    let number = group.y * groups.x + group.x;
    let query = number % parts * 64u + local;
    let head = number / parts % p.heads;
    let sample = number / parts / p.heads;
    // Reads beyond the last sample would be beyond the buffer; its results are not written.
    let is_there = sample < p.samples && query < p.tokens;
    let width = p.heads * DEPTH;
    let first = min(sample, p.samples - 1u) * p.tokens;
    let own = (first + min(query, p.tokens - 1u)) * 3u * width + head * DEPTH;

    var q: array<f32, DEPTH>;
    var sums: array<f32, DEPTH>;
    for (var i = 0u; i < DEPTH; i++) {
        q[i] = qkv[own + i] * p.scale;
        sums[i] = 0.0;
    }
    var most = -3e38;
    var total = 0.0;
    for (var begin = 0u; begin < p.tokens; begin += TILE) {
        let count = min(TILE, p.tokens - begin);
        workgroupBarrier();
        for (var i = local; i < count * DEPTH; i += 64u) {
            let from_key = (first + begin + i / DEPTH) * 3u * width + width + head * DEPTH + i % DEPTH;
            keys[i] = qkv[from_key];
            values[i] = qkv[from_key + width];
        }
        workgroupBarrier();
        for (var key = 0u; key < count; key++) {
            var score = 0.0;
            for (var i = 0u; i < DEPTH; i++) {
                score += q[i] * keys[key * DEPTH + i];
            }
            if (score > most) {
                let shrink = exp(most - score);
                total *= shrink;
                for (var i = 0u; i < DEPTH; i++) {
                    sums[i] *= shrink;
                }
                most = score;
            }
            let share = exp(score - most);
            total += share;
            for (var i = 0u; i < DEPTH; i++) {
                sums[i] += share * values[key * DEPTH + i];
            }
        }
    }
    if (is_there) {
        let place = (first + query) * width + head * DEPTH;
        for (var i = 0u; i < DEPTH; i++) {
            out[place + i] = sums[i] / total;
        }
    }
}
