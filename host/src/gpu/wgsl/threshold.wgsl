// Dynamic thresholding, a workgroup for each sample: x <- clamp(x, -s, s) / s, where s is a quantile of the sample's magnitudes, at least 1.
//
// The order of magnitudes is that of their bits, so the bits of the quantile are found one by one, the highest first, by counting.

struct Parameters {
    rows: u32,
    features: u32,
    below: u32,     // how many magnitudes lie below the quantile
    part: f32,      // how far on the way to the next magnitude it is
    most: f32,      // the largest threshold
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;

var<workgroup> count: atomic<u32>;
var<workgroup> next: atomic<u32>;

fn bits_of(i: u32) -> u32 {
    return bitcast<u32>(x[i]) & 0x7fffffffu;
}

@compute @workgroup_size(256)
fn threshold(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = group.y * groups.x + group.x;
    var features = p.features;
    if (row >= p.rows) {
        features = 0u;
    }
    let begin = row * p.features;
    // The largest number that at most `below` magnitudes are smaller than, which is the quantile's lower neighbour.
    var low = 0u;
    for (var bit = 31u; bit > 0u; bit--) {
        let candidate = low | (1u << (bit - 1u));
        if (local == 0u) {
            atomicStore(&count, 0u);
        }
        workgroupBarrier();
        var own = 0u;
        for (var i = local; i < features; i += 256u) {
            if (bits_of(begin + i) < candidate) {
                own++;
            }
        }
        atomicAdd(&count, own);
        workgroupBarrier();
        if (atomicLoad(&count) <= p.below) {
            low = candidate;
        }
        workgroupBarrier();
    }
    // Its upper neighbour: the same if several are as large, else the least that is larger.
    if (local == 0u) {
        atomicStore(&count, 0u);
        atomicStore(&next, 0x7f7fffffu);
    }
    workgroupBarrier();
    var own = 0u;
    for (var i = local; i < features; i += 256u) {
        let bits = bits_of(begin + i);
        if (bits <= low) {
            own++;
        } else {
            atomicMin(&next, bits);
        }
    }
    atomicAdd(&count, own);
    workgroupBarrier();
    var above = low;
    if (p.part > 0.0 && atomicLoad(&count) <= p.below + 1u) {
        above = atomicLoad(&next);
    }
    let quantile = bitcast<f32>(low) + p.part * (bitcast<f32>(above) - bitcast<f32>(low));
    let most = clamp(quantile, 1.0, p.most);
    for (var i = local; i < features; i += 256u) {
        x[begin + i] = clamp(x[begin + i], -most, most) / most;
    }
}
