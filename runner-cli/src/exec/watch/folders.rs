//! Which folders of a working tree are to be watched: all but those that git ignores as a whole.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::exec::git::{Git, GitError};
use crate::exec::source::names;

/// The folders of the working tree at `root` in which a file could count. Ignored folders and repositories inside are left out.
pub(super) fn of_tree(root: &Path) -> Result<BTreeSet<PathBuf>, GitError> {
    let arguments = ["ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory"];
    let listing = Git::new(root).output(&arguments, &[])?;
    let ignored: BTreeSet<PathBuf> = names(&listing)
        .iter()
        .filter(|name| name.ends_with('/'))
        .map(|name| root.join(name.trim_end_matches('/')))
        .collect();
    let mut found = BTreeSet::new();
    walk(root, root, &ignored, &mut found);
    Ok(found)
}

/// A folder that goes away meanwhile is none.
fn walk(root: &Path, folder: &Path, ignored: &BTreeSet<PathBuf>, found: &mut BTreeSet<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    if folder != root && folder.join(".git").symlink_metadata().is_ok() {
        return;
    }
    found.insert(folder.to_owned());
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && entry.file_name() != ".git" && !ignored.contains(&path) {
            walk(root, &path, ignored, found);
        }
    }
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
        write("inner/.git/HEAD", "");
        std::fs::create_dir(root.join("empty")).unwrap();
        std::os::unix::fs::symlink("src", root.join("link")).unwrap();
        let found = of_tree(root).unwrap();
        let found: Vec<&Path> = found.iter().map(|path| path.strip_prefix(root).unwrap()).collect();
        assert_eq!(found, ["", "empty", "logs", "src", "src/deep"].map(Path::new));
    }
}
