//! The spec: there and back, refusals, and no secret in anything that is printed.
#![cfg(feature = "spec")]

use runner_frames::{SecretFile, Spec, SpecError, Variable};
use secrecy::{ExposeSecret, SecretString};

fn spec() -> Spec {
    let mut spec = Spec::new(vec!["bash".into(), "-l".into()], "/builds");
    spec.env.push(Variable { key: "TOKEN".into(), value: SecretString::from("s3cret-value") });
    spec.secret_files.push(SecretFile {
        path: "/builds/p.tmp/KEY".into(),
        content: SecretString::from("s3cret-file"),
        mode: 0o600,
    });
    spec
}

#[test]
fn a_spec_comes_back() {
    let read = Spec::from_json(&spec().to_json().unwrap()).unwrap();
    assert_eq!(read.shell, ["bash", "-l"]);
    assert_eq!(
        (read.cwd.as_str(), read.default_grace_ms, read.leftover_grace_ms),
        ("/builds", 30_000, 1_000)
    );
    assert_eq!(read.env[0].value.expose_secret(), "s3cret-value");
    assert_eq!(read.secret_files[0].content.expose_secret(), "s3cret-file");
    assert_eq!(read.secret_files[0].mode, 0o600);
}

#[test]
fn neither_debug_nor_errors_show_a_secret() {
    assert!(!format!("{:?}", spec()).contains("s3cret"));
    let text = String::from_utf8(spec().to_json().unwrap()).unwrap();
    let broken = text.replace("\"mode\":384", "\"mode\":\"s3cret-mode\"");
    let error = Spec::from_json(broken.as_bytes()).unwrap_err();
    assert!(matches!(error, SpecError::Json { .. }));
    assert!(!format!("{error} {error:?}").contains("s3cret"));
}

#[test]
fn what_is_not_understood_is_refused() {
    let text = String::from_utf8(spec().to_json().unwrap()).unwrap();
    let newer = text.replacen("\"version\":1", "\"version\":2", 1);
    assert_eq!(Spec::from_json(newer.as_bytes()).unwrap_err(), SpecError::UnsupportedVersion { version: 2 });
    let unknown = text.replacen("{", "{\"umask\":0,", 1);
    assert!(matches!(Spec::from_json(unknown.as_bytes()), Err(SpecError::Json { .. })));
    let empty = text.replace("[\"bash\",\"-l\"]", "[]");
    assert_eq!(Spec::from_json(empty.as_bytes()).unwrap_err(), SpecError::NoShell);
}
