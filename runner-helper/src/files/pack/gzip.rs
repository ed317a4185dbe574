//! One gzip member per file, one after the other. The file's path travels in the member's comment.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};

use super::{about, regular_file};

pub(super) fn write(folder: &Path, files: &[PathBuf], to: &mut dyn Write) -> io::Result<()> {
    for file in files {
        let path = folder.join(file);
        member(&path, file, &mut *to).map_err(|error| about(file, error))?;
    }
    Ok(())
}

fn member(path: &Path, name: &Path, to: &mut dyn Write) -> io::Result<()> {
    let mut content = regular_file(path)?;
    let base = name.file_name().unwrap_or_default();
    let modified = u32::try_from(content.metadata()?.mtime()).unwrap_or(0);
    let mut encoder = GzBuilder::new()
        .filename(header_text(&base.to_string_lossy()))
        .comment(header_text(&name.to_string_lossy()))
        .mtime(modified)
        .write(to, Compression::default());
    io::copy(&mut content, &mut encoder)?;
    encoder.finish()?;
    Ok(())
}

/// Texts of a gzip header are Latin-1 without NUL: what is not plain ASCII is percent-encoded behind `e:`.
fn header_text(text: &str) -> String {
    if text.bytes().all(|byte| byte.is_ascii() && byte != b'%' && byte != 0) {
        return text.to_owned();
    }
    let mut encoded = "e:".to_owned();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~$&+/:=@".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::{GzDecoder, MultiGzDecoder};

    use super::*;

    #[test]
    fn members_follow_each_other() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("d")).unwrap();
        std::fs::write(folder.path().join("a.xml"), "one").unwrap();
        std::fs::write(folder.path().join("d/b.xml"), "two").unwrap();
        let mut packed = Vec::new();
        write(folder.path(), &["a.xml".into(), "d/b.xml".into()], &mut packed).unwrap();

        let mut all = String::new();
        MultiGzDecoder::new(packed.as_slice()).read_to_string(&mut all).unwrap();
        assert_eq!(all, "onetwo");
        let first = GzDecoder::new(packed.as_slice());
        let header = first.header().unwrap();
        assert_eq!((header.filename(), header.comment()), (Some(&b"a.xml"[..]), Some(&b"a.xml"[..])));
        assert!(header.mtime() > 0);
        let second = packed.windows(2).rposition(|pair| pair == [0x1f, 0x8b]).unwrap();
        let second = GzDecoder::new(&packed[second..]);
        let header = second.header().unwrap();
        assert_eq!((header.filename(), header.comment()), (Some(&b"b.xml"[..]), Some(&b"d/b.xml"[..])));
    }

    #[test]
    fn a_folder_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("d")).unwrap();
        let error = write(folder.path(), &["d".into()], &mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("is not a regular file"), "{error}");
    }

    #[test]
    fn header_texts() {
        for (text, expected) in
            [("a b.xml", "a b.xml"), ("ä", "e:%C3%A4"), ("50%", "e:50%25"), ("d/ä b", "e:d/%C3%A4%20b")]
        {
            assert_eq!(header_text(text), expected);
        }
    }
}
