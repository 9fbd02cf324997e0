//! Many texts looked for at once (Aho and Corasick, "Efficient string matching", 1975).

use std::collections::VecDeque;
use zeroize::Zeroize as _;

/// The node where nothing is found yet.
pub(super) const ROOT: u32 = 0;

/// A text's beginning.
#[derive(Clone, Copy, Default)]
struct Node {
    byte: u8,
    /// Its length.
    depth: u32,
    /// Length of the longest text that ends here; 0 where none does.
    longest: u32,
    /// The longest other beginning that it ends with.
    fallback: u32,
    /// The first of those that are one byte longer, and the next one as long as this; 0: none.
    child: u32,
    sibling: u32,
}

/// All texts, by their beginnings.
pub(super) struct Trie {
    nodes: Vec<Node>,
    /// The first bytes' nodes; 0: no text begins so.
    first: [u32; 256],
}

impl Default for Trie {
    fn default() -> Self {
        Self { nodes: vec![Node::default()], first: [0; 256] }
    }
}

impl Drop for Trie {
    fn drop(&mut self) {
        // The bytes of its nodes, in order, are the texts.
        self.nodes.iter_mut().for_each(|node| node.byte.zeroize());
    }
}

impl Trie {
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.len() == 1
    }

    /// Whether a text begins with this byte.
    pub(super) fn begins(&self, byte: u8) -> bool {
        self.first[usize::from(byte)] != ROOT
    }

    /// Adds a text. Call [`Self::linked`] when all are there.
    pub(super) fn insert(&mut self, text: &[u8]) {
        let mut at = ROOT;
        for byte in text {
            at = match self.child(at, *byte) {
                ROOT => self.add(at, *byte),
                child => child,
            };
        }
        let node = &mut self.nodes[at as usize];
        node.longest = node.depth;
    }

    fn add(&mut self, parent: u32, byte: u8) -> u32 {
        // 64 KiB of a secret have some half a million nodes: no site has enough of them to pass this.
        let new = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let Node { depth, child, .. } = self.nodes[parent as usize];
        self.nodes.push(Node { byte, depth: depth + 1, sibling: child, ..Node::default() });
        self.nodes[parent as usize].child = new;
        if parent == ROOT {
            self.first[usize::from(byte)] = new;
        }
        new
    }

    fn child(&self, parent: u32, byte: u8) -> u32 {
        if parent == ROOT {
            return self.first[usize::from(byte)];
        }
        let mut at = self.nodes[parent as usize].child;
        while at != ROOT && self.nodes[at as usize].byte != byte {
            at = self.nodes[at as usize].sibling;
        }
        at
    }

    /// The same, each node with its fallback.
    pub(super) fn linked(mut self) -> Self {
        let mut open: VecDeque<u32> = VecDeque::from([ROOT]);
        while let Some(parent) = open.pop_front() {
            let mut at = self.nodes[parent as usize].child;
            while at != ROOT {
                let node = self.nodes[at as usize];
                let fallback = if parent == ROOT { ROOT } else { self.next(self.nodes[parent as usize].fallback, node.byte) };
                let longest = if node.longest > 0 { node.longest } else { self.nodes[fallback as usize].longest };
                self.nodes[at as usize] = Node { fallback, longest, ..node };
                open.push_back(at);
                at = node.sibling;
            }
        }
        self
    }

    /// The longest beginning that what was read ends with, after one byte more.
    pub(super) fn next(&self, mut at: u32, byte: u8) -> u32 {
        loop {
            match self.child(at, byte) {
                ROOT if at == ROOT => return ROOT,
                ROOT => at = self.nodes[at as usize].fallback,
                child => return child,
            }
        }
    }

    /// The length of a beginning.
    pub(super) fn depth(&self, at: u32) -> usize {
        self.nodes[at as usize].depth as usize
    }

    /// The length of the longest text that ends with this beginning; 0: none does.
    pub(super) fn longest(&self, at: u32) -> usize {
        self.nodes[at as usize].longest as usize
    }
}
