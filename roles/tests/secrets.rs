//! What may be seen of a value is the same whatever the secrets in it are: no operator, filter, test, choice or loop takes a mark off.
#![cfg(feature = "author")]
#![expect(clippy::unwrap_used, reason = "a test that cannot read its case has failed")]

use std::collections::BTreeMap;
use std::sync::Arc;

use ostler_roles::author::compile::{Input, Secrets, Site, SiteContent, compile, recorded};
use ostler_roles::author::expr::{self, Scope, Unknown};
use ostler_roles::author::graph::Roles;
use ostler_roles::author::lower;
use ostler_roles::author::source::{Source, Span, Tree};
use ostler_roles::author::template::{self, Template};
use ostler_roles::author::value::{Data, Marks, Value};
use ostler_roles::words::NodeName;
use proptest::prelude::*;

/// Values of a secret that comparisons, orders, parts and lengths tell apart.
const SECRETS: [&str; 5] = ["hunter2", "a", "b,a", "zz-zz-zz", "10"];

/// A secret, and public names of every type.
struct Names(BTreeMap<&'static str, Value>);

impl Names {
    fn new(secret: &str) -> Self {
        let marks = Marks { secrets: ["pw".into()].into(), own: true, ..Marks::default() };
        let pw = || Value::text(secret).marked(&marks);
        Self(BTreeMap::from([
            ("pw", pw()),
            ("pair", Value::list(vec![pw(), Value::text("a")])),
            ("account", Value::map([("name", Value::text("u")), ("key", pw())])),
            ("text", Value::text("a b,c")),
            ("number", Value::integer(7)),
            ("flag", Value::boolean(true)),
            ("nothing", Value::none()),
            ("list", Value::list(vec![Value::text("b"), Value::text("a"), Value::text("hunter2")])),
        ]))
    }
}

impl Scope for Names {
    fn get(&self, name: &str) -> Result<Value, Unknown> {
        self.0.get(name).cloned().ok_or(Unknown::Undefined { message: format!("`{name}` is not in scope"), nearest: None, hint: None })
    }
}

/// What anybody may see of a value: all that has no mark, and how it hangs together.
fn seen(value: &Value) -> String {
    if value.marks.is_secret() {
        return "***".to_owned();
    }
    match &value.data {
        Data::List(items) => format!("[{}]", items.iter().map(seen).collect::<Vec<_>>().join(", ")),
        Data::Map(entries) => entries.iter().map(|(key, value)| format!("{key}={} ", seen(value))).collect(),
        data => format!("{} {}", data.noun(), value.shown()),
    }
}

/// Expressions that give a text, a number, a boolean and a list, made of each other.
#[derive(Clone, Debug)]
struct Words {
    text: BoxedStrategy<String>,
    number: BoxedStrategy<String>,
    flag: BoxedStrategy<String>,
    list: BoxedStrategy<String>,
}

fn leaf(words: &'static [&'static str]) -> BoxedStrategy<String> {
    prop::sample::select(words).prop_map(str::to_owned).boxed()
}

fn words(depth: usize) -> Words {
    let mut words = Words {
        text: leaf(&["pw", "pw", "account.key", "text", "'a'", "'hunter2'", "''"]),
        number: leaf(&["number", "0", "1", "2"]),
        flag: leaf(&["flag", "false"]),
        list: leaf(&["pair", "pair", "list", "[]", "[account.key]"]),
    };
    for _ in 0..depth {
        let Words { text, number, flag, list } = words;
        let (t, n, b, l) = (|| text.clone(), || number.clone(), || flag.clone(), || list.clone());
        words = Words {
            text: prop_oneof![
                2 => t(),
                1 => (t(), t()).prop_map(|(a, b)| format!("({a} ~ {b})")),
                1 => (t(), b(), t()).prop_map(|(a, when, b)| format!("({a} if {when} else {b})")),
                1 => (t(), b()).prop_map(|(a, when)| format!("({a} if {when} else none)")),
                1 => (l(), n()).prop_map(|(list, at)| format!("({list})[{at}]")),
                1 => (l(), prop::sample::select(vec!["join('-')", "max", "min", "json", "yaml"])).prop_map(|(l, f)| format!("({l} | {f})")),
                1 => (t(), prop::sample::select(vec!["lower", "upper", "basename", "dirname", "shell_quote", "replace('a', 'bb')"]))
                    .prop_map(|(t, f)| format!("({t} | {f})")),
                1 => (t(), t(), t()).prop_map(|(t, a, b)| format!("({t} | replace({a}, {b}))")),
                1 => (b(), t(), t()).prop_map(|(when, a, b)| format!("({{'k': {a}}} if {when} else {{'k': {b}}}).k")),
            ]
            .boxed(),
            number: prop_oneof![
                2 => n(),
                2 => l().prop_map(|list| format!("({list} | length)")),
                1 => t().prop_map(|text| format!("({text} | length)")),
                1 => (n(), n()).prop_map(|(a, b)| format!("({a} + {b})")),
                1 => (n(), b(), n()).prop_map(|(a, when, b)| format!("({a} if {when} else {b})")),
                1 => n().prop_map(|a| format!("(-{a})")),
            ]
            .boxed(),
            flag: prop_oneof![
                2 => b(),
                2 => (t(), prop::sample::select(vec!["==", "!=", "<", ">=", "in", "not in"]), t()).prop_map(|(a, o, b)| format!("({a} {o} {b})")),
                1 => (t(), l()).prop_map(|(a, list)| format!("({a} in {list})")),
                1 => (n(), prop::sample::select(vec!["==", "<", ">"]), n()).prop_map(|(a, o, b)| format!("({a} {o} {b})")),
                1 => (l(), l()).prop_map(|(a, b)| format!("({a} == {b})")),
                1 => (b(), prop::sample::select(vec!["and", "or"]), b()).prop_map(|(a, o, b)| format!("({a} {o} {b})")),
                1 => b().prop_map(|a| format!("(not {a})")),
                1 => t().prop_map(|a| format!("({a} is none)")),
                1 => t().prop_map(|a| format!("({a} is empty)")),
                1 => l().prop_map(|a| format!("({a} is not empty)")),
                1 => (t(), t()).prop_map(|(a, b)| format!("({a} is starting_with({b}))")),
                1 => (t(), t()).prop_map(|(a, b)| format!("({a} is at_least({b}))")),
            ]
            .boxed(),
            list: prop_oneof![
                2 => l(),
                1 => (t(), t()).prop_map(|(a, b)| format!("[{a}, {b}]")),
                1 => (l(), l()).prop_map(|(a, b)| format!("({a} + {b})")),
                2 => (l(), prop::sample::select(vec!["sort", "unique"])).prop_map(|(l, f)| format!("({l} | {f})")),
                1 => t().prop_map(|t| format!("({t} | split(','))")),
                1 => (l(), b(), l()).prop_map(|(a, when, b)| format!("({a} if {when} else {b})")),
            ]
            .boxed(),
        };
    }
    words
}

fn expression() -> BoxedStrategy<String> {
    let Words { text, number, flag, list } = words(4);
    prop_oneof![text, number, flag, list].boxed()
}

/// Those that end in a value must agree; a fault may be another, but tells no secret.
fn agree(all: Vec<Result<String, String>>, what: &str) -> Result<(), TestCaseError> {
    let (good, bad): (Vec<_>, Vec<_>) = all.into_iter().partition(Result::is_ok);
    for pair in good.windows(2) {
        prop_assert_eq!(&pair[0], &pair[1], "{}", what);
    }
    for told in bad.into_iter().filter_map(Result::err) {
        prop_assert!(!told.contains("zz-zz-zz"), "{}: {}", what, told);
    }
    Ok(())
}

fn role(yaml: &str, secret: &str) -> Result<String, String> {
    let mut faults = ostler_roles::author::diagnostic::Faults::new();
    let read = |name: &str, text: &str| Source::new(Tree::Site, name, text);
    let role = lower::role(&read("roles/r.yaml", yaml), &mut faults);
    let site = Site {
        file: lower::site_file(
            &read("ostler.yaml", "edition: 1\nvars: {r: {pw: \"{{ secret.pw }}\", pair: [\"{{ secret.pw }}\", \"{{ secret.other }}\"]}}\n"),
            &mut faults,
        )
        .unwrap(),
        nodes: lower::nodes_file(&read("nodes.yaml", "nodes: {n1: {host: 192.0.2.1, roles: [r]}}\n"), &mut faults).unwrap(),
        images: Vec::new(),
    };
    let roles = Roles::new(role, &mut faults);
    let node = NodeName::parse("n1").unwrap();
    let facts = [(node.clone(), recorded().remove("debian-12").unwrap())].into_iter().collect();
    let mut secrets = Secrets::new(b"the site's key");
    secrets.open("pw", secret.as_bytes());
    secrets.open("other", b"a");
    let content = SiteContent::default();
    let input = Input { roles: &roles, site: &site, content: &content, node: &node, facts: &facts, secrets: &secrets, overrides: &[] };
    faults
        .into_result(())
        .and_then(|()| compile(&input))
        .map_err(|faults| faults.to_string())
        .map(|compiled| format!("{:?} {:?}", compiled.catalog.steps, compiled.blobs))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn what_is_seen_of_a_value_does_not_depend_on_a_secret(text in expression()) {
        if let Ok(parsed) = expr::parse(&text) {
            let all = SECRETS.map(|secret| match expr::eval(&parsed, &Names::new(secret)) {
                Ok(value) => Ok(seen(&value)),
                Err(stop) => Err(format!("{stop:?}")),
            });
            agree(all.into(), &text)?;
        }
    }

    #[test]
    fn what_is_seen_of_a_text_does_not_depend_on_a_secret(flag in words(2).flag, list in words(2).list, text in words(2).text) {
        let template = format!("x{{% if {flag} %}}y{{% elif flag %}}z{{% endif %}}{{% for e in {list} %}}-{{% endfor %}}{{% if false %}}{{{{ {text} }}}}{{% endif %}}");
        let own = Template::parse(&Source::new(Tree::Site, "templates/t", template.as_str()));
        let load = |_: &str, _: &Span| Ok(Arc::clone(&own));
        let all = SECRETS.map(|secret| match template::render("templates/t", &own, &load, &Names::new(secret)) {
            Ok(rendered) if rendered.marks.is_secret() => Ok("***".to_owned()),
            Ok(rendered) => Ok(rendered.text),
            Err(_) => Err(String::new()),
        });
        agree(all.into(), &template)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn what_stands_in_a_catalog_does_not_depend_on_a_secret(
        field in prop::sample::select(vec!["when", "each", "path", "run", "mode", "absent", "environment", "splice"]),
        flag in words(2).flag, list in words(2).list, text in words(2).text, number in words(2).number,
    ) {
        let step = match field {
            "when" => format!("  - file: {{path: /a, content: x}}\n    when: \"{flag}\"\n"),
            "each" => format!("  - file: {{path: '/a/{{{{ e | length }}}}', content: x}}\n    each: \"e in {list}\"\n"),
            "path" => format!("  - file: {{path: \"/{{{{ {number} }}}}\", content: x}}\n"),
            "run" => format!("  - command: {{name: c, run: [\"{{{{ {text} }}}}\"], creates: /x}}\n"),
            "mode" => format!("  - file: {{path: /a, content: x, mode: \"{{{{ '0600' if {flag} else none }}}}\"}}\n"),
            "absent" => format!("  - link: {{path: /a, to: /b}}\n  - link: {{path: /a, to: \"{{{{ '/b' if {flag} else none }}}}\"}}\n"),
            "environment" => {
                format!("  - command: {{name: c, run: [a], creates: /x, environment: \"{{{{ {{'A': 'x'}} if {flag} else {{'B': 'x'}} }}}}\"}}\n")
            }
            _ => format!("  - package: {{install: [\"{{{{ ['vim'] if {flag} else [] }}}}\", git]}}\n"),
        };
        let yaml = format!(
            "role: r\nsummary: s\nparams:\n  pw: {{type: secret}}\n  pair: {{type: list(secret)}}\nsteps:\n{}",
            step.replace("account.key", "pw").replace("list", "pair").replace("flag", "true").replace("number", "7").replace("text", "'a b'")
        );
        let all = SECRETS.map(|secret| role(&yaml, secret));
        agree(all.into(), &yaml)?;
    }
}

#[test]
fn a_secret_is_not_looked_up_as_a_name() {
    for kind in ["node", "master", "list(node)", "path", "text", "name"] {
        let value = if kind.starts_with("list") { "[\"{{ pw }}\"]" } else { "\"{{ pw }}\"" };
        let yaml = format!(
            "role: r\nsummary: s\nparams:\n  pw: {{type: secret}}\n  pair: {{type: list(secret)}}\n  n: {{type: {kind}, default: {value}}}\nsteps: []\n"
        );
        for secret in ["n1", "hunter2"] {
            let told = role(&yaml, secret).unwrap_err();
            assert!(told.contains("a secret may only go into a parameter of type `secret`") && !told.contains("hunter2"), "{kind}: {told}");
        }
    }
}
