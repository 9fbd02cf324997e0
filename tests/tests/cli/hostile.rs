//! Attempts to break it by hand: wrong files of every kind, wrong places, closed pipes. `docs/breaking.md` lists them.

use ostler_tests::program::{Desk, Said};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;

/// It said what is wrong, with the code of a wrong site; it did not crash.
fn refused(desk: &Desk, wanted: &str) -> Said {
    let said = desk.run(&["lint"]);
    assert_eq!(said.code, Some(3), "{said}");
    assert!(said.err.contains(wanted), "wanted `{wanted}`: {said}");
    assert!(!said.err.contains("panicked"), "{said}");
    said
}

#[test]
fn yaml_that_is_none_is_refused_with_its_place() {
    let cases: &[(&str, &[u8])] = &[
        ("tabs for indentation", b"edition: 1\nsite:\n\tgreeting: x\n"),
        ("an open quote", b"edition: 1\nsite: {greeting: \"x}\n"),
        ("an open bracket", b"edition: 1\nsite: {greeting: [x\n"),
        ("an anchor", b"edition: &one 1\n"),
        ("an alias", b"edition: *one\n"),
        ("a tag", b"edition: !!int 1\n"),
        ("a merge key", b"edition: 1\nsite: {<<: {a: b}}\n"),
        ("a second document", b"edition: 1\n---\nedition: 1\n"),
        ("a key twice", b"edition: 1\nedition: 1\n"),
        ("a list where a map is wanted", b"- edition\n"),
        ("a number where a map is wanted", b"12\n"),
        ("nothing", b""),
        ("only a comment", b"# nothing\n"),
        ("bytes that are no UTF-8", b"edition: 1\nsite: {greeting: \"\xff\xfe\"}\n"),
        ("a NUL", b"edition: 1\nsite: {greeting: \"a\0b\"}\n"),
        ("an unknown key", b"edition: 1\nsites: {}\n"),
        ("a yes that is no boolean", b"edition: yes\n"),
        ("an edition to come", b"edition: 2\n"),
        ("no edition", b"site: {}\n"),
        ("an escape sequence of terminals", b"edition: 1\n\"\\e[31mred\": 1\n"),
    ];
    for (what, text) in cases {
        let desk = Desk::new().with_site();
        desk.write("ostler.yaml", text);
        let said = desk.run(&["lint"]);
        assert_eq!(said.code, Some(3), "{what}: {said}");
        assert!(said.err.contains("ostler.yaml"), "{what}: {said}");
        assert!(!said.err.contains("panicked") && !said.err.contains('\x1b'), "{what}: {said}");
    }
}

#[test]
fn deep_and_wide_yaml_ends_quickly() {
    let desk = Desk::new().with_site();
    for (what, text) in [
        ("100,000 brackets", format!("edition: 1\nsite: {{a: {}}}\n", "[".repeat(100_000))),
        ("a mapping 5,000 deep", format!("edition: 1\nsite: {}1{}\n", "{a: ".repeat(5_000), "}".repeat(5_000))),
        ("64 MB of one word", format!("edition: 1\nsite: {{a: {}}}\n", "x".repeat(64 << 20))),
    ] {
        desk.write("ostler.yaml", text);
        let begin = std::time::Instant::now();
        let said = desk.run(&["lint"]);
        assert_eq!(said.code, Some(3), "{what}: {}", said.err.chars().take(400).collect::<String>());
        assert!(begin.elapsed().as_secs() < 20, "{what}: {:?}", begin.elapsed());
        assert!(said.err.len() < 20_000, "{what}: {} bytes of fault", said.err.len());
    }
}

/// `lint` with no more data of its own than this (setrlimit(2), RLIMIT_DATA): whoever wants more is given none, and ends by a signal.
fn lint_within(desk: &Desk, mebibytes: usize) -> Said {
    let plain = desk.command(&["lint"]);
    let mut limited = std::process::Command::new("prlimit");
    limited.arg(format!("--data={}", mebibytes << 20)).arg(plain.get_program()).args(plain.get_args()).current_dir(desk.at(""));
    limited.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?)))).stdin(Stdio::null());
    Said::of(&limited.output().expect("prlimit runs"), desk)
}

#[test]
fn values_that_double_take_no_more_than_200_mib_however_they_grow() {
    for (kind, first, next) in [
        ("text", "x".repeat(64), "{{ P }}{{ P }}"),
        ("list(text)", format!("[{}]", "x".repeat(64)), "{{ P + P }}"),
        ("text", "x".repeat(64), "{{ [P, P] | join }}"),
        ("text", "x".repeat(64), "{{ P | replace('x', 'xx') }}"),
    ] {
        let desk = Desk::new().with_site();
        let mut role = format!("role: first\nsummary: Doubles.\nparams:\n  p0: {{type: {kind}, default: {first}}}\n");
        for number in 1..=30 {
            let grown = next.replace('P', &format!("p{}", number - 1));
            role += &format!("  p{number}: {{type: {kind}, default: \"{grown}\"}}\n");
        }
        desk.write("roles/first.yaml", role + "steps:\n  - file: {path: /a, content: \"{{ p30 | json }}\"}\n");
        desk.write("nodes.yaml", "nodes:\n  n1: {host: 192.0.2.1, roles: [first]}\n");
        let said = lint_within(&desk, 200);
        assert_eq!(said.code, Some(3), "{next}: {said}");
        assert!(said.err.contains("becomes larger than 1 MiB"), "{next}: {said}");
    }
}

#[test]
fn a_link_out_of_the_site_is_not_followed() {
    let desk = Desk::new().with_site();
    std::fs::create_dir_all(desk.at("files")).expect("a directory");
    symlink("/etc/passwd", desk.at("files/motd")).expect("a link");
    desk.write("roles/first.yaml", "role: first\nsummary: One.\nsteps:\n  - file: {path: /etc/motd, from: files/motd}\n");
    desk.write("ostler.yaml", "edition: 1\n");
    let said = refused(&desk, "files/motd");
    assert!(!said.err.contains("root:x:0"), "{said}");
}

#[test]
fn a_path_out_of_the_site_is_refused() {
    for path in ["../../../etc/passwd", "/etc/passwd", "files/../../x"] {
        let desk = Desk::new().with_site();
        desk.write("roles/first.yaml", format!("role: first\nsummary: One.\nsteps:\n  - file: {{path: /etc/motd, from: {path}}}\n"));
        desk.write("ostler.yaml", "edition: 1\n");
        let said = desk.run(&["lint"]);
        assert_eq!(said.code, Some(3), "{path}: {said}");
    }
}

#[test]
fn a_directory_or_a_pipe_where_a_file_is_wanted_is_refused() {
    let desk = Desk::new().with_site();
    std::fs::remove_file(desk.at("nodes.yaml")).expect("there");
    std::fs::create_dir(desk.at("nodes.yaml")).expect("a directory");
    refused(&desk, "nodes.yaml");
    let desk = Desk::new().with_site();
    std::fs::remove_file(desk.at("roles/first.yaml")).expect("there");
    let made = std::process::Command::new("mkfifo").arg(desk.at("roles/first.yaml")).status().expect("mkfifo runs");
    assert!(made.success());
    let mut child = desk.command(&["lint"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("ostler runs");
    let begin = std::time::Instant::now();
    while child.try_wait().expect("it is ours").is_none() {
        if begin.elapsed().as_secs() > 20 {
            let _ = child.kill();
            panic!("lint waits for a pipe in roles/ for ever");
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn roles_that_need_each_other_are_refused() {
    let desk = Desk::new().with_site();
    desk.write("roles/first.yaml", "role: first\nsummary: One.\nneeds:\n  - second: {}\n");
    desk.write("roles/second.yaml", "role: second\nsummary: Two.\nneeds:\n  - first: {}\n");
    desk.write("ostler.yaml", "edition: 1\n");
    refused(&desk, "first");
}

#[test]
fn a_role_of_the_library_is_not_hidden_by_accident() {
    let desk = Desk::new().with_site();
    desk.write("roles/base.yaml", "role: base\nsummary: Mine.\nsteps: []\n");
    refused(&desk, "replaces: library");
}

#[test]
fn a_role_under_another_files_name_is_refused() {
    let desk = Desk::new().with_site();
    desk.write("roles/other.yaml", "role: first\nsummary: One.\n");
    refused(&desk, "roles/other.yaml");
}

#[test]
fn two_declarations_that_disagree_show_both_places() {
    let desk = Desk::new().with_site();
    desk.write(
        "roles/first.yaml",
        "role: first\nsummary: One.\nsteps:\n  - file: {path: /etc/motd, content: a}\n  - file: {path: /etc/motd, content: b}\n",
    );
    desk.write("ostler.yaml", "edition: 1\n");
    let said = refused(&desk, "roles/first.yaml:5");
    assert!(said.err.contains("roles/first.yaml:4") || said.err.contains("4 |"), "{said}");
}

#[test]
fn nothing_of_a_node_is_needed_without_home_or_state() {
    let desk = Desk::new().with_site();
    let output = desk.command(&["lint"]).env_remove("HOME").env_remove("USER").output().expect("ostler runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let output = desk.command(&["lint"]).env("XDG_STATE_HOME", "/proc/nowhere").output().expect("ostler runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_path_that_is_no_text_is_served() {
    use std::os::unix::ffi::OsStrExt;
    let desk = Desk::new();
    let name = std::ffi::OsStr::from_bytes(b"si\xffte");
    for arguments in [&["init"][..], &["lint", "--site"], &["nodes", "--output", "json", "--site"]] {
        let said = Said::of(&desk.command(arguments).arg(name).output().expect("ostler runs"), &desk);
        assert_eq!(said.code, Some(0), "{arguments:?}: {said}");
    }
}

#[test]
fn a_site_that_may_not_be_looked_into_is_not_called_missing() {
    let desk = Desk::new().with_site();
    // A name longer than the file system takes: who is root may look into everything else.
    let said = desk.run(&["lint", "--site", &"x".repeat(300)]);
    assert!(said.code == Some(3) && said.err.contains("File name too long"), "{said}");
    let said = desk.run(&["lint", "--site", "ostler.yaml"]);
    assert!(said.code == Some(3) && said.err.contains("at ostler.yaml: there is no such directory"), "{said}");
}

#[test]
fn a_state_directory_that_cannot_be_written_is_named() {
    let desk = Desk::new().with_site();
    let output = desk.command(&["plan"]).env("XDG_STATE_HOME", "/proc/nowhere").output().expect("ostler runs");
    let said = Said::of(&output, &desk);
    assert_ne!(said.code, Some(0), "{said}");
    assert!(!said.err.contains("panicked"), "{said}");
}

#[test]
fn a_closed_pipe_is_a_quiet_end() {
    let desk = Desk::new().with_site();
    for arguments in [&["nodes"][..], &["schema", "role"], &["completions", "bash"], &["explain"], &["--help"]] {
        let mut child = desk.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("ostler runs");
        drop(child.stdout.take());
        let said = Said::of(&child.wait_with_output().expect("it ends"), &desk);
        assert!(!said.err.contains("panicked") && !said.err.contains("Broken pipe"), "{arguments:?}: {said}");
    }
    // What was wrong is wrong, also when nobody listens.
    desk.write("nodes.yaml", "nodes: {n1: {roles: [nothing-of-that-name]}}\n");
    let mut child = desk.command(&["--output", "json", "lint"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("ostler runs");
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(3));
}

#[test]
fn a_full_standard_output_is_no_crash() {
    let desk = Desk::new().with_site();
    let full = std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
    let output = desk.command(&["nodes"]).stdout(full).stderr(Stdio::piped()).output().expect("ostler runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("panicked") && said.contains("standard output cannot be written: No space left on device"), "{said}");
    assert_eq!(output.status.code(), Some(1), "what was not told is not success");
}

#[test]
fn a_terminal_of_twenty_columns_is_served() {
    let desk = Desk::new().with_site().variable("COLUMNS", "20");
    for arguments in [&["--help"][..], &["nodes"], &["lint"], &["explain", "apt-lock"]] {
        let said = desk.run(arguments);
        assert_eq!(said.code, Some(0), "{arguments:?}: {said}");
    }
}

#[test]
fn an_identity_that_others_may_read_is_refused() {
    let desk = Desk::new().with_site();
    assert_eq!(desk.run(&["secret", "show-recipients"]).code, Some(0));
    let identity = desk.path().join("home/.config/ostler/identity.txt");
    std::fs::set_permissions(&identity, std::fs::Permissions::from_mode(0o644)).expect("ours");
    let said = desk.run(&["secret", "show-recipients"]);
    assert_eq!(said.code, Some(3), "{said}");
    assert!(said.err.contains("identity.txt"), "{said}");
}

#[test]
fn a_secret_that_nobody_here_opens_is_named() {
    let desk = Desk::new().with_site();
    let name = "../outside";
    let said = desk.run_with(&["secret", "set", name], b"x");
    assert_ne!(said.code, Some(0), "{said}");
    assert!(!desk.path().join("outside.age").exists());
    let none = desk.run_with(&["secret", "set", "door"], b"x");
    assert_eq!(none.code, Some(3), "no recipients: {none}");
}

#[test]
fn an_unreachable_node_is_exit_4_and_holds_nobody_back() {
    let desk = Desk::new().with_site();
    // TEST-NET-1 has no route here or never answers; port 1 of loopback refuses at once.
    desk.write("nodes.yaml", "groups:\n  build:\n    roles: [first]\nnodes:\n  a: {host: 127.0.0.1, groups: [build], ssh: {port: 1}}\n");
    let said = desk.run(&["check"]);
    assert!(said.code == Some(4) || said.err.contains("no agent"), "{said}");
    assert!(!said.err.contains("panicked"), "{said}");
}
