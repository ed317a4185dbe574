//! Makes text valid UTF-8: what is not becomes U+FFFD.
//!
//! A character that is cut by the end of a piece is held back until its rest comes, so the result does not depend on how
//! the text was cut.

const REPLACEMENT: &[u8] = "\u{FFFD}".as_bytes();

/// Repairs one stream of text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Utf8Repair {
    /// The beginning of a character, at most three bytes.
    held: Vec<u8>,
}

impl Utf8Repair {
    /// Goes on where [`state`](Self::state) was taken.
    pub(super) fn restore(held: Vec<u8>) -> Self {
        Self { held }
    }

    pub(super) fn state(&self) -> Vec<u8> {
        self.held.clone()
    }

    /// Reads a piece of text; `out` gets valid UTF-8 only, in pieces that end between characters.
    pub(super) fn push(&mut self, mut text: &[u8], out: &mut impl FnMut(&[u8])) {
        while !self.held.is_empty() {
            let Some((&byte, rest)) = text.split_first() else { return };
            self.held.push(byte);
            match std::str::from_utf8(&self.held) {
                Ok(_) => {
                    out(&self.held);
                    self.held.clear();
                    text = rest;
                }
                Err(error) if error.error_len().is_none() => text = rest,
                // The byte does not continue the character: it is looked at again on its own.
                Err(_) => {
                    out(REPLACEMENT);
                    self.held.clear();
                }
            }
        }
        while let Err(error) = std::str::from_utf8(text) {
            let (valid, rest) = text.split_at(error.valid_up_to());
            if !valid.is_empty() {
                out(valid);
            }
            let Some(len) = error.error_len() else {
                self.held.extend_from_slice(rest);
                return;
            };
            out(REPLACEMENT);
            text = &rest[len..];
        }
        if !text.is_empty() {
            out(text);
        }
    }

    /// The text ends here: a character that was begun is not finished any more.
    pub(super) fn flush(&mut self, out: &mut impl FnMut(&[u8])) {
        if !self.held.is_empty() {
            self.held.clear();
            out(REPLACEMENT);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn repair<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
        let mut repair = Utf8Repair::default();
        let mut all = String::new();
        for piece in pieces {
            repair.push(piece, &mut |bytes| all.push_str(std::str::from_utf8(bytes).unwrap()));
            repair = Utf8Repair::restore(repair.state());
        }
        repair.flush(&mut |bytes| all.push_str(std::str::from_utf8(bytes).unwrap()));
        all
    }

    #[test]
    fn invalid_bytes_are_replaced_wherever_the_text_is_cut() {
        for text in [
            &b"a\xffb"[..],
            b"\xe2\x82",
            b"\xe2\x82\xac",
            b"\xf0\x90A",
            b"\xc3\xc3\xa9",
            b"\xf0\x9f\x98\x80\x80",
        ] {
            let expected = String::from_utf8_lossy(text);
            assert_eq!(repair([text]), expected);
            for at in 0..text.len() {
                assert_eq!(repair([&text[..at], &text[at..]]), expected, "{text:?} cut at {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces(
            text in prop::collection::vec(prop::sample::select(&b"a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xff"[..]), 0..20),
            size in 1usize..5,
        ) {
            prop_assert_eq!(repair(text.chunks(size)), String::from_utf8_lossy(&text));
        }
    }
}
