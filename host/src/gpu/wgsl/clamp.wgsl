// Every number to [low, high]; what is not a number stays so, since no comparison holds of it.

struct Parameters {
    quads: u32,
    low: f32,
    high: f32,
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> own: array<vec4<f32>>;

@compute @workgroup_size(256)
fn clamp_all(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.y * groups.x + group.x) * 256u + local;
    if (i >= p.quads) {
        return;
    }
    let low = vec4<f32>(p.low);
    let high = vec4<f32>(p.high);
    let value = select(own[i], low, own[i] < low);
    own[i] = select(value, high, value > high);
}
