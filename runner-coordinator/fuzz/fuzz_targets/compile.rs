//! The compiler on any text: several files of a project, each after a line that names it. What compiles is run.
#![no_main]

mod world;

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;

use world::{Files, ROOT};

fn files(text: &str) -> Files {
    let mut parts = text.split("\n#file ");
    let mut files = BTreeMap::from([(ROOT.to_owned(), parts.next().unwrap_or_default().to_owned())]);
    for part in parts.take(10) {
        let (name, text) = part.split_once('\n').unwrap_or((part, ""));
        files.insert(name.trim().to_owned(), text.to_owned());
    }
    Files(files)
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let Some(pipeline) = world::pipeline(&files(&text), text.len(), data.len() % 2 == 0) else { return };
    // A few jobs are enough for the machine; many have been compiled.
    if pipeline.jobs.len() <= 50 {
        let mut bytes = data.iter();
        world::run(pipeline, &mut |most| usize::from(bytes.next().copied().unwrap_or_default()) % (most + 1));
    }
});
