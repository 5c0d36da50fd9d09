//! Parses every input of the fuzzing corpus without the fuzzer.

use std::fs;
use std::path::Path;

#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "the file is the root of another crate")]
mod targets;

#[test]
fn every_kept_input_ends_well() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, target) in targets::ALL {
        let folder = fs::read_dir(corpus.join(name)).expect(name);
        let mut inputs = 0;
        for entry in folder {
            let path = entry.expect(name).path();
            // Printed only if the target panics.
            println!("{}", path.display());
            target(&fs::read(path).expect(name));
            inputs += 1;
        }
        assert!(inputs > 0, "{name} has no inputs");
    }
}

#[test]
fn every_target_has_a_program_and_each_folder_a_target() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let names = |folder: &str| {
        let entries = fs::read_dir(fuzz.join(folder)).expect(folder);
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect(folder).path())
            .map(|path| path.file_stem().unwrap_or_default().to_os_string())
            .collect();
        names.sort();
        names
    };
    let mut targets = targets::ALL.map(|(name, _)| name);
    targets.sort_unstable();
    assert_eq!(names("fuzz_targets"), targets);
    assert_eq!(names("corpus"), targets);
}
