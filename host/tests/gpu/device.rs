//! Devices that are chosen, too small, or lost.

use super::{own, shared};
use std::sync::Arc;
use tweedie_host::gpu::adapter::{Listed, listed, pick};
use tweedie_host::gpu::{Access, Gpu, GpuError, parameters};

const DOUBLE: &str = "
@group(0) @binding(0) var<uniform> count: vec4<u32>;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(1)
fn double(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = group.y * groups.x + group.x;
    if (i < count.x) {
        out[i] = 2u * x[i];
    }
}";

#[test]
fn more_workgroups_than_one_dimension_holds() {
    let Some(gpu) = shared() else { return };
    let count = 70_001;
    let values: Vec<u32> = (0..count).collect();
    let (x, out) = (gpu.upload("x", &values).unwrap(), gpu.storage("out", values.len()).unwrap());
    let kernel = gpu.kernel("double", DOUBLE, &[Access::Read, Access::ReadWrite]).unwrap();
    let call = gpu.bind(&kernel, &[&x, &out]).unwrap();
    gpu.enqueue(&call, &parameters(&[count]), gpu.groups(values.len())).unwrap();
    let doubled: Vec<u32> = gpu.read(&out, 0..values.len()).unwrap();
    assert!(doubled.iter().zip(&values).all(|(doubled, value)| *doubled == 2 * value));
    assert_eq!(gpu.read::<u32>(&out, 70_000..70_001).unwrap(), [140_000]);
}

#[test]
fn what_a_device_refuses_is_an_error_and_no_panic() {
    let Some(gpu) = shared() else { return };
    let refused = |result: Result<(), GpuError>, part: &str| {
        let sentence = result.unwrap_err().to_string();
        assert!(sentence.contains(part), "{sentence}");
        assert!(!sentence.contains('\n'), "{sentence}");
    };
    refused(gpu.kernel("double", "fn double( {", &[]).map(drop), "the GPU refused double");
    refused(gpu.kernel("double", DOUBLE, &[Access::Read]).map(drop), "the GPU refused double");
    let kernel = gpu.kernel("double", DOUBLE, &[Access::Read, Access::ReadWrite]).unwrap();
    let x = gpu.storage("x", 3).unwrap();
    refused(gpu.bind(&kernel, &[&x]).map(drop), "the GPU refused double");
    refused(gpu.storage("the states", usize::MAX / 8).map(drop), "the states needs a buffer of");
    refused(gpu.write(&x, &[1.0_f32; 4]), "a tensor of 3 elements met one of 4");
    refused(gpu.read::<f32>(&x, 2..4).map(drop), "a tensor of 3 elements met one of 4");
    let call = gpu.bind(&kernel, &[&x, &gpu.storage("out", 3).unwrap()]).unwrap();
    refused(gpu.enqueue(&call, &parameters(&[]), [u32::MAX, 1, 1]), "workgroups");
    // After all that the device still works.
    assert_eq!(gpu.read::<f32>(&x, 0..3).unwrap(), [0.0; 3]);
}

#[test]
fn a_lost_device_is_one_sentence() {
    let Some(gpu) = own() else { return };
    let x = gpu.upload("x", &[1.0_f32, 2.0]).unwrap();
    gpu.close();
    for result in [gpu.read::<f32>(&x, 0..2).map(drop), gpu.storage("y", 4).map(drop), gpu.wait()] {
        let error = result.unwrap_err();
        assert!(matches!(error, GpuError::Lost { .. }), "{error:?}");
        assert!(error.to_string().starts_with("the GPU was lost"), "{error}");
    }
}

#[test]
fn adapters_are_opened_by_number_and_by_name() {
    if shared().is_none() {
        return;
    }
    let all = listed();
    assert!(!all.is_empty() && all.iter().enumerate().all(|(at, one)| one.number == at && !one.name.is_empty()));
    let first = Gpu::open(Some("0")).unwrap();
    assert_eq!(first.adapter(), &all[0]);
    let by_name = Gpu::open(Some(&all[0].name.to_uppercase())).unwrap();
    assert_eq!(by_name.adapter().name, all[0].name);
    let sentence = Gpu::open(Some("no such card")).unwrap_err().to_string();
    assert!(sentence.starts_with("no adapter is called `no such card`; there are 0: "), "{sentence}");
    assert!(Arc::new(first).limits().max_compute_workgroups_per_dimension > 0);
}

fn called(names: &[&str]) -> Vec<Listed> {
    let one = |(number, name): (usize, &&str)| Listed {
        number,
        name: (*name).to_owned(),
        backend: "Vulkan".to_owned(),
        kind: "discrete",
        driver: String::new(),
        largest_buffer: 1 << 27,
        largest_workgroup: 256,
        workgroup_memory: 16_384,
        storage_buffers: 8,
    };
    names.iter().enumerate().map(one).collect()
}

#[test]
fn an_adapter_is_chosen_by_number_or_by_a_part_of_its_name() {
    let all = called(&["Card 3070", "Card 3080", "llvmpipe (LLVM)"]);
    assert_eq!(pick(&all, None), Ok(0));
    assert_eq!(pick(&all, Some("1")), Ok(1));
    assert_eq!(pick(&all, Some("3080")), Ok(1));
    assert_eq!(pick(&all, Some("LLVMpipe")), Ok(2));
    let sentence = |asked: &str| pick(&all, Some(asked)).unwrap_err().to_string();
    assert_eq!(
        sentence("card"),
        "several adapters are called `card`: choose one by its number, of 0: Card 3070 (Vulkan), 1: Card 3080 (Vulkan)"
    );
    assert!(sentence("9").starts_with("no adapter is called `9`; there are 0: Card 3070"), "{}", sentence("9"));
    assert!(pick(&all, Some("")).is_err());
}

#[test]
fn one_device_by_two_interfaces_is_no_question() {
    let mut all = called(&["Card", "Card"]);
    all[1].backend = "Gl".to_owned();
    assert_eq!(pick(&all, Some("card")), Ok(0));
}
