//! Whatever bytes a file holds, reading it ends in a tree or in faults that can be drawn; it never panics.
#![cfg(feature = "author")]
#![expect(clippy::unwrap_used, reason = "a test that cannot read its case has failed")]

use ostler_roles::author::diagnostic::{Faults, RenderStyle};
use ostler_roles::author::lower;
use ostler_roles::author::source::{Bare, Node, NodeKind, Source, Style, Tree};
use ostler_roles::author::yaml;
use proptest::prelude::*;

/// Reads a text as every kind of file and draws what is wrong with it.
fn read(text: &str) {
    for name in ["roles/base.yaml", "ostler.yaml", "nodes.yaml"] {
        let source = Source::new(Tree::Site, name, text);
        let mut faults = Faults::new();
        match name {
            "ostler.yaml" => drop(lower::site_file(&source, &mut faults)),
            "nodes.yaml" => drop(lower::nodes_file(&source, &mut faults)),
            _ => drop(lower::role(&source, &mut faults)),
        }
        for width in [0, 40, 200] {
            assert_eq!(faults.render(RenderStyle { color: width == 200, width }).is_empty(), faults.is_empty());
        }
        for fault in faults.iter() {
            let drawn = fault.render(RenderStyle { color: false, width: 140 });
            assert!(drawn.len() < 24_000, "a fault of {} bytes: {}", drawn.len(), drawn.chars().take(200).collect::<String>());
        }
        let _ = faults.json();
    }
}

/// Text made of the words and signs of the language: deeper into the readers than random letters get.
fn likely() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "role: base",
        "summary: S.",
        "steps:",
        "params:",
        "needs:",
        "require:",
        "executors:",
        "nodes:",
        "groups:",
        "masters:",
        "vars:",
        "- ",
        "  ",
        "    ",
        "\n",
        "\n",
        "\n",
        "file: ",
        "package: ",
        "command: ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        ": ",
        "{{ ",
        " }}",
        "{% ",
        "path: /etc/x",
        "install: [git]",
        "when: x",
        "each: a in b",
        "type: list(text)",
        "default: ",
        "1.10",
        "0644",
        "true",
        "~",
        "&a ",
        "*a",
        "!!str ",
        "<<",
        "\"",
        "'",
        "|\n",
        ">\n",
        "#",
        "\t",
        "é",
        "\u{0}",
        "\u{feff}",
        "---\n",
        "%YAML 1.2\n",
        "run_on: [file /x]",
        "edition: 1",
        "? ",
        "\r\n",
    ]);
    prop::collection::vec(words, 0..60).prop_map(|words| words.concat())
}

/// Prints a tree as flow YAML with every text quoted.
fn print(node: &Node) -> String {
    match &node.kind {
        NodeKind::Map(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|entry| format!("{}: {}", quoted(&entry.key.value), print(&entry.value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        NodeKind::List(items) => format!("[{}]", items.iter().map(print).collect::<Vec<_>>().join(", ")),
        NodeKind::Scalar(scalar) if scalar.style == Style::Plain && scalar.bare() != Bare::Text => scalar.text.clone(),
        NodeKind::Scalar(scalar) => quoted(&scalar.text),
    }
}

/// A double-quoted scalar.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// The tree without places and ways of writing.
fn shape(node: &Node) -> serde_json::Value {
    match &node.kind {
        NodeKind::Map(entries) => entries.iter().map(|entry| (entry.key.value.clone(), shape(&entry.value))).collect(),
        NodeKind::List(items) => items.iter().map(shape).collect(),
        NodeKind::Scalar(scalar) => serde_json::json!({ "text": scalar.text, "bare": format!("{:?}", scalar.bare()) }),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn random_text_never_panics(text in ".{0,200}") {
        read(&text);
    }

    #[test]
    fn likely_text_never_panics(text in likely()) {
        read(&text);
    }

    #[test]
    fn a_tree_printed_and_read_again_is_the_same(text in likely()) {
        let mut faults = Faults::new();
        let Some(tree) = yaml::read(&Source::new(Tree::Site, "a.yaml", text), &mut faults) else { return Ok(()) };
        if !faults.is_empty() {
            return Ok(());
        }
        let printed = print(&tree);
        let again = yaml::read(&Source::new(Tree::Site, "b.yaml", printed.as_str()), &mut faults);
        prop_assert!(faults.is_empty(), "{printed}\n{faults}");
        prop_assert_eq!(again.as_ref().map(shape), Some(shape(&tree)), "{}", printed);
    }

    #[test]
    fn every_scalar_knows_its_place(word in "[a-z]{1,8}", before in "[ ]{0,4}", quote in prop::sample::select(vec!["", "'", "\""])) {
        let text = format!("key:{before} {quote}{word}{quote}\n");
        let source = Source::new(Tree::Site, "a.yaml", text);
        let mut faults = Faults::new();
        let tree = yaml::read(&source, &mut faults).unwrap();
        prop_assume!(faults.is_empty());
        let node = tree.get("key").unwrap();
        prop_assert_eq!(node.span.text(), format!("{quote}{word}{quote}"));
        let part = node.part(0..word.len());
        prop_assert_eq!(part.text(), word.as_str());
    }
}

#[test]
fn a_hostile_file_costs_no_more_than_a_moment() {
    let size = yaml::MAX_BYTES / 16;
    let many = |part: &str| part.repeat(size / part.len());
    let lines = |line: fn(usize) -> String| (0..size / line(100_000).len()).map(line).collect::<String>();
    let files = [
        many("["),
        many("{"),
        many("- "),
        many("a: "),
        many("? "),
        many("\""),
        many("a: b\n"),
        many("- a\n"),
        many("[a, b], "),
        many("&a *a "),
        many("!!x "),
        many("#\n"),
        many("{{ "),
        many("- {}\n"),
        many("\n"),
        many("a"),
        many(" "),
        lines(|n| format!("k{n}: v\n")),
        format!("role: base\nsummary: S.\nsteps:\n{}", lines(|n| format!("- file: {{path: /{n}}}\n"))),
        format!("role: base\nsummary: S.\nlabels:\n{}", many("- {a: b}\n")),
        format!("role: base\nsummary: S.\nparams:\n{}", lines(|n| format!("  p{n}: {{type: text}}\n"))),
        format!("role: base\nsummary: S.\nneeds:\n{}", lines(|n| format!("- p{n}: {{}}\n"))),
        format!("role: base\nsummary: S.\nparams:\n  p: {{type: {}text{}}}\n", "list(".repeat(size / 6), ")".repeat(size / 6)),
        format!("role: base\nsummary: S.\nparams:\n  p: {{type: text, default: x, choices: [{}]}}\n", lines(|n| format!("c{n}, "))),
        format!("role: base\nsummary: S.\nsteps:\n- service: {{name: a, restart_on: [{} b]}}\n", many("k")),
        format!("role: base\nsummary: S.\nsteps:\n- user: {{name: a, \"{}\": b}}\n", many("k")),
        format!("role: base\nsummary: S.\nsteps:\n- user: {{name: a}}\n  when: \"{{{{ {} }}}}\"\n", many("k")),
        format!("nodes:\n{}", lines(|n| format!("  n{n}: {{ssh: {{jump: n{n}}}}}\n"))),
    ];
    for text in files {
        let start = std::time::Instant::now();
        let head: String = text.chars().take(80).collect();
        read(&text);
        let took = start.elapsed();
        assert!(took < std::time::Duration::from_secs(10), "{took:?}: {head:?}");
    }
}
