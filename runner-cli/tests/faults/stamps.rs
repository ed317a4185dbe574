//! Takes the headers with time and stream out of a trace.

use std::str;

/// Time in front of each line, stream and flag: `2026-11-23T10:00:00.123456Z 01O `.
const HEADER: usize = 32;

/// A trace without its headers.
#[derive(Debug, Default)]
pub(crate) struct Unstamped {
    /// What the runner and the job have printed, in order.
    pub(crate) text: Vec<u8>,
    /// What the job has printed to standard error, if that is kept apart.
    pub(crate) errors: Vec<u8>,
}

/// Reads a trace in which every line has a header. What went to standard error is kept apart, or where it stands.
pub(crate) fn unstamped(trace: &[u8], apart: bool) -> Result<Unstamped, String> {
    let mut pieces: Vec<(&str, Vec<u8>)> = Vec::new();
    for line in trace.split_inclusive(|byte| *byte == b'\n') {
        let header = line.get(..HEADER).and_then(|header| str::from_utf8(header).ok());
        let header = header.filter(|header| has_form(header)).ok_or_else(|| {
            format!("a line without header: {:?}", String::from_utf8_lossy(&line[..line.len().min(80)]))
        })?;
        let (stream, continues) = (&header[28..31], &header[31..] == "+");
        let text = &line[HEADER..];
        if !continues {
            pieces.push((stream, text.to_vec()));
            continue;
        }
        let last = pieces.iter_mut().rev().find(|piece| piece.0 == stream);
        let last = &mut last.ok_or_else(|| format!("{header:?} continues nothing"))?.1;
        // The line end was only there because another line could have followed.
        if last.pop() != Some(b'\n') {
            return Err(format!("{header:?} continues a line without end"));
        }
        last.extend_from_slice(text);
    }
    let mut found = Unstamped::default();
    for (stream, text) in pieces {
        match stream {
            "01E" if apart => found.errors.extend(text),
            "00O" | "01O" | "01E" => found.text.extend(text),
            _ => return Err(format!("an unknown stream: {stream}")),
        }
    }
    Ok(found)
}

fn has_form(header: &str) -> bool {
    let pattern = "0000-00-00T00:00:00.000000Z ";
    let fits = |(char, form): (char, char)| if form == '0' { char.is_ascii_digit() } else { char == form };
    header.len() == HEADER
        && header.chars().zip(pattern.chars()).all(fits)
        && [" ", "+"].contains(&&header[31..])
}
