//! Lines that many nodes have in common, told once for all of them: a log of a thousand nodes is no thousand logs.

use ostler_roles::words::NodeName;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The most nodes that each have lines of their own, or are named where they are told of together.
pub(super) const FEW: usize = 12;
/// How long lines are gathered: long enough for nodes that go side by side, short enough for who watches.
const TOGETHER: Duration = Duration::from_secs(5);
/// How a line begins that is to be pasted.
const TRY: &str = "try: ";
/// How many of the nodes are named at a line of many.
const NAMED: usize = 3;

/// Lines that wait to be told.
#[derive(Debug, Default)]
pub(super) struct CommonLines {
    lines: Vec<CommonLine>,
    places: HashMap<String, usize>,
    since: Option<Instant>,
}

#[derive(Debug)]
struct CommonLine {
    /// What is said, without the time that it took.
    text: String,
    nodes: Vec<NodeName>,
    /// The longest time that any took, as it is written, in tenths of a second.
    longest: Option<u64>,
}

impl CommonLines {
    /// Takes what a node says.
    pub fn add(&mut self, node: &NodeName, line: &str) {
        self.since.get_or_insert_with(Instant::now);
        let (text, tenths) = untimed(line);
        let place = *self.places.entry(text).or_insert_with_key(|text| {
            self.lines.push(CommonLine { text: text.clone(), nodes: Vec::new(), longest: None });
            self.lines.len() - 1
        });
        let told = &mut self.lines[place];
        told.nodes.push(node.clone());
        told.longest = told.longest.max(tenths);
    }

    /// Whether it is time to tell.
    pub fn is_due(&self) -> bool {
        self.since.is_some_and(|since| since.elapsed() >= TOGETHER)
    }

    /// All of them, in the order in which they were first said; none are left.
    pub fn take(&mut self) -> Vec<String> {
        self.since = None;
        self.places.clear();
        std::mem::take(&mut self.lines).into_iter().map(|told| told.line()).collect()
    }
}

impl CommonLine {
    fn line(&self) -> String {
        let Self { text, nodes, longest } = self;
        let seconds = |tenths: &u64| format!("{}.{} s", tenths / 10, tenths % 10);
        if let [node] = nodes.as_slice() {
            let took = longest.as_ref().map(|tenths| format!(" ({})", seconds(tenths))).unwrap_or_default();
            return format!("{node}: {text}{took}");
        }
        let took = longest.as_ref().map(|tenths| format!(" (up to {})", seconds(tenths))).unwrap_or_default();
        format!("{} nodes ({}): {text}{took}", nodes.len(), some(nodes, NAMED))
    }
}

/// Names of nodes, the first so many where there are more.
pub(super) fn some<T: AsRef<str>>(nodes: &[T], most: usize) -> String {
    let shown = if nodes.len() > most { most } else { nodes.len() };
    let names = nodes[..shown].iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    if shown < nodes.len() { format!("{names} and {} more", nodes.len() - shown) } else { names }
}

/// Nodes of which the same is said, in the order in which it is said first. Few stand each by itself; of many, those are together whose lines differ
/// in nothing but their own names.
pub fn alike(nodes: Vec<(String, Vec<String>)>) -> Vec<(Vec<String>, Vec<String>)> {
    let are_many = nodes.len() > FEW;
    let mut told: Vec<(Vec<String>, Vec<String>)> = Vec::new();
    let mut places: HashMap<Vec<String>, usize> = HashMap::new();
    for (node, lines) in nodes {
        let common: Vec<String> = lines.iter().map(|line| nameless(line, &node)).collect();
        match places.get(&common).filter(|_| are_many) {
            Some(place) => {
                let (names, lines) = &mut told[*place];
                names.push(node);
                // What is to be tried, the last that is said, is tried on the first of them: a name to fill in cannot be pasted.
                let end = lines.iter().position(|line| line.trim_start().starts_with(TRY)).unwrap_or(lines.len());
                for (line, common) in lines[..end].iter_mut().zip(common) {
                    *line = common;
                }
            }
            None => {
                places.insert(common, told.len());
                told.push((vec![node], lines));
            }
        }
    }
    told
}

/// Names of nodes at a line that is said of all of them.
pub fn names(nodes: &[String]) -> String {
    match nodes.len() {
        count if count > FEW => format!("{count} nodes ({})", some(nodes, FEW - 1)),
        _ => some(nodes, FEW),
    }
}

/// A text about a node without the node's name, where that stands in it as a word.
fn nameless(text: &str, node: &str) -> String {
    let is_of_a_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(node) {
        let (before, behind) = (&rest[..at], &rest[at + node.len()..]);
        let is_word = !before.ends_with(is_of_a_name) && !behind.starts_with(is_of_a_name);
        out.push_str(before);
        out.push_str(if is_word { "NODE" } else { node });
        rest = behind;
    }
    out + rest
}

/// A line without the time in it that its step took, `(3.1 s)`, and that time.
fn untimed(line: &str) -> (String, Option<u64>) {
    for (at, _) in line.match_indices(" (") {
        let inside = &line[at + 2..];
        let Some(end) = inside.find(" s)") else { continue };
        let tenths = inside[..end].split_once('.').and_then(|(whole, tenth)| {
            let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            (is_number(whole) && is_number(tenth) && tenth.len() == 1).then(|| format!("{whole}{tenth}").parse().ok())?
        });
        if let Some(tenths) = tenths {
            return (format!("{}{}", &line[..at], &inside[end + 3..]), Some(tenths));
        }
    }
    (line.to_owned(), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: usize) -> NodeName {
        NodeName::parse(&format!("n{number:03}")).unwrap()
    }

    #[test]
    fn what_many_nodes_say_is_said_once() {
        let mut gathered = CommonLines::default();
        for number in 0..1000 {
            gathered.add(&node(number), "changed package jq (1.2 s); and a note");
            gathered.add(&node(number), &format!("changed file /etc/motd ({}.{} s)", number / 100, number % 10));
            if number < 2 {
                gathered.add(&node(number), "changed group (a)");
            }
        }
        gathered.add(&node(7), "changed user ci (3.1 s)");
        assert_eq!(
            gathered.take(),
            [
                "1000 nodes (n000, n001, n002 and 997 more): changed package jq; and a note (up to 1.2 s)",
                "1000 nodes (n000, n001, n002 and 997 more): changed file /etc/motd (up to 9.9 s)",
                "2 nodes (n000, n001): changed group (a)",
                "n007: changed user ci (3.1 s)",
            ]
        );
        assert!(gathered.take().is_empty() && !gathered.is_due());
    }

    #[test]
    fn nodes_are_together_whose_lines_differ_in_nothing_but_their_names() {
        let lines = |number: usize| vec![format!("connect to n{number}"), format!("refused by n{number}.lab, try: ssh n{number}")];
        let many: Vec<_> = (0..20).map(|number| (format!("n{number}"), lines(number))).collect();
        // A longer name is another word.
        assert_eq!(alike(many.clone()).len(), 20);
        let said = |(node, lines): (String, Vec<String>)| (node, lines[..1].to_vec());
        let told = alike(many.into_iter().map(said).collect());
        assert_eq!((told.len(), told[0].1.as_slice(), told[0].0.len()), (1, ["connect to NODE".to_owned()].as_slice(), 20));
        let tried = |number: usize| (format!("n{number}"), vec![format!("lost n{number}"), format!("      try: ssh n{number}")]);
        assert_eq!(alike((0..20).map(tried).collect())[0].1, ["lost NODE", "      try: ssh n0"]);
        let wrapped =
            |number: usize| (format!("n{number}"), vec![format!("lost n{number}"), "try: look".to_owned(), format!("ssh n{number}")]);
        assert_eq!(alike((0..20).map(wrapped).collect())[0].1, ["lost NODE", "try: look", "ssh n0"]);
        assert_eq!(names(&told[0].0), "20 nodes (n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, n10 and 9 more)");
        let few: Vec<_> = (0..2).map(|number| (format!("n{number}"), vec!["lost".to_owned()])).collect();
        assert_eq!(alike(few).len(), 2);
    }

    #[test]
    fn only_a_time_is_taken_for_one() {
        for line in ["changed x (3 s)", "changed x (a.b s)", "changed x (.5 s)", "x (1.25 s)", "x (1.2 s", "é (ü"] {
            assert_eq!(untimed(line), (line.to_owned(), None));
        }
        assert_eq!(untimed("changed line (x) (10.0 s)"), ("changed line (x)".to_owned(), Some(100)));
    }
}
