// own <- keep own + sum_i c_i t_i in one pass, four numbers for each invocation. Parameters and operands are declared before, for each number of them.

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> own: array<vec4<f32>>;

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
    var sum = vec4<f32>();
    // What is not kept may be anything, not a number as well.
    if (p.keep != 0.0) {
        sum = p.keep * own[i];
    }
    // TERMS
    own[i] = sum;
}
