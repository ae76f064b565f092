//! The kernels leave the same bits here as on the emulated processors, whose program `kernels` compares with the same checksums.

mod workloads;

use workloads::images::{ARENA, IMAGES, checksum, fresh};
use workloads::{ARTIFACT, Memory, WORKLOADS, write_artifact};

#[test]
fn every_workload_leaves_the_bits_that_every_machine_leaves() {
    let mut words = [0; ARTIFACT];
    let model = write_artifact(&mut words).expect("an artifact");
    assert_eq!(model.artifact().bytes(), 4 * ARTIFACT);
    assert_eq!(model.scratch_words(), 192);
    let mut wrong = Vec::new();
    for workload in WORKLOADS {
        let mut memory = Memory::new();
        (workload.run)(&mut memory, &model);
        if memory.checksum() != workload.expected {
            wrong.push(format!("{}: {:#010x}", workload.name, memory.checksum()));
        }
        assert!(workload.units.0 > 0 && !workload.units.1.is_empty());
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_workload_of_images_leaves_the_bits_that_every_machine_leaves() {
    let mut wrong = Vec::new();
    for workload in IMAGES {
        assert!(workload.words <= ARENA && workload.units.0 > 0 && !workload.units.1.is_empty());
        let mut arena = vec![0; workload.words];
        fresh(&mut arena);
        (workload.run)(&mut arena);
        if checksum(&arena) != workload.expected {
            wrong.push(format!("{}: {:#010x}", workload.name, checksum(&arena)));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
