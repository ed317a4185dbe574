//! Names of entries' folders.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::executor::JobKey;

/// Hexadecimal digits that tell names apart which look the same without their odd characters.
const DIGITS: usize = 8;

/// The folder of a job's entry: the job's name. The short token comes from a configuration file, and must neither lead out of the
/// journal nor be mistaken for another one.
pub(super) fn folder(key: &JobKey) -> String {
    let name = key.to_string();
    if name.chars().all(is_plain) {
        return name;
    }
    let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let hash: String = Sha256::digest(name.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{plain}.{}", &hash[..DIGITS])
}

/// Whose entry a folder is, if its name is plain.
pub(super) fn key(folder: &Path) -> Option<JobKey> {
    let name = folder.file_name()?.to_str()?;
    let (runner, job) = name.strip_prefix("runner-")?.rsplit_once("-job-")?;
    let job = job.split_once('.').map_or(job, |(number, _)| number);
    Some(JobKey { runner: runner.to_owned(), job: job.parse().ok()? })
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(runner: &str, job: u64) -> String {
        folder(&JobKey { runner: runner.to_owned(), job })
    }

    #[test]
    fn names_stay_in_the_folder_and_apart() {
        assert_eq!(name("2mn-ncv_x", 42), "runner-2mn-ncv_x-job-42");
        assert_eq!(name("", 0), "runner--job-0");
        let odd =
            [name("a/b", 1), name("a_b", 1), name("a.b", 1), name("../..", 1), name("ä", 1), name("\0", 1)];
        for (index, one) in odd.iter().enumerate() {
            assert!(one.starts_with("runner-") && !one.contains('/') && one.is_ascii(), "{one}");
            assert!(!odd[..index].contains(one), "{one}");
        }
    }

    #[test]
    fn keys_are_read_from_plain_names() {
        let read = |name: &str| key(Path::new(name)).map(|key| (key.runner, key.job));
        assert_eq!(read("/state/runner-abc-job-7"), Some(("abc".into(), 7)));
        assert_eq!(read("runner-a-job-b-job-7"), Some(("a-job-b".into(), 7)));
        assert_eq!(read(&name("a/b", 7)), Some(("a_b".into(), 7)));
        for other in ["lost+found", "runner-abc", "runner-abc-job-", "runner-abc-job-x", "abc-job-7", ""] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
