//! JUnit reports of jobs: how many tests there were, and which failed.

use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// What is read of one report, unpacked.
const LONGEST: u64 = 64 * 1024 * 1024;
/// What is kept of a message.
const LONGEST_MESSAGE: usize = 400;

/// The tests of one job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tests {
    pub(crate) total: usize,
    pub(crate) skipped: usize,
    pub(crate) failed: Vec<FailedTest>,
}

/// A test that failed, or broke.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FailedTest {
    /// Class and name.
    pub(crate) name: String,
    /// First line of what it said.
    pub(crate) message: String,
}

/// Why a report cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JunitError {
    #[error("the report cannot be read")]
    Read(#[from] std::io::Error),
    #[error("the report is no XML: {0}")]
    Xml(#[from] quick_xml::Error),
}

impl Tests {
    /// Reads what a job has uploaded: one or more files, each packed with gzip.
    ///
    /// # Errors
    /// When it is no gzip, or not XML. What was read before is lost.
    pub(crate) fn of_archive(archive: &Path) -> Result<Self, JunitError> {
        let mut text = Vec::new();
        MultiGzDecoder::new(std::fs::File::open(archive)?).take(LONGEST).read_to_end(&mut text)?;
        Self::of(&String::from_utf8_lossy(&text))
    }

    /// Reads reports, one after the other.
    fn of(text: &str) -> Result<Self, JunitError> {
        let mut tests = Self::default();
        let mut reader = Reader::from_str(text);
        // Several files make several roots, which XML does not have; names of ends are checked all the same.
        reader.config_mut().allow_unmatched_ends = false;
        let mut case: Option<FailedTest> = None;
        let mut failing = false;
        loop {
            match reader.read_event()? {
                Event::Start(tag) => match tag.local_name().as_ref() {
                    "testcase" => {
                        tests.total += 1;
                        case = Some(FailedTest { name: name(&tag), message: String::new() });
                    }
                    "failure" | "error" if case.is_some() => failing = tests.fail(&mut case, &tag),
                    "skipped" if case.is_some() => tests.skipped += 1,
                    _ => {}
                },
                Event::Empty(tag) => match tag.local_name().as_ref() {
                    "testcase" => tests.total += 1,
                    "failure" | "error" if case.is_some() => {
                        tests.fail(&mut case, &tag);
                    }
                    "skipped" if case.is_some() => tests.skipped += 1,
                    _ => {}
                },
                Event::Text(text) if failing => tests.say(&text),
                Event::CData(text) if failing => tests.say(&text),
                Event::End(tag) => match tag.local_name().as_ref() {
                    "testcase" => case = None,
                    "failure" | "error" => failing = false,
                    _ => {}
                },
                Event::Eof => return Ok(tests),
                _ => {}
            }
        }
    }

    /// The test in hand has failed; only once, whatever else it says.
    fn fail(&mut self, case: &mut Option<FailedTest>, tag: &BytesStart<'_>) -> bool {
        let Some(case) = case.as_mut().filter(|case| !case.name.is_empty()) else { return false };
        let message = attribute(tag, "message").unwrap_or_default();
        self.failed.push(FailedTest { name: std::mem::take(&mut case.name), message: first_line(&message) });
        true
    }

    /// The text of a failure, for one that had no message.
    fn say(&mut self, text: &str) {
        if let Some(last) = self.failed.last_mut().filter(|last| last.message.is_empty()) {
            last.message = first_line(text);
        }
    }
}

fn name(tag: &BytesStart<'_>) -> String {
    let name = attribute(tag, "name").filter(|name| !name.is_empty()).unwrap_or_else(|| "a test".to_owned());
    match attribute(tag, "classname").filter(|class| !class.is_empty()) {
        Some(class) => format!("{class} {name}"),
        None => name,
    }
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = tag.attributes().flatten().find(|attribute| attribute.key.as_ref() == name)?;
    let raw = attribute.value.into_owned();
    Some(quick_xml::escape::unescape(&raw).map(std::borrow::Cow::into_owned).unwrap_or(raw))
}

fn first_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(LONGEST_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const REPORT: &str = r#"<?xml version="1.0"?>
<testsuites><testsuite name="s" tests="4">
  <testcase classname="a::b" name="works"/>
  <testcase classname="a::b" name="is &lt;wrong&gt;"><failure message="1 &amp; 2&#10;more" type="t">trace</failure><system-out>x</system-out></testcase>
  <testcase name="breaks"><error><![CDATA[
    the reason
    further]]></error><failure>again</failure></testcase>
  <testcase name="later"><skipped/></testcase>
</testsuite></testsuites>
"#;

    fn expected() -> Tests {
        let failed = |name: &str, message: &str| FailedTest { name: name.into(), message: message.into() };
        Tests {
            total: 4,
            skipped: 1,
            failed: vec![failed("a::b is <wrong>", "1 & 2"), failed("breaks", "the reason")],
        }
    }

    #[test]
    fn tests_are_counted_and_failures_named() {
        assert_eq!(Tests::of(REPORT).unwrap(), expected());
        assert_eq!(Tests::of("").unwrap(), Tests::default());
    }

    #[test]
    fn several_files_are_one_report() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("junit.xml.gz");
        let mut archive = Vec::new();
        for _ in 0..2 {
            let mut packer = flate2::write::GzEncoder::new(&mut archive, flate2::Compression::fast());
            packer.write_all(REPORT.as_bytes()).unwrap();
            packer.finish().unwrap();
        }
        std::fs::write(&path, archive).unwrap();
        let tests = Tests::of_archive(&path).unwrap();
        assert_eq!((tests.total, tests.failed.len()), (8, 4));
    }

    #[test]
    fn what_is_no_report_is_an_error() {
        for text in ["<a><b></a>", "<testcase name=\"x"] {
            assert!(Tests::of(text).is_err(), "{text}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "no gzip").unwrap();
        assert!(Tests::of_archive(&path).is_err());
    }
}
