//! What the process is told by its surroundings, read once: environment, user, machine.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The surroundings of the process. Everything below the commands gets parts of it as parameters.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    /// Environment variables; a value that is not UTF-8 is left out.
    pub(crate) environment: BTreeMap<String, String>,
    /// Number of the user.
    pub(crate) uid: u32,
    /// Id of the machine, if it has one.
    pub(crate) machine_id: Option<String>,
}

impl Host {
    /// Looks around.
    pub(crate) fn read() -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let machine_id = ["/etc/machine-id", "/var/lib/dbus/machine-id"]
            .iter()
            .find_map(|path| std::fs::read_to_string(path).ok());
        Self { environment, uid: rustix::process::getuid().as_raw(), machine_id }
    }

    /// A variable that is set and not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The user's folder.
    pub(crate) fn home(&self) -> Option<PathBuf> {
        self.variable("HOME").map(PathBuf::from)
    }

    /// Name of this machine; `runner` if it has none.
    pub(crate) fn name(&self) -> String {
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        if name.is_empty() { "runner".to_owned() } else { name }
    }
}

/// This program, as jobs see it in their variables.
pub(crate) fn program() -> runner_core::variables::Program {
    // Go's names, because that is what scripts compare with.
    let machine = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    runner_core::variables::Program {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: "HEAD".to_owned(),
        platform: format!("{}/{machine}", std::env::consts::OS),
    }
}
