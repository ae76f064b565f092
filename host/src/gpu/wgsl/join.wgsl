// Two images one behind the other in their channels, the first enlarged: low is [images, height / enlarge, width / enlarge, low], high [images, height,
// width, high], out [images, height, width, low + high]. Heights are multiples of `enlarge` as well, so that rows of all images divide alike.

struct Parameters {
    count: u32,     // numbers of the result
    width: u32,
    low: u32,
    high: u32,
    enlarge: u32,
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> low: array<f32>;
@group(0) @binding(2) var<storage, read> high: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn join(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + local;
    if (i >= p.count) {
        return;
    }
    let channels = p.low + p.high;
    let pixel = i / channels;
    let channel = i % channels;
    if (channel < p.low) {
        let row = pixel / p.width / p.enlarge;
        let column = pixel % p.width / p.enlarge;
        out[i] = low[(row * (p.width / p.enlarge) + column) * p.low + channel];
    } else {
        out[i] = high[pixel * p.high + channel - p.low];
    }
}
