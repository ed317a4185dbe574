//! Starting the stage's shell.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use runner_frames::{SecretFile, Spec};
use rustix::process::Pid;
use secrecy::ExposeSecret as _;

use super::recorder::WriteEnds;

/// Writes the secret files and starts the shell, the stage's main process. The error is a text for the status: it names what could not be done, and no
/// value.
pub(super) fn start(spec: &Spec, script: &Path, output: WriteEnds) -> Result<Pid, String> {
    let Some((program, arguments)) = spec.shell.split_first() else {
        return Err("cannot start the shell: the spec names none".to_owned());
    };
    if !Path::new(&spec.cwd).is_dir() {
        return Err(format!("cannot start {program} in {}: no such folder", spec.cwd));
    }
    for file in &spec.secret_files {
        write_secret(file).map_err(|error| format!("cannot write {}: {error}", file.path))?;
    }
    let spawned = Command::new(program)
        .args(arguments)
        .arg(script)
        .current_dir(&spec.cwd)
        .envs(spec.env.iter().map(|variable| (&variable.key, variable.value.expose_secret())))
        .stdin(Stdio::null())
        .stdout(output.stdout)
        .stderr(output.stderr)
        .process_group(0)
        .spawn();
    // The handle is not needed: the process is reaped with all others of the stage.
    spawned.map(|child| Pid::from_child(&child)).map_err(|error| format!("cannot start {program}: {error}"))
}

fn write_secret(file: &SecretFile) -> io::Result<()> {
    let path = Path::new(&file.path);
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    // A file of an earlier job may be there, with other permissions or as a link.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    created.write_all(file.content.expose_secret().as_bytes())?;
    created.set_permissions(fs::Permissions::from_mode(file.mode))
}
