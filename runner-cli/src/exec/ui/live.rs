//! Lines that stay at the bottom of a terminal while text scrolls above them.

use std::fmt::Write as _;
use std::io::Write;

/// How large a terminal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

/// A line at the bottom: what is written, and how many columns that takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fixed {
    pub(crate) text: String,
    pub(crate) width: usize,
}

/// A terminal with lines at its bottom.
///
/// It changes no mode of the terminal: whatever ends the process, all that may be left behind is the lines. Each change is one
/// write, so that nothing flickers. Text above is written as it is and ends its own lines, so it can be copied and survives a
/// change of the window's size. Dropping it takes the lines away.
pub(crate) struct Live {
    out: Box<dyn Write + Send>,
    size: Box<dyn Fn() -> Size + Send>,
    lines: Vec<Fixed>,
    /// Columns of the lines that are on the terminal; the cursor is behind the last one.
    drawn: Vec<usize>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("lines", &self.lines).finish_non_exhaustive()
    }
}

impl Live {
    /// A terminal without lines yet; `size` is asked each time.
    pub(crate) fn new(out: impl Write + Send + 'static, size: impl Fn() -> Size + Send + 'static) -> Self {
        Self { out: Box::new(out), size: Box::new(size), lines: Vec::new(), drawn: Vec::new() }
    }

    /// How large it is now.
    pub(crate) fn size(&self) -> Size {
        (self.size)()
    }

    /// Writes whole lines above the fixed ones.
    pub(crate) fn print(&mut self, text: &str) -> std::io::Result<()> {
        let mut frame = self.to_the_top();
        frame.push_str("\u{1b}[J");
        frame.push_str(text);
        self.draw(frame)
    }

    /// Shows these lines instead of those that are there. They must not be wider than the terminal.
    pub(crate) fn show(&mut self, lines: Vec<Fixed>) -> std::io::Result<()> {
        if self.lines == lines && self.drawn.len() == lines.len() {
            return Ok(());
        }
        let frame = self.to_the_top();
        self.lines = lines;
        self.draw(frame)
    }

    /// To the beginning of the first fixed line. In a window that has become narrower a line takes several rows.
    fn to_the_top(&self) -> String {
        let columns = self.size().columns.max(1);
        let rows: usize = self.drawn.iter().map(|width| width.div_ceil(columns).max(1)).sum();
        match rows {
            0 => String::new(),
            1 => "\r".to_owned(),
            _ => format!("\r\u{1b}[{}A", rows - 1),
        }
    }

    fn draw(&mut self, mut frame: String) -> std::io::Result<()> {
        for (number, line) in self.lines.iter().enumerate() {
            if number > 0 {
                frame.push('\n');
            }
            // Over what stood there, not after erasing it.
            let _ = write!(frame, "{}\u{1b}[K", line.text);
        }
        frame.push_str("\u{1b}[J");
        self.drawn = self.lines.iter().map(|line| line.width).collect();
        self.out.write_all(frame.as_bytes())?;
        self.out.flush()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if self.drawn.is_empty() {
            return;
        }
        // A panic has said something below the lines, which is to stay.
        let end = if std::thread::panicking() { "\n".to_owned() } else { self.to_the_top() + "\u{1b}[J" };
        let _ = self.out.write_all(end.as_bytes()).and_then(|()| self.out.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::{Fixed, Live, Size};
    use crate::exec::ui::paper::Paper;

    fn line(text: &str) -> Fixed {
        Fixed { text: text.to_owned(), width: text.len() }
    }

    fn live(paper: &Paper) -> Live {
        Live::new(paper.clone(), || Size { rows: 10, columns: 20 })
    }

    #[test]
    fn text_goes_above_the_lines_in_one_write() {
        let paper = Paper::default();
        let mut live = live(&paper);
        live.print("first\n").unwrap();
        live.show(vec![line("one"), line("two")]).unwrap();
        assert_eq!(paper.take(), "\u{1b}[Jfirst\n\u{1b}[Jone\u{1b}[K\ntwo\u{1b}[K\u{1b}[J");
        live.print("more\n").unwrap();
        assert_eq!(paper.take(), "\r\u{1b}[1A\u{1b}[Jmore\none\u{1b}[K\ntwo\u{1b}[K\u{1b}[J");
        assert_eq!(paper.writes(), 3);
        live.show(vec![line("one"), line("two")]).unwrap();
        assert_eq!(paper.take(), "");
        live.show(vec![line("1")]).unwrap();
        assert_eq!(paper.take(), "\r\u{1b}[1A1\u{1b}[K\u{1b}[J");
        drop(live);
        assert_eq!(paper.take(), "\r\u{1b}[J");
    }

    #[test]
    fn lines_that_a_narrower_window_has_broken_are_found() {
        let paper = Paper::default();
        let columns = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(20));
        let now = std::sync::Arc::clone(&columns);
        let size = move || Size { rows: 10, columns: now.load(std::sync::atomic::Ordering::Relaxed) };
        let mut live = Live::new(paper.clone(), size);
        live.show(vec![line("123456789012345"), line("12345")]).unwrap();
        columns.store(10, std::sync::atomic::Ordering::Relaxed);
        paper.take();
        live.show(vec![line("x")]).unwrap();
        assert!(paper.take().starts_with("\r\u{1b}[2Ax"));
    }
}
