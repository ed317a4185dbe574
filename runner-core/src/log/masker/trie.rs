//! The automaton that knows how much of the text must still be held back.
//!
//! `aho-corasick` finds matches fast but does not tell how long the unfinished match at the end of a piece is. This small
//! Aho-Corasick automaton does: each node is a prefix of a pattern, its depth is what may still become a match. It only
//! walks near matches and over the ends of pieces.

/// Index of a node: which prefix of a pattern the text read so far ends with.
pub(super) type Node = u32;

/// The node of a text that ends with no prefix of any pattern.
pub(super) const ROOT: Node = 0;

/// Patterns as a tree of their prefixes with links to the next shorter one. Never changes once built.
#[derive(Debug)]
pub(super) struct Trie {
    /// Next node from the root, by byte.
    root: Box<[Node; 256]>,
    nodes: Vec<Info>,
    /// Children of all nodes but the root; each node owns one range.
    edges: Vec<(u8, Node)>,
    /// Bytes that stand in a pattern before its last byte: a text that ends with another one is not open.
    inner: Box<[bool; 256]>,
    longest: usize,
}

#[derive(Debug, Clone, Copy)]
struct Info {
    edges: (u32, u32),
    /// Longest proper suffix that is a prefix of a pattern.
    fail: Node,
    /// Nearest suffix, itself included, that a longer pattern continues.
    open: Node,
    depth: u32,
    /// Length of the longest pattern that ends here; 0: none.
    matched: u32,
}

impl Trie {
    /// Builds the automaton; empty patterns are ignored.
    pub(super) fn new<'a>(patterns: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut children: Vec<Vec<(u8, Node)>> = vec![Vec::new()];
        let mut ends = vec![false];
        let mut longest = 0;
        for pattern in patterns {
            longest = longest.max(pattern.len());
            let mut node = ROOT;
            for &byte in pattern {
                node = match children[node as usize].iter().find(|edge| edge.0 == byte) {
                    Some(edge) => edge.1,
                    None => {
                        let new = children.len() as Node;
                        children[node as usize].push((byte, new));
                        children.push(Vec::new());
                        ends.push(false);
                        new
                    }
                };
            }
            ends[node as usize] = node != ROOT;
        }
        Self::link(&children, &ends, longest)
    }

    /// Lays the tree out flat and sets the links, shorter prefixes first.
    fn link(children: &[Vec<(u8, Node)>], ends: &[bool], longest: usize) -> Self {
        let blank = Info { edges: (0, 0), fail: ROOT, open: ROOT, depth: 0, matched: 0 };
        let mut trie = Self {
            root: Box::new([ROOT; 256]),
            nodes: vec![blank; children.len()],
            edges: Vec::new(),
            inner: Box::new([false; 256]),
            longest,
        };
        for &(byte, child) in &children[0] {
            trie.root[usize::from(byte)] = child;
        }
        let mut queue = std::collections::VecDeque::from([ROOT]);
        while let Some(node) = queue.pop_front() {
            let start = trie.edges.len() as u32;
            for &(byte, child) in &children[node as usize] {
                trie.edges.push((byte, child));
                trie.inner[usize::from(byte)] |= !children[child as usize].is_empty();
                let fail = if node == ROOT { ROOT } else { trie.next(trie.nodes[node as usize].fail, byte) };
                let depth = trie.nodes[node as usize].depth + 1;
                let shorter = trie.nodes[fail as usize];
                trie.nodes[child as usize] = Info {
                    edges: (0, 0),
                    fail,
                    open: if children[child as usize].is_empty() { shorter.open } else { child },
                    depth,
                    matched: if ends[child as usize] { depth } else { shorter.matched },
                };
                queue.push_back(child);
            }
            trie.nodes[node as usize].edges = (start, trie.edges.len() as u32);
        }
        trie
    }

    /// Length of the longest pattern, in bytes.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// Reads one byte: the longest prefix of a pattern, whole patterns included, that the text now ends with.
    pub(super) fn next(&self, mut node: Node, byte: u8) -> Node {
        while node != ROOT {
            let info = self.nodes[node as usize];
            let edges = &self.edges[info.edges.0 as usize..info.edges.1 as usize];
            if let Some(edge) = edges.iter().find(|edge| edge.0 == byte) {
                return edge.1;
            }
            node = info.fail;
        }
        self.root[usize::from(byte)]
    }

    /// Length of the longest pattern that ends at `node`; 0: none.
    pub(super) fn matched(&self, node: Node) -> usize {
        self.nodes[node as usize].matched as usize
    }

    /// The same text, seen as the longest prefix that can still grow into a pattern.
    pub(super) fn open(&self, node: Node) -> Node {
        self.nodes[node as usize].open
    }

    /// Length of the prefix that `node` stands for.
    pub(super) fn depth(&self, node: Node) -> usize {
        self.nodes[node as usize].depth as usize
    }

    /// The open node behind `text`, which contains no pattern and follows a text that ended at `node`.
    pub(super) fn open_after(&self, node: Node, text: &[u8]) -> Node {
        let reach = text.len().saturating_sub(self.longest);
        let tail = &text[reach..];
        // Nothing reaches over a byte that no pattern has inside.
        let cut = tail.iter().rposition(|&byte| !self.inner[usize::from(byte)]).map_or(0, |at| at + 1);
        let node = if reach + cut > 0 { ROOT } else { node };
        self.open(tail[cut..].iter().fold(node, |node, &byte| self.next(node, byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::{ROOT, Trie};

    fn trie(patterns: &[&str]) -> Trie {
        Trie::new(patterns.iter().map(|p| p.as_bytes()))
    }

    #[test]
    fn the_end_of_a_text_is_open_as_far_as_a_pattern_can_still_grow() {
        let trie = trie(&["aab-x", "b-"]);
        for (text, open) in
            [("", 0), ("xyz", 0), ("a", 1), ("aa", 2), ("aaa", 2), ("zaab", 3), ("aab-", 4), ("b", 1)]
        {
            let node = trie.open_after(ROOT, text.as_bytes());
            assert_eq!(trie.depth(node), open, "{text:?}");
        }
    }

    #[test]
    fn a_finished_pattern_that_nothing_continues_is_not_open() {
        let trie = trie(&["abca"]);
        let node = b"abca".iter().fold(ROOT, |node, &byte| trie.next(node, byte));
        assert_eq!(trie.matched(node), 4);
        assert_eq!(trie.depth(trie.open(node)), 1, "only the last `a` may begin another one");
    }

    #[test]
    fn the_longest_pattern_that_ends_here_counts() {
        let trie = trie(&["cd", "abcd", "abcde"]);
        let node = b"xabcd".iter().fold(ROOT, |node, &byte| trie.next(node, byte));
        assert_eq!((trie.matched(node), trie.depth(trie.open(node))), (4, 4));
    }

    #[test]
    fn no_patterns() {
        let trie = trie(&[""]);
        assert_eq!((trie.longest(), trie.open_after(ROOT, b"text")), (0, ROOT));
    }
}
