//! Which folders of a working tree are to be watched: all but those that git ignores as a whole.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::exec::git::{Git, GitError};
use crate::exec::source::names;

/// The folders of the working tree at `root` in which a file could count. Left out are repositories inside, and folders that are
/// ignored, unless something in them is tracked all the same.
pub(super) fn of_tree(root: &Path) -> Result<BTreeSet<PathBuf>, GitError> {
    let git = Git::new(root);
    let tracked = names(&git.output(&["ls-files", "-z", "--cached"], &[])?);
    let parents = |name: &String| Path::new(name).ancestors().skip(1).map(Path::to_owned).collect::<Vec<_>>();
    let tracked: BTreeSet<PathBuf> = tracked.iter().flat_map(parents).collect();
    let mut found = BTreeSet::from([root.to_owned()]);
    let mut level = below(root);
    while !level.is_empty() {
        let ignored = ignored(&git, root, &level);
        let inside = |path: &PathBuf| path.strip_prefix(root).map(Path::to_owned).unwrap_or_default();
        level.retain(|path| !ignored.contains(&inside(path)) || tracked.contains(&inside(path)));
        found.extend(level.iter().cloned());
        level = level.iter().flat_map(|folder| below(folder)).collect();
    }
    Ok(found)
}

/// The folders in a folder, without git's own and without other repositories. One that goes away meanwhile has none.
fn below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let paths = folders.filter(|entry| entry.file_name() != ".git").map(|entry| entry.path());
    paths.filter(|path| path.join(".git").symlink_metadata().is_err()).collect()
}

/// Those of the paths that git ignores, relative to the root.
pub(super) fn ignored(git: &Git, root: &Path, paths: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut input = Vec::new();
    for path in paths.iter().filter_map(|path| path.strip_prefix(root).ok()) {
        input.extend_from_slice(path.as_os_str().as_bytes());
        input.push(0);
    }
    if input.is_empty() {
        return BTreeSet::new();
    }
    // It fails when none is ignored.
    let listing = git.output(&["check-ignore", "-z", "--stdin"], &input).unwrap_or_default();
    let listed = listing.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    listed.map(|name| PathBuf::from(OsStr::from_bytes(name))).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::of_tree;

    #[test]
    fn folders_that_are_ignored_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let write = |name: &str, text: &str| {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let status = Command::new("git").args(["init", "--quiet"]).current_dir(root).status().unwrap();
        assert!(status.success());
        write(".gitignore", "target\n*.log\n");
        write("src/deep/a.rs", "");
        write("target/debug/b", "");
        write("logs/a.log", "");
        write("logs/target/c", "");
        write("vendor/target/tracked/d", "");
        write("vendor/target/other/e", "");
        write("inner/.git/HEAD", "");
        let add = ["add", "--force", "vendor/target/tracked/d"];
        assert!(Command::new("git").args(add).current_dir(root).status().unwrap().success());
        std::fs::create_dir(root.join("empty")).unwrap();
        std::os::unix::fs::symlink("src", root.join("link")).unwrap();
        let found = of_tree(root).unwrap();
        let found: Vec<&Path> = found.iter().map(|path| path.strip_prefix(root).unwrap()).collect();
        let expected =
            ["", "empty", "logs", "src", "src/deep", "vendor", "vendor/target", "vendor/target/tracked"];
        assert_eq!(found, expected.map(Path::new));
    }
}
