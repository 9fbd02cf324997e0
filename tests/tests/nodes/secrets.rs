//! A planted secret is where it belongs and in no other artefact, whatever is printed, kept or run.

use super::{AT_GATE, GATED, OPEN, field};
use base64::Engine as _;
use ostler_tests::e2e::{Field, Ran};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const PLANTED: &str = "planted-4f1c9a77e2";

const ROLE: &str = r#"role: demo
summary: A secret in a file, in an environment, in what a service reads.
params: {token: {type: secret}}
steps:
  - file: {path: /etc/demo-secret, content: "token = {{ token }}\n"}
  - file: {path: /etc/demo-strict, content: "TOKEN={{ token }}\n", mode: "0400"}
  - command: {name: login, run: [sh, -c, "echo using $TOKEN; sleep 0.3; test -n \"$TOKEN\" && touch /srv/used"], creates: /srv/used, environment: {TOKEN: "{{ token }}"}}
  - service:
      name: reader
      unit_content: |
        [Service]
        Type=oneshot
        RemainAfterExit=yes
        EnvironmentFile=/etc/demo-strict
        ExecStart=/bin/sh -c 'test -n "$$TOKEN"'
      state: running
      restart_on: [file /etc/demo-strict]
"#;

/// Looks at every command line of this machine, the nodes' among them, until told to stop.
fn watch(stop: Arc<AtomicBool>) -> std::thread::JoinHandle<(u64, Vec<String>)> {
    std::thread::spawn(move || {
        let (mut looks, mut found) = (0, Vec::new());
        while !stop.load(Ordering::Relaxed) {
            looks += 1;
            for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
                let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
                let line = String::from_utf8_lossy(&line).replace('\0', " ");
                if line.contains(PLANTED) {
                    found.push(line);
                }
            }
        }
        (looks, found)
    })
}

fn plant(field: &Field, planted: &str) {
    let shown = field.ostler(["secret", "show-recipients"]);
    let all = format!("{}{}", shown.stdout, shown.stderr);
    let recipient = all.split_whitespace().find(|word| word.starts_with("age1")).expect("a recipient");
    field
        .append("ostler.yaml", &format!("secrets: {{recipients: [{recipient}]}}\nvars: {{demo: {{token: \"{{{{ secret.token }}}}\"}}}}\n"));
    let file = field.dir().join("home/plain");
    std::fs::write(&file, planted).expect("written");
    let set = field.ostler(["secret", "set", "token", "--from", file.to_str().expect("a path")]);
    assert_eq!(set.code, 0, "{set}");
    std::fs::remove_file(file).expect("removed");
}

/// Another, for tests that look for it by command lines: the first one is watched for in all of this machine.
const OTHER: &str = "planted-8e3b5d60f1-whole";

/// Spellings and halves of a planted secret: none may show.
pub fn spellings(planted: &str) -> Vec<String> {
    let ends = [planted.to_owned(), planted[..11].to_owned(), planted[planted.len() - 9..].to_owned()];
    let base64 = |before: usize| {
        let text = base64::engine::general_purpose::STANDARD.encode(format!("{}{planted}", "x".repeat(before)));
        text[6..18].to_owned()
    };
    ends.into_iter().chain((0..3).map(base64)).collect()
}

fn assert_clean(ran: &Ran, planted: &str) {
    let text = ran.to_string();
    for spelling in spellings(planted) {
        assert!(!text.contains(&spelling), "{spelling}: {ran}");
    }
}

/// Nothing of it is kept: on the node in its files alone, here nowhere.
fn assert_kept_nowhere(field: &Field, planted: &str, files: &str) {
    let words: String = spellings(planted).iter().map(|spelling| format!(" -e {spelling}")).collect();
    let search = format!(
        "grep -rlsaF --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev{words} / | sort; journalctl -q -o export | grep -caF{words} || true"
    );
    assert_eq!(field.said("n1", &search), format!("{files}0"));
    let places = ["site", "state", "home"].map(|name| field.dir().join(name));
    let words = spellings(planted).into_iter().flat_map(|spelling| ["-e".to_owned(), spelling]);
    let here = std::process::Command::new("grep").arg("-rlaF").args(words).args(places).output().expect("grep");
    // 1: it looked, and there was none; 2: there was nothing to look at.
    assert_eq!((String::from_utf8_lossy(&here.stdout).as_ref(), here.status.code()), ("", Some(1)));
}

#[test]
fn a_planted_secret_is_in_its_files_and_nowhere_else() {
    let field = field(1, ROLE);
    plant(&field, PLANTED);
    let stop = Arc::new(AtomicBool::new(false));
    let watcher = watch(Arc::clone(&stop));
    let plan = field.ostler(["plan", "-D"]);
    assert_eq!(plan.code, 0, "{plan}");
    let first = field.apply();
    first.assert_changed(4);
    // What a failing command prints comes back in its card.
    field.write("roles/demo.yaml", &ROLE.replace("echo using $TOKEN;", "echo leaking $TOKEN >&2; exit 3;"));
    field.run("n1", "rm /srv/used; echo more >> /etc/demo-secret");
    let failed = field.ostler(["apply", "--yes", "-vv"]);
    assert_eq!(failed.code, 1, "{failed}");
    assert!(failed.stdout.contains("leaking "), "the card shows the last lines: {failed}");
    let json = field.apply();
    assert_eq!(json.code, 1, "{json}");
    let told = field.ostler(["attach", "n1", "-v"]);
    let diff = field.ostler(["plan", "-D", "--output", "json"]);
    let explained = field.ostler(["explain", "var", "n1", "demo.token"]);
    stop.store(true, Ordering::Relaxed);
    let (looks, lines) = watcher.join().expect("watched");
    assert!(looks > 20 && lines.is_empty(), "{looks} looks: {lines:#?}");
    for ran in [&plan, &first, &failed, &json, &told, &diff, &explained] {
        assert_clean(ran, PLANTED);
    }

    assert_kept_nowhere(&field, PLANTED, "/etc/demo-secret\n/etc/demo-strict\n");
    assert_eq!(field.said("n1", "stat -c '%a %U' /etc/demo-secret /etc/demo-strict"), "600 root\n400 root");
}

/// A role whose one step that fails shows the secret, of which nothing is to be sent once its file is there.
fn leaking(rest: &str) -> String {
    format!(
        "role: demo\nsummary: A secret in a file that something prints.\nparams: {{token: {{type: secret}}}}\nsteps:\n  \
         - file: {{path: /etc/demo-secret, owner: admin, content: \"token = {{{{ token }}}}\\n\"}}\n{rest}"
    )
}

/// A command that shows the file in every way, at places where its output will be cut.
const SHOW: &str = "cat /etc/demo-secret; base64 /etc/demo-secret; base64 -w 7 /etc/demo-secret; sed 's/.*= //' /etc/demo-secret | base64; \
    sed s/-/%2d/ /etc/demo-secret; printf %0390d 0; cat /etc/demo-secret; \
    i=0; while [ $i -lt 64 ]; do i=$((i+1)); printf '%063d' $i; cat /etc/demo-secret; done; cat /etc/demo-secret >&2";

/// A package whose own script shows the file, and fails.
const PACKAGE: &str = "mkdir -p /srv/archive/leak/DEBIAN && cd /srv/archive && \
    printf 'Package: leak\nVersion: 1\nArchitecture: all\nMaintainer: A <a@b.invalid>\nDescription: one\n' >leak/DEBIAN/control && \
    printf '#!/bin/sh\ncat /etc/demo-secret\nexit 1\n' >leak/DEBIAN/postinst && chmod 755 leak/DEBIAN/postinst && \
    dpkg-deb --build leak >/dev/null && \
    { dpkg-deb --field leak.deb; printf 'Filename: ./leak.deb\nSize: %s\nSHA256: %s\n\n' $(stat -c %s leak.deb) $(sha256sum <leak.deb | cut -c-64); } >Packages && \
    echo 'deb [trusted=yes] file:/srv/archive ./' >/etc/apt/sources.list.d/archive.list && \
    apt-get update -qq -o Dir::Etc::SourceList=/dev/null >/dev/null";

/// The last stage: what a service says is kept by the node's own journal, which is not ours.
const SERVICE: &str = "a service";

/// Each of these fails, at its own stage of a run.
fn failures() -> Vec<(&'static str, String)> {
    let show = |name: &str, run: &str, more: &str| format!("command: {{name: {name}, run: [sh, -c, \"{run}\"]{more}}}");
    let script = SHOW.replace('\\', "\\\\");
    let failing = show("leak", &format!("{script}; exit 3"), "");
    let unit = "  - service:\n      name: leak\n      unit_content: |\n        [Service]\n        Type=oneshot\n        \
         ExecStart=/bin/cat /etc/demo-secret\n        ExecStart=/bin/false\n      state: running\n";
    vec![
        ("a step", leaking(&format!("  - {}\n", failing.replace("]}", "], creates: /srv/never}")))),
        ("a guard", leaking(&format!("  - command: {{name: leak, run: [\"true\"], unless: [sh, -c, \"{script}; kill -9 $$\"]}}\n"))),
        (
            "a proof of a file",
            leaking(
                "  - file: {path: /etc/demo-other, content: \"x\\n\", validate: [sh, -c, \"cat /etc/demo-secret; exit 1\", x, \"%f\"]}\n",
            ),
        ),
        ("a proof", leaking(&format!("verify:\n  - {}\n", failing.replace("]}", "], as: admin}")))),
        ("a requirement", leaking(&format!("require:\n  - {}\n", failing.replace("]}", "], as: admin}")))),
        ("a package", leaking("  - package: {install: [leak]}\n")),
        (SERVICE, leaking(unit)),
    ]
}

#[test]
fn a_secret_shows_nowhere_whatever_fails_also_when_nothing_of_it_is_sent() {
    let field = field(1, &leaking(""));
    plant(&field, OTHER);
    field.apply().assert_changed(1);
    field.run("n1", PACKAGE);
    for (stage, role) in failures() {
        if stage == SERVICE {
            assert_kept_nowhere(&field, OTHER, "/etc/demo-secret\n");
        }
        field.write("roles/demo.yaml", &role);
        // The file is as it shall be: its value does not travel.
        let mut shown = String::new();
        for call in [&["plan", "-D"][..], &["apply", "--yes", "-vv"], &["apply", "--yes", "--output", "json"], &["attach", "n1", "-v"]] {
            let ran = field.ostler(call);
            assert_clean(&ran, OTHER);
            assert!(call[0] != "apply" || ran.code != 0, "{stage}: {ran}");
            shown += &ran.to_string();
        }
        assert!(shown.contains("***"), "{stage}: it is shown, masked: {shown}");
    }
    field.run("n1", "journalctl -q --rotate; journalctl -q --vacuum-time=1s");
    assert_kept_nowhere(&field, OTHER, "/etc/demo-secret\n");
}

#[test]
fn a_run_that_was_cut_and_the_one_that_goes_on_show_no_secret() {
    let cut = "test -e /srv/once || { touch /srv/once; cat /etc/demo-secret; kill -9 $PPID; sleep 5; }; cat /etc/demo-secret; exit 3";
    let field = field(1, &leaking(&format!("  - command: {{name: leak, run: [sh, -c, \"{cut}\"], creates: /srv/never}}\n")));
    plant(&field, OTHER);
    let first = field.apply();
    assert!(first.trouble("n1").contains("was cut off"), "{first}");
    let second = field.ostler(["apply", "--yes", "-vv"]);
    assert!(second.code == 1 && second.to_string().contains("token = ***"), "{second}");
    for ran in [&first, &second, &field.ostler(["attach", "n1", "-v"]), &field.ostler(["nodes"])] {
        assert_clean(ran, OTHER);
    }
    assert_kept_nowhere(&field, OTHER, "/etc/demo-secret\n");
}

#[test]
fn a_secret_that_could_not_be_masked_is_refused_by_its_name() {
    let field = field(1, &leaking(""));
    plant(&field, OTHER);
    let short = field.dir().join("home/short");
    std::fs::write(&short, "12345\n").expect("written");
    let set = field.ostler(["secret", "set", "pin", "--from", short.to_str().expect("a path")]);
    assert_eq!(set.code, 3, "{set}");
    assert!(set.to_string().contains("secret pin has fewer than 6 characters"), "{set}");
}

#[test]
fn what_the_site_alone_knows_is_masked_in_what_is_shown_of_a_node_that_was_never_given_it() {
    // The role takes no secret: the node's own journal cannot be masked for it.
    let role = "role: demo\nsummary: Prints a file of somebody else's.\nparams: {token: {type: secret}}\nsteps:\n  \
        - command: {name: leak, run: [sh, -c, \"cat /srv/theirs; exit 3\"], creates: /srv/never}\n";
    let field = field(1, role);
    plant(&field, OTHER);
    field.run("n1", &format!("echo {OTHER} > /srv/theirs"));
    for call in [&["apply", "--yes", "-vv"][..], &["attach", "n1", "-v"], &["attach", "n1", "--output", "json"]] {
        let ran = field.ostler(call);
        assert_clean(&ran, OTHER);
        assert!(call.contains(&"-v") || ran.to_string().contains("***"), "it is shown, masked: {ran}");
    }
    let here = ["state", "site"].map(|name| field.dir().join(name));
    let found = std::process::Command::new("grep").args(["-rlaF", OTHER]).args(here).output().expect("grep");
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
}

#[test]
fn no_process_of_ours_can_be_dumped_or_looked_into() {
    let field = field(1, GATED);
    let running = field.start_apply();
    field.wait_for("n1", AT_GATE);
    // What may not be dumped is root's in /proc, whoever runs it (proc(5)). The login half runs as admin.
    let whose = "for process in $(pgrep -u admin -f '[a]gent-[0-9a-f]+ serve'); do stat -c %U /proc/$process/environ; done";
    assert_eq!(field.said("n1", whose).trim(), "root");
    field.run("n1", OPEN);
    running.end().assert_changed(3);
}
