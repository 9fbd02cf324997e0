//! A planted secret is where it belongs and in no other artefact, whatever is printed, kept or run.

use super::field;
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

fn plant(field: &Field) {
    let shown = field.ostler(["secret", "show-recipients"]);
    let all = format!("{}{}", shown.stdout, shown.stderr);
    let recipient = all.split_whitespace().find(|word| word.starts_with("age1")).expect("a recipient");
    field
        .append("ostler.yaml", &format!("secrets: {{recipients: [{recipient}]}}\nvars: {{demo: {{token: \"{{{{ secret.token }}}}\"}}}}\n"));
    let file = field.dir().join("home/plain");
    std::fs::write(&file, PLANTED).expect("written");
    let set = field.ostler(["secret", "set", "token", "--from", file.to_str().expect("a path")]);
    assert_eq!(set.code, 0, "{set}");
    std::fs::remove_file(file).expect("removed");
}

fn assert_clean(ran: &Ran) {
    assert!(!ran.to_string().contains(PLANTED), "{ran}");
}

#[test]
fn a_planted_secret_is_in_its_files_and_nowhere_else() {
    let field = field(1, ROLE);
    plant(&field);
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
        assert_clean(ran);
    }

    let search = "grep -rlsF --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev -- $WORD / | sort; \
                  journalctl -q -o export | grep -cF -- $WORD || true";
    let on_node = field.said("n1", &search.replace("$WORD", PLANTED));
    assert_eq!(on_node, "/etc/demo-secret\n/etc/demo-strict\n0");
    assert_eq!(field.said("n1", "stat -c '%a %U' /etc/demo-secret /etc/demo-strict"), "600 root\n400 root");
    let places = ["site", "state", "home"].map(|name| field.dir().join(name));
    let here = std::process::Command::new("grep").args(["-rlaF", "--", PLANTED]).args(places).output().expect("grep");
    // 1: it looked, and there was none; 2: there was nothing to look at.
    assert_eq!((String::from_utf8_lossy(&here.stdout).as_ref(), here.status.code()), ("", Some(1)));
}
