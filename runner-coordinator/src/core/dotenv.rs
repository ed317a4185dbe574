//! Content of a `dotenv` report: <https://docs.gitlab.com/ci/yaml/artifacts_reports/#artifactsreportsdotenv>.

use std::io::Read;

use flate2::read::GzDecoder;

/// Largest report that is read, after decompression. GitLab's own limit is a setting, 5 KiB by default.
pub(crate) const LIMIT: u64 = 1024 * 1024;

/// A report that GitLab would refuse.
#[derive(Debug, thiserror::Error)]
pub(super) enum DotenvError {
    #[error("Invalid Format")]
    Format,
    #[error("Key may contain only letters, digits and '_'.")]
    Key,
    #[error("Dotenv Artifact Too Big. Maximum Allowable Size: {LIMIT}")]
    TooBig,
}

/// Reads `NAME=value` lines, gzipped (as runners send them) or plain. Of a name that comes twice the last one counts.
pub(super) fn parse(content: &[u8]) -> Result<Vec<(String, String)>, DotenvError> {
    let text = if content.starts_with(&[0x1f, 0x8b]) {
        let mut text = String::new();
        let mut limited = GzDecoder::new(content).take(LIMIT + 1);
        limited.read_to_string(&mut text).map_err(|_| DotenvError::Format)?;
        text
    } else {
        String::from_utf8(content.to_vec()).map_err(|_| DotenvError::Format)?
    };
    if text.len() as u64 > LIMIT {
        return Err(DotenvError::TooBig);
    }
    let mut variables: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        let (key, value) = line.split_once('=').ok_or(DotenvError::Format)?;
        let (key, value) = (key.trim(), value.trim());
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(DotenvError::Key);
        }
        match variables.iter_mut().find(|(known, _)| known == key) {
            Some((_, known)) => value.clone_into(known),
            None => variables.push((key.to_owned(), value.to_owned())),
        }
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn gzipped_and_plain() {
        let text = b"A=1\nURL=https://x/?a=b\nEMPTY=\nA=2\n";
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        let expected =
            [("A", "2"), ("URL", "https://x/?a=b"), ("EMPTY", "")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(parse(&encoder.finish().unwrap()).unwrap(), expected);
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn what_gitlab_refuses() {
        assert!(matches!(parse(b"no equals sign"), Err(DotenvError::Format)));
        assert!(matches!(parse(b"A-B=1"), Err(DotenvError::Key)));
        assert!(matches!(parse(&[0x1f, 0x8b, 0]), Err(DotenvError::Format)));
        assert!(matches!(parse(&[0xff, b'=']), Err(DotenvError::Format)));
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&vec![b'a'; 2 * 1024 * 1024]).unwrap();
        assert!(matches!(parse(&encoder.finish().unwrap()), Err(DotenvError::TooBig)));
    }
}
