//! The parts of a trace, by strict rules: whatever is not understood is an error.

/// A whole trace.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// What the runner has said outside of sections, line by line, without colours and line ends.
    pub(crate) said: Vec<String>,
    /// Sections in order: name and content.
    pub(crate) sections: Vec<(String, Vec<u8>)>,
}

const CLEAR: &[u8] = b"\x1b[0K";
const HEAD: &[u8] = b"section_start:";

impl Trace {
    /// Takes a trace without timestamps apart.
    pub(crate) fn read(mut rest: &[u8]) -> Result<Self, String> {
        let mut trace = Self::default();
        while !rest.is_empty() {
            rest = if rest.starts_with(HEAD) { trace.section(rest)? } else { trace.line(rest)? };
        }
        Ok(trace)
    }

    /// The content of the only section of this name.
    pub(crate) fn section_named(&self, name: &str) -> Result<&[u8], String> {
        let mut found = self.sections.iter().filter(|section| section.0 == name);
        match (found.next(), found.next()) {
            (Some(section), None) => Ok(&section.1),
            (None, _) => Err(format!("no section {name}")),
            _ => Err(format!("more than one section {name}")),
        }
    }

    fn section<'a>(&mut self, rest: &'a [u8]) -> Result<&'a [u8], String> {
        let end = find(rest, b"\r").ok_or("a section's head without end")?;
        let head = String::from_utf8_lossy(&rest[HEAD.len()..end]).into_owned();
        let (time, name) = head.split_once(':').ok_or("a section without name")?;
        let body = rest[end + 1..].strip_prefix(CLEAR).ok_or("a section's head is not cleared")?;
        is_time(time)?;
        let mut from = 0;
        loop {
            let at =
                find(&body[from..], b"section_end:").ok_or_else(|| format!("section {name} does not end"))?;
            let (content, tail) = body.split_at(from + at);
            let tail = &tail[b"section_end:".len()..];
            let digits = tail.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let own = format!(":{name}\r");
            let after = tail[digits..].strip_prefix(own.as_bytes()).and_then(|tail| tail.strip_prefix(CLEAR));
            if let Some(after) = after {
                self.sections.push((name.to_owned(), content.to_vec()));
                return Ok(after);
            }
            from += at + 1;
        }
    }

    fn line<'a>(&mut self, rest: &'a [u8]) -> Result<&'a [u8], String> {
        let end = find(rest, b"\n")
            .ok_or_else(|| format!("a line without end: {:?}", String::from_utf8_lossy(rest)))?;
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        let text = line.strip_suffix("\x1b[0;m").and_then(|line| {
            let colours = ["\x1b[0K", "\x1b[32;1m", "\x1b[0;33m", "\x1b[31;1m"];
            colours.iter().find_map(|colour| line.strip_prefix(colour))
        });
        let text = text.ok_or_else(|| format!("not a line of the runner: {line:?}"))?;
        self.said.push(text.to_owned());
        Ok(&rest[end + 1..])
    }
}

/// The line that begins a section's content.
pub(crate) fn headline(text: &str) -> Vec<u8> {
    format!("\x1b[0K\x1b[36;1m{text}\x1b[0;m\x1b[0;m\n").into_bytes()
}

/// A line that a script of the runner's own prints.
pub(crate) fn notice(text: &str) -> Vec<u8> {
    format!("\x1b[32;1m{text}\x1b[0;m\n").into_bytes()
}

/// Where some bytes are found first.
pub(crate) fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut from = 0;
    while let Some(at) = text[from..].iter().position(|byte| *byte == first) {
        if text[from + at..].starts_with(wanted) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

fn is_time(text: &str) -> Result<(), String> {
    match text.parse::<u64>() {
        Ok(1_500_000_000..) => Ok(()),
        _ => Err(format!("not a time: {text}")),
    }
}
