//! `cache-init`

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::args::InitArgs;
use crate::files::Surroundings;
use crate::files::report::Report;

/// Lets everybody write to folders: those of a job may run as another user. What cannot be changed is said and passed over.
pub fn init(args: &InitArgs, surroundings: &mut Surroundings<'_>) -> u8 {
    let mut report = Report::new(&mut *surroundings.log);
    for folder in &args.folders {
        let folder = surroundings.folder.join(folder);
        if let Err(error) = fs::set_permissions(&folder, Permissions::from_mode(0o777)) {
            report.error(format_args!("cannot let everybody write to {}: {error}", folder.display()));
        }
    }
    0
}
