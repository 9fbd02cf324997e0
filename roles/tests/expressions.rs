//! Whatever stands between braces is read or refused, never a panic; and the reference says of the language what its tables say.
#![cfg(feature = "author")]
#![expect(clippy::disallowed_methods, reason = "`BLESS=1` is how the tables are written")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use ostler_roles::author::compile::recorded;
use ostler_roles::author::expr::{self, FILTERS, Scope, TESTS, Unknown};
use ostler_roles::author::source::{Source, Span, Tree};
use ostler_roles::author::template::{self, Template};
use ostler_roles::author::value::{Marks, Value, facts_value};
use ostler_roles::facts::Facts;
use ostler_roles::words::Bytes;
use proptest::prelude::*;

/// A few names of every type.
struct Names(BTreeMap<&'static str, Value>);

impl Names {
    fn new() -> Self {
        Self::on(&recorded()["debian-12"])
    }

    fn on(facts: &Facts) -> Self {
        let facts = facts_value(facts);
        let secret = Value::text("hunter2secret").marked(&Marks { secrets: ["token".into()].into(), ..Marks::default() });
        Self(BTreeMap::from([
            ("facts", facts),
            ("text", Value::text("a b,c")),
            ("number", Value::integer(7)),
            ("flag", Value::boolean(true)),
            ("nothing", Value::none()),
            ("list", Value::list(vec![Value::text("b"), Value::text("a")])),
            ("token", secret),
        ]))
    }
}

impl Scope for Names {
    fn get(&self, name: &str) -> Result<Value, Unknown> {
        self.0.get(name).cloned().ok_or(Unknown::Undefined { message: format!("`{name}` is not in scope"), nearest: None, hint: None })
    }
}

/// Text made of the words and signs of the language.
fn likely() -> impl Strategy<Value = String> {
    let mut words: Vec<String> = [
        "facts.cpus",
        "facts.memory.total",
        "facts.virtualization",
        "facts.addresses",
        "facts",
        "facts.kernel.release",
        "text",
        "number",
        "flag",
        "nothing",
        "list",
        "token",
        "'x'",
        "\"8 GiB\"",
        "1",
        "0",
        "9223372036854775807",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        ".",
        "|",
        "~",
        "+",
        "-",
        "*",
        "//",
        "%",
        "==",
        "!=",
        "<",
        ">=",
        "and",
        "or",
        "not",
        "in",
        "is",
        "if",
        "else",
        "none",
        "true",
        "é",
        "'",
        "\\",
        "/",
        "=",
    ]
    .map(str::to_owned)
    .to_vec();
    words.extend(FILTERS.iter().map(|word| format!("| {}", word.usage.split_once("| ").map_or(word.name, |(_, rest)| rest))));
    words.extend(TESTS.iter().map(|word| format!("is {}(1)", word.name)));
    prop::collection::vec(prop::sample::select(words), 0..14).prop_map(|parts| parts.join(" "))
}

/// Expressions that can be read, of every shape.
fn formed() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "facts.cpus",
        "facts.memory.total",
        "facts.virtualization",
        "facts.addresses",
        "facts.host_keys",
        "facts.hostname",
        "facts.system.id",
        "facts",
        "(facts.cpus > 5)",
        "(facts.virtualization == 'kvm')",
        "(facts.memory.total is at_least('8 GiB'))",
        "text",
        "number",
        "flag",
        "nothing",
        "list",
        "'kvm'",
        "4",
        "1",
        "0",
        "true",
    ]);
    let filters: Vec<String> =
        FILTERS.iter().map(|word| word.usage.split_once("| ").map_or(word.name, |(_, rest)| rest).to_owned()).collect();
    let tests: Vec<&str> = vec!["none", "not none", "empty", "above(1)", "below(number)", "in list"];
    leaf.prop_map(str::to_owned).prop_recursive(4, 24, 3, move |inner| {
        let two = (inner.clone(), inner.clone());
        let operators = prop::sample::select(vec!["+", "-", "*", "~", "==", "!=", "<", ">=", "and", "or", "in"]);
        prop_oneof![
            (two.clone(), operators).prop_map(|((a, b), operator)| format!("({a} {operator} {b})")),
            (two.clone(), inner.clone()).prop_map(|((a, b), c)| format!("({a} if {b} else {c})")),
            (two.clone(), prop::sample::select(vec!["==", ">=", "<"]), two.clone())
                .prop_map(|((a, b), operator, (c, d))| format!("({a} if {c} {operator} {d} else {b})")),
            two.clone().prop_map(|(a, b)| format!("[{a}, {b}]")),
            two.clone().prop_map(|(a, b)| format!("{{'a': {a}, 'b': {b}}}")),
            two.prop_map(|(a, b)| format!("({a})[{b}]")),
            inner.clone().prop_map(|a| format!("(not {a})")),
            (inner.clone(), prop::sample::select(filters.clone())).prop_map(|(a, filter)| format!("({a} | {filter})")),
            (inner, prop::sample::select(tests.clone())).prop_map(|(a, test)| if test.starts_with("in ") {
                format!("({a} {test})")
            } else {
                format!("({a} is {test})")
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_expression_ends_in_a_value_or_a_fault_inside_it(text in prop_oneof![likely(), "\\PC{0,40}"]) {
        match expr::parse(&text) {
            Err(fault) => prop_assert!(fault.range.start <= text.len() && fault.range.end <= text.len().max(fault.range.start), "{fault:?}"),
            Ok(parsed) => {
                if let Err(expr::Stop::Fault(fault)) = expr::eval(&parsed, &Names::new()) {
                    prop_assert!(fault.range.end <= text.len(), "{fault:?}");
                }
            }
        }
    }

    #[test]
    fn a_secret_in_an_expression_marks_or_never_reaches_its_value(text in likely()) {
        if let Ok(parsed) = expr::parse(&text) {
            let shown = match expr::eval(&parsed, &Names::new()) {
                Ok(value) => value.shown(),
                Err(stop) => format!("{stop:?}"),
            };
            prop_assert!(!shown.contains("hunter2secret"), "{text}: {shown}");
        }
    }

    #[test]
    fn any_template_is_rendered_or_refused(parts in prop::collection::vec(prop::sample::select(vec![
        "{{ text }}", "{{ token }}", "{% if flag %}", "{% elif flag %}", "{% else %}", "{% endif %}", "{% for x in list %}", "{{ x }}", "{% endfor %}",
        "{%- if flag -%}", "{# c #}", "{#", "{{", "}}", "{%", "%}", "\n", "  ", "word", "{% include \"templates/t\" %}", "é", "{{ '}}' }}", "{%-%}", "{{-}}",
    ]), 0..16)) {
        let text = parts.concat();
        let own = Template::parse(&Source::new(Tree::Site, "templates/t", text.as_str()));
        let load = |_: &str, _: &Span| Ok(Arc::clone(&own));
        if let Ok(rendered) = template::render("templates/t", &own, &load, &Names::new()) {
            prop_assert_eq!(rendered.marks.is_secret(), rendered.text.contains("hunter2secret"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn what_another_machine_makes_another_bears_the_mark(text in formed(), parts in prop::collection::vec(formed(), 1..3)) {
        let here = &recorded()["debian-12"];
        let there = elsewhere(here);
        let (here, there) = (Names::on(here), Names::on(&there));
        if let Ok(parsed) = expr::parse(&text)
            && let (Ok(one), Ok(other)) = (expr::eval(&parsed, &here), expr::eval(&parsed, &there))
        {
            let same = one == other && one.shown() == other.shown();
            prop_assert!(same || (is_of_machine(&one.all_marks()) && is_of_machine(&other.all_marks())), "{text}: {one:?} and {other:?}");
        }
        let text: String = parts.iter().map(|part| format!("{{% if {part} %}}a{{% endif %}}{{% for x in {part} %}}b{{% endfor %}}")).collect();
        let own = Template::parse(&Source::new(Tree::Site, "templates/t", text.as_str()));
        let load = |_: &str, _: &Span| Ok(Arc::clone(&own));
        let render = |names: &Names| template::render("templates/t", &own, &load, names);
        if let (Ok(one), Ok(other)) = (render(&here), render(&there)) {
            prop_assert!(one.text == other.text || (is_of_machine(&one.marks) && is_of_machine(&other.marks)), "{text}");
        }
    }
}

/// Another machine with the same system.
fn elsewhere(here: &Facts) -> Facts {
    Facts {
        hostname: "other".to_owned(),
        virtualization: "none".to_owned(),
        cpus: 7,
        memory: Bytes(3 << 30),
        addresses: vec!["192.0.2.7".to_owned(), "192.0.2.8".to_owned(), "192.0.2.9".to_owned()],
        host_keys: Vec::new(),
        ..here.clone()
    }
}

fn is_of_machine(marks: &Marks) -> bool {
    marks.machine || marks.own
}

#[test]
fn whose_a_fact_is_travels_with_it_and_the_systems_are_nobodys() {
    let names = Names::new();
    let marks = |text: &str| {
        let marks = expr::eval(&expr::parse(text).unwrap(), &names).unwrap().all_marks();
        (marks.own, marks.machine)
    };
    for (text, wanted) in [
        ("facts.cpus", (false, true)),
        ("facts.memory.total | round('GiB')", (false, true)),
        ("'a' if facts.virtualization == 'kvm' else 'b'", (false, true)),
        ("('a' if facts.cpus > 2 else nothing) is none", (false, true)),
        ("['a', 'b'][facts.cpus - 4]", (false, true)),
        ("flag and facts.cpus > 2", (false, true)),
        ("facts.addresses | length", (true, false)),
        ("facts.addresses[0] ~ ':' ~ facts.cpus", (true, true)),
        ("facts.hostname is none", (true, false)),
        ("facts.system.id ~ facts.arch ~ facts.kernel.release ~ facts.init ~ facts.package_manager", (false, false)),
        ("'a' if facts.kernel.shared else 'b'", (false, false)),
        ("token", (false, false)),
    ] {
        assert_eq!(marks(text), wanted, "{text}");
    }
}

#[test]
fn no_expression_becomes_larger_than_a_value_may_be() {
    let large = "x".repeat(1000);
    let mut names = Names::new();
    names.0.insert("x", Value::text(large.as_str()));
    names.0.insert("many", Value::list(vec![Value::text(large.as_str()); 100]));
    for text in [
        String::from("x | replace('x', x) | replace('x', x)"),
        String::from("many | join(x) | replace('x', x)"),
        String::from("many | join(x) | replace('x', 'x,') | replace('x,', ',,,,,,,,,,') | split(',')"),
        format!("many{}", " + many".repeat(20)),
        format!("[{}]", "many, ".repeat(20)),
        String::from("[[many, many, many, many], [many, many, many, many], [many, many, many, many]] | json"),
        format!("many | join{}", " ~ (many | join)".repeat(20)),
        format!("{{'a': many, 'b': [{}]}}", "many, ".repeat(12)),
    ] {
        let parsed = expr::parse(&text).unwrap();
        let stop = expr::eval(&parsed, &names).map(|value| value.size()).unwrap_err();
        assert!(format!("{stop:?}").contains("larger than 1 MiB"), "{text}: {stop:?}");
    }
}

#[test]
fn white_space_goes_with_tags_that_stand_alone() {
    let cases = [
        ("a\n{% if flag %}\nb\n{% endif %}\nc\n", "a\nb\nc\n"),
        ("a {% if flag %}b{% endif %} c\n", "a b c\n"),
        ("  {# gone #}\nx", "x"),
        ("a  {{- text -}}  b", "aa b,cb"),
        ("{% for x in list %}{{ x }}{% if x != 'a' %}, {% endif %}{% endfor %}", "b, a"),
        ("{% for x in list | sort %}\n- {{ x }}\n{% endfor %}", "- a\n- b\n"),
        ("{% for e in {'k': 1} %}{{ e.key }}={{ e.value }}{% endfor %}", "k=1"),
    ];
    for (text, wanted) in cases {
        let own = Template::parse(&Source::new(Tree::Site, "templates/t", text));
        let load = |_: &str, _: &Span| Ok(Arc::clone(&own));
        assert_eq!(template::render("templates/t", &own, &load, &Names::new()).unwrap().text, wanted, "{text}");
    }
}

/// The tables as the reference shows them.
fn tables() -> String {
    let mut text = String::from("| filter | written | gives |\n|---|---|---|\n");
    for word in FILTERS {
        let _ = writeln!(text, "| `{}` | `{}` | {} |", word.name, word.usage.replace('|', "\\|"), word.doc);
    }
    text.push_str("\n| test | written | holds |\n|---|---|---|\n");
    for word in TESTS {
        let _ = writeln!(text, "| `{}` | `{}` | {} |", word.name, word.usage, word.doc);
    }
    text
}

#[test]
fn the_reference_holds_the_tables() {
    const BEGIN: &str = "<!-- tables: written by BLESS=1 cargo test -p ostler-roles --features author --test expressions -->\n";
    const END: &str = "<!-- end of tables -->\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/expressions.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{}{END}{after}", tables())).unwrap();
        return;
    }
    assert_eq!(found, tables());
}

#[test]
fn words_of_the_language_are_in_order_and_documented() {
    let names: Vec<&str> = FILTERS.iter().map(|word| word.name).collect();
    assert!(names.is_sorted());
    assert!(TESTS.iter().map(|word| word.name).is_sorted());
    assert!(FILTERS.iter().all(|word| word.doc.ends_with('.') && word.usage.contains(word.name)));
}
