//! The failure card: node, role and step, place, command, exit status, last lines, likely cause, one command to try, where the log is.

use super::{Paint, Style, recognise, sanitize};
use ostler_roles::outcome::Failure;
use ostler_roles::words::{NodeName, Origin, RunId};

/// Lines of output shown on a card.
const TAIL: usize = 15;

/// What a card tells.
#[derive(Debug, Clone)]
pub struct Card<'a> {
    /// Which node.
    pub node: &'a NodeName,
    /// Role and step, where one was running.
    pub step: Option<(&'a str, String)>,
    /// Where it is written.
    pub origin: Option<&'a Origin>,
    /// What went wrong.
    pub failure: &'a Failure,
    /// Where the run's events are kept.
    pub log: Option<String>,
    /// The run.
    pub run: Option<&'a RunId>,
}

/// The card's lines.
pub fn card_lines(card: &Card<'_>, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    let what = card.step.as_ref().map_or_else(String::new, |(role, step)| format!("  {role} > {step}"));
    let head = format!("failed: {}{}", card.node, sanitize(&what, false));
    lines.extend(style.paragraph(&head, 8).iter().map(|line| style.paint(Paint::Bad, line)));
    let row = |lines: &mut Vec<String>, name: &str, text: &str| {
        let clean = sanitize(text, false);
        for (index, line) in style.wrap(&clean, 12).into_iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            lines.push(format!("  {} {line}", style.paint(Paint::Dim, &format!("{name:<9}"))));
        }
    };
    if let Some(origin) = card.origin {
        row(&mut lines, "at", &origin.to_string());
    }
    row(&mut lines, "what", &card.failure.message);
    for cause in &card.failure.causes {
        row(&mut lines, "because", cause);
    }
    if let Some(command) = &card.failure.command {
        row(&mut lines, "command", &command.argv.join(" "));
        row(&mut lines, "ended", &command.status.to_string());
        let skipped = command.tail.len().saturating_sub(TAIL);
        for line in command.tail.iter().skip(skipped) {
            let parts = style.wrap(&sanitize(line, false), 6);
            lines.extend(parts.iter().map(|part| format!("    {} {part}", style.paint(Paint::Dim, "|"))));
        }
    }
    let cause = recognise(card.failure);
    match &cause {
        Some(cause) => row(&mut lines, "cause", &format!("{} (ostler explain {})", cause.cause, cause.code)),
        None => row(&mut lines, "cause", "not recognised: the lines above are all that is known"),
    }
    let advice = card.failure.hint.clone().or_else(|| cause.and_then(|cause| cause.try_for(card.failure)));
    if let Some(advice) = advice {
        row(&mut lines, "try", self::advice(&advice));
    }
    if let Some(log) = &card.log {
        row(&mut lines, "log", log);
    }
    if card.run.is_some() {
        row(&mut lines, "resume", "apply again: it goes on at the first unfinished step");
    }
    lines
}

/// A hint as it stands behind `try:`. Who writes a role may have begun it with that word.
pub fn advice(hint: &str) -> &str {
    let rest = hint.get(..3).filter(|word| word.eq_ignore_ascii_case("try")).and_then(|_| hint.get(3..));
    rest.and_then(|rest| rest.strip_prefix([':', ' '])).map_or(hint, str::trim_start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_roles::outcome::{CommandFailure, Ended, FailureKind};

    fn failure() -> Failure {
        Failure {
            kind: FailureKind::Apply,
            message: "install nonesuch".to_owned(),
            causes: Vec::new(),
            command: Some(CommandFailure {
                argv: ["apt-get", "install", "-y", "nonesuch"].map(str::to_owned).to_vec(),
                status: Ended::Exit(100),
                tail: vec!["Reading package lists...".to_owned(), "E: Unable to locate package nonesuch\u{1b}[0m".to_owned()],
            }),
            hint: None,
        }
    }

    #[test]
    fn a_hint_does_not_say_twice_that_it_is_one() {
        for (hint, shown) in [("try: df -h", "df -h"), ("Try df -h", "df -h"), ("try:df", "df"), ("trying", "trying"), ("é", "é"), ("", "")]
        {
            assert_eq!(advice(hint), shown, "{hint}");
        }
        let (node, failure) = (NodeName::parse("n").unwrap(), Failure { hint: Some("try: df -h".to_owned()), ..failure() });
        let lines = card_lines(&Card { node: &node, step: None, origin: None, failure: &failure, log: None, run: None }, Style::PLAIN);
        assert!(lines.iter().any(|line| line.ends_with("df -h")) && !lines.concat().contains("try:"), "{lines:#?}");
    }

    #[test]
    fn a_card_tells_everything_once() {
        let node = NodeName::parse("build-1").unwrap();
        let origin = Origin { file: "roles/tools.yaml".to_owned(), line: 7, column: 5 };
        let failure = failure();
        let card = Card {
            node: &node,
            step: Some(("tools", "package nonesuch".to_owned())),
            origin: Some(&origin),
            failure: &failure,
            log: Some("~/.local/state/ostler/runs/0192".to_owned()),
            run: None,
        };
        insta::assert_snapshot!(card_lines(&card, Style::PLAIN).join("\n"));
        insta::assert_snapshot!("narrow", card_lines(&card, Style { colour: false, width: Some(40) }).join("\n"));
    }
}
