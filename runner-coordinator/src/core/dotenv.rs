//! Variables that a job hands to later jobs in a `dotenv` report:
//! <https://docs.gitlab.com/ci/yaml/artifacts_reports/#artifactsreportsdotenv>.

use std::io::Read;

use flate2::read::GzDecoder;

/// Largest report that is read, after decompression.
const LIMIT: u64 = 1024 * 1024;
/// More bytes are refused by a default GitLab.
const MAX_BYTES: usize = 5 * 1024;
/// More variables are refused by a default GitLab.
const MAX_VARIABLES: usize = 20;

/// A report that could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dotenv {
    /// The variables in their order; of a name that occurs twice the later one counts.
    pub variables: Vec<(String, String)>,
    /// Limits of a default server that the report exceeds; fragments of text for the user.
    pub warnings: Vec<String>,
}

/// A report that GitLab refuses, which fails the job at the upload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DotenvError {
    /// A line is not `KEY=VALUE`: blank, a comment, part of a value of several lines.
    #[error("invalid format: line {line} of the dotenv report is not KEY=VALUE")]
    Format {
        /// Number of the line, from 1.
        line: usize,
    },
    /// A key holds something else than letters, digits and `_`.
    #[error("invalid key: line {line} of the dotenv report; only letters, digits and '_' are allowed")]
    Key {
        /// Number of the line, from 1.
        line: usize,
    },
    /// Not UTF-8, and no UTF-16 with a byte order mark either.
    #[error("invalid encoding: the dotenv report is neither UTF-8 nor UTF-16")]
    Encoding,
    /// It cannot be decompressed.
    #[error("invalid format: the dotenv report is not a whole gzip file")]
    Gzip,
    /// It is far too long.
    #[error("dotenv report too big: at most {LIMIT} bytes are read")]
    TooBig,
}

/// Reads a `dotenv` report: lines `KEY=VALUE`, split at the first `=`, both sides trimmed. Quotes are part of the value;
/// there are no comments, no blank lines and no values of several lines.
///
/// <https://docs.gitlab.com/ci/yaml/artifacts_reports/#artifactsreportsdotenv>
///
/// # Errors
/// For everything that GitLab answers with 400.
pub fn parse_dotenv(report: &[u8]) -> Result<Dotenv, DotenvError> {
    let text = decode(report)?;
    let mut variables = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        let (key, value) = line.split_once('=').ok_or(DotenvError::Format { line: line_number })?;
        let (key, value) = (key.trim(), value.trim());
        if key.starts_with('#') {
            return Err(DotenvError::Format { line: line_number });
        }
        if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(DotenvError::Key { line: line_number });
        }
        variables.push((key.to_owned(), value.to_owned()));
    }
    let mut warnings = Vec::new();
    if report.len() > MAX_BYTES {
        warnings
            .push(format!("dotenv report of {} bytes; GitLab's default limit is {MAX_BYTES}", report.len()));
    }
    if variables.len() > MAX_VARIABLES {
        warnings.push(format!(
            "dotenv report of {} variables; GitLab's default limit is {MAX_VARIABLES}",
            variables.len()
        ));
    }
    Ok(Dotenv { variables, warnings })
}

/// Reads a report as it was uploaded: gzipped, as runners send it, or plain. Of a name that comes twice the last value
/// stays.
///
/// # Errors
/// As [`parse_dotenv`], and when it cannot be unpacked or holds more than 1 MiB.
pub fn read_dotenv(upload: &[u8]) -> Result<Dotenv, DotenvError> {
    let mut unpacked = Vec::new();
    let report = if upload.starts_with(&[0x1f, 0x8b]) {
        let mut limited = GzDecoder::new(upload).take(LIMIT + 1);
        limited.read_to_end(&mut unpacked).map_err(|_| DotenvError::Gzip)?;
        unpacked.as_slice()
    } else {
        upload
    };
    if report.len() as u64 > LIMIT {
        return Err(DotenvError::TooBig);
    }
    let mut variables: Vec<(String, String)> = Vec::new();
    let parsed = parse_dotenv(report)?;
    for (key, value) in parsed.variables {
        match variables.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => *known = value,
            None => variables.push((key, value)),
        }
    }
    Ok(Dotenv { variables, warnings: parsed.warnings })
}

fn decode(report: &[u8]) -> Result<String, DotenvError> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let pairs = bytes.chunks_exact(2);
        if !pairs.remainder().is_empty() {
            return Err(DotenvError::Encoding);
        }
        let units: Vec<u16> = pairs.map(|pair| unit([pair[0], pair[1]])).collect();
        String::from_utf16(&units).map_err(|_| DotenvError::Encoding)
    };
    match report {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] | rest => {
            std::str::from_utf8(rest).map(str::to_owned).map_err(|_| DotenvError::Encoding)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn variables(report: &[u8]) -> Vec<(String, String)> {
        parse_dotenv(report).unwrap().variables
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn lines() {
        assert_eq!(
            variables(b" A = x y \nB=\"q=1\"\r\nC="),
            [pair("A", "x y"), pair("B", "\"q=1\""), pair("C", "")]
        );
        assert_eq!(variables(b""), []);
    }

    #[test]
    fn encodings() {
        assert_eq!(variables(b"\xef\xbb\xbfA=1\n"), [pair("A", "1")]);
        assert_eq!(variables(b"\xff\xfeA\0=\0\xfc\0"), [pair("A", "ü")]);
        assert_eq!(variables(b"\xfe\xff\0A\0=\x001"), [pair("A", "1")]);
        assert_eq!(parse_dotenv(b"A=\xff"), Err(DotenvError::Encoding));
        assert_eq!(parse_dotenv(b"\xff\xfeA"), Err(DotenvError::Encoding));
    }

    // Conformance scenario 57, the comment line.
    #[test]
    fn refused_lines() {
        for (report, error) in [
            (&b"# comment\nA=1"[..], DotenvError::Format { line: 1 }),
            (b"A=1\n# B=2", DotenvError::Format { line: 2 }),
            (b"A=1\n\nB=2", DotenvError::Format { line: 2 }),
            (b"A=1\nmore", DotenvError::Format { line: 2 }),
            (b"A=1\n\n", DotenvError::Format { line: 2 }),
            (b"\nA=1", DotenvError::Format { line: 1 }),
            (b"A=\"1\n2\"", DotenvError::Format { line: 2 }),
            (b"\xef\xbb\xbf# c", DotenvError::Format { line: 1 }),
            (b"A B=1", DotenvError::Key { line: 1 }),
            (b"A-B=1", DotenvError::Key { line: 1 }),
            (b"=1", DotenvError::Key { line: 1 }),
            (b"export A=1", DotenvError::Key { line: 1 }),
        ] {
            assert_eq!(parse_dotenv(report), Err(error), "{}", String::from_utf8_lossy(report));
        }
    }

    #[test]
    fn limits_only_warn() {
        let many: String = (0..21).map(|n| format!("V{n}={}\n", "x".repeat(300))).collect();
        let report = parse_dotenv(many.as_bytes()).unwrap();
        assert_eq!((report.variables.len(), report.warnings.len()), (21, 2));
    }

    #[test]
    fn gzipped_and_plain() {
        let text = b"A=1\nURL=https://x/?a=b\nEMPTY=\nA=2\n";
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        let expected =
            [("A", "2"), ("URL", "https://x/?a=b"), ("EMPTY", "")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(read_dotenv(&encoder.finish().unwrap()).unwrap().variables, expected);
        assert_eq!(read_dotenv(text).unwrap().variables, expected);
    }

    #[test]
    fn what_gitlab_refuses() {
        assert!(matches!(read_dotenv(b"no equals sign"), Err(DotenvError::Format { line: 1 })));
        assert!(matches!(read_dotenv(b"A-B=1"), Err(DotenvError::Key { line: 1 })));
        assert!(matches!(read_dotenv(&[0x1f, 0x8b, 0]), Err(DotenvError::Gzip)));
        assert!(matches!(read_dotenv(&[0xff, b'=']), Err(DotenvError::Encoding)));
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&vec![b'a'; 2 * 1024 * 1024]).unwrap();
        assert!(matches!(read_dotenv(&encoder.finish().unwrap()), Err(DotenvError::TooBig)));
    }
}
