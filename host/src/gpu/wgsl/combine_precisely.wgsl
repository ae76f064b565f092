// As combine.wgsl, with sums of two words (Dekker 1971): a coefficient is three numbers, the first two of 12 bits, an operand is split in two of 12, and
// products of those are exact.

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> own: array<vec4<f32>>;

struct Sum {
    high: vec4<f32>,
    low: vec4<f32>,
}

// The same number, of which compilers that simplify sums know nothing: `zero` is 0.
fn hidden(x: vec4<f32>) -> vec4<f32> {
    return bitcast<vec4<f32>>(bitcast<vec4<u32>>(x) ^ vec4<u32>(p.zero));
}

// Knuth's sum, whose error goes to the lower word.
fn plus_exact(sum: Sum, x: vec4<f32>) -> Sum {
    let high = hidden(sum.high + x);
    let part = hidden(high - sum.high);
    return Sum(high, sum.low + ((sum.high - hidden(high - part)) + (x - part)));
}

fn plus(sum: Sum, c: vec3<f32>, x: vec4<f32>) -> Sum {
    let upper = bitcast<vec4<f32>>(bitcast<vec4<u32>>(x) & vec4<u32>(0xfffff000u));
    let lower = x - upper;
    let first = plus_exact(sum, c.x * upper);
    let second = plus_exact(first, c.x * lower);
    let third = plus_exact(second, c.y * upper);
    return Sum(third.high, third.low + (c.y * lower + c.z * x));
}

@compute @workgroup_size(256)
fn combine(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + local;
    if (i >= p.quads) {
        return;
    }
    var sum = Sum();
    // What is not kept may be anything, not a number as well.
    if (p.keep_0 != 0.0) {
        sum = plus(sum, vec3<f32>(p.keep_0, p.keep_1, p.keep_2), own[i]);
    }
    // TERMS
    own[i] = sum.high + sum.low;
}
