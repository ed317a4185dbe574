//! Both streams of a job seen as one text, for logs whose reader cannot tell them apart.
//!
//! Each stream is masked already, so a value can only come about where the streams meet, or where a stage ended: only
//! there it is looked for. At the end of each piece the beginning of a value is held back all the same, because the other
//! stream may complete it.

use serde::{Deserialize, Serialize};

use super::masker::{Held, MaskRules, PhraseMasker};
use crate::executor::OutputStream;

/// Masks what comes about between two streams.
#[derive(Debug)]
pub(super) struct Joint {
    masker: PhraseMasker,
    last: Option<OutputStream>,
    /// Bytes since the last place where something met, as far as a value can reach.
    since: usize,
}

/// Where a [`Joint`] stands.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct JointState {
    held: Held,
    last: Option<OutputStream>,
    since: usize,
}

impl Default for JointState {
    fn default() -> Self {
        Self { held: Held::default(), last: None, since: usize::MAX }
    }
}

impl Joint {
    /// Goes on where [`state`](Self::state) was taken with the same rules.
    pub(super) fn restore(rules: &MaskRules, state: JointState) -> Self {
        Self { masker: rules.phrase_masker(state.held), last: state.last, since: state.since }
    }

    pub(super) fn state(&self) -> JointState {
        JointState { held: self.masker.state(), last: self.last, since: self.since }
    }

    /// Masked text of one stream.
    pub(super) fn push(&mut self, stream: OutputStream, text: &[u8], out: &mut impl FnMut(&[u8])) {
        if self.last.is_some_and(|last| last != stream) {
            self.since = 0;
        }
        self.last = Some(stream);
        let reach = self.masker.phrases().longest().saturating_sub(self.since).min(text.len());
        let (near, far) = text.split_at(reach);
        self.masker.push(near, out);
        self.masker.push_clean(far, out);
        self.since = self.since.saturating_add(text.len());
    }

    /// The streams are masked afresh from here on.
    pub(super) fn cut(&mut self) {
        self.since = 0;
    }

    /// Something comes in between over which no value reaches.
    pub(super) fn flush(&mut self, out: &mut impl FnMut(&[u8])) {
        self.masker.flush(out);
        self.last = None;
    }
}
