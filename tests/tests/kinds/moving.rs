//! What goes on by itself between a plan and its `y`.

use ostler_tests::buildbot::library;
use ostler_tests::terminal::Terminal;
use std::process::Command;

/// Pushes as many commits more as make `commits`.
fn push(site: &ostler_tests::site::Site, commits: &str) {
    let origin = site.lab().dir().join("git").join("one");
    std::fs::remove_dir_all(&origin).unwrap();
    assert!(Command::new(library("files/git-server/make-repository")).arg(origin).arg(commits).status().unwrap().success());
}

#[test]
fn how_far_an_origin_has_gone_on_since_the_plan_is_no_fact_of_the_node() {
    let site = crate::site("mirrors", crate::node());
    let _daemon = crate::git_daemon(&site);
    site.write(
        "roles/mirrors.yaml",
        "role: mirrors\nsummary: A mirror, and what comes behind it.\nsteps:\n  - package: {install: [git]}\n  - user: {name: tester}\n  - git_cache: {root: /srv/mirrors, \
         repositories: [one], upstreams: [\"git://10.78.0.1\"], owner: tester}\n  - file: {path: /srv/behind, content: \"1\\n\"}\n",
    );
    site.apply().good();
    let there = |commits: &str| {
        let counted = site.sh("n1", "git -C /srv/mirrors/one -c safe.directory='*' rev-list --count HEAD");
        assert_eq!(counted, commits);
    };
    // Once the mirror is behind when the plan is made, once it is not.
    for (before, after, content) in [("4", "15", "2"), ("15", "26", "3")] {
        push(&site, before);
        site.replace(
            "roles/mirrors.yaml",
            &format!("content: \"{}\\n\"", content.parse::<u8>().unwrap() - 1),
            &format!("content: \"{content}\\n\""),
        );
        let mut terminal = Terminal::start(&site.command(&["apply"]));
        terminal.wait_for("[y/N]");
        push(&site, after);
        terminal.types("y\n");
        assert_eq!(terminal.end(), 0, "{}", terminal.said());
        there(after);
        assert_eq!(site.sh("n1", "cat /srv/behind"), content);
    }
}
