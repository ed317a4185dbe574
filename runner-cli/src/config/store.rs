//! Where the file lives and how it is written: for its owner only, at once or not at all.

use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::error::ConfigError;

/// The file that is used when none is named: the system's for root, the user's own otherwise.
pub(crate) fn default_path(is_root: bool, home: Option<&Path>) -> PathBuf {
    match (is_root, home) {
        (false, Some(home)) => home.join(".gitlab-runner/config.toml"),
        _ => PathBuf::from("/etc/gitlab-runner/config.toml"),
    }
}

/// Writes a file with mode 0600, in a folder that is made with mode 0700 if there is none.
pub(super) fn write(path: &Path, text: &str) -> Result<(), ConfigError> {
    // A link stays a link: what it points at is replaced.
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    replace(&target, text).map_err(|source| ConfigError::Write { path: path.to_owned(), source })
}

fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // Temporary files have mode 0600 from the start, so the token is never readable for others.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};

    use super::{default_path, write};

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn root_has_the_systems_file() {
        assert_eq!(
            default_path(true, Some(Path::new("/root"))),
            PathBuf::from("/etc/gitlab-runner/config.toml")
        );
        assert_eq!(
            default_path(false, Some(Path::new("/home/u"))),
            PathBuf::from("/home/u/.gitlab-runner/config.toml")
        );
    }

    #[test]
    fn only_the_owner_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/config.toml");
        write(&path, "a = 1\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        write(&path, "a = 2\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a = 2\n");
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    }

    #[test]
    fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real.toml"), folder.path().join("link.toml"));
        std::fs::write(&real, "").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        write(&link, "a = 1\n").unwrap();
        assert_eq!(std::fs::read_to_string(&real).unwrap(), "a = 1\n");
        assert!(link.is_symlink());
    }
}
