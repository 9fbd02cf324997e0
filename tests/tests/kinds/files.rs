//! Files whose content is ours and whose further attributes, ends and owners are somebody else's.

use ostler_tests::site::{Ran, Site};
use serde_json::{Value, json};

fn site() -> Site {
    crate::site("files", crate::node())
}

fn apply(site: &Site, steps: &[Value]) -> Ran {
    crate::write_role(site, "files", &[], &steps.iter().collect::<Vec<_>>());
    site.apply()
}

/// Applied well, and the second time nothing is left to do.
fn applied(site: &Site, steps: &[Value]) -> Ran {
    let ran = apply(site, steps);
    ran.good();
    site.apply().nothing_to_do();
    ran
}

/// What setfacl and getfacl would do: the call itself, of perl, which each node has (asm/unistd_64.h, linux/posix_acl_xattr.h).
const ACL: &str = r#"
named() { perl -e 'my $acl = pack("V(vvV)5", 2, 1,6,~0&0xffffffff, 2,6,$ARGV[1], 4,4,0xffffffff, 16,6,0xffffffff, 32,0,0xffffffff);
    my ($f, $a) = ($ARGV[0], "system.posix_acl_access"); syscall(188, $f, $a, $acl, length $acl, 0) == 0 or die $!' "$@"; }
rights() { perl -e 'my ($b, $f, $a) = (" " x 99, $ARGV[0], "system.posix_acl_access"); my $n = syscall(191, $f, $a, $b, 99); $n > 0 or die $!;
    my ($v, @e) = unpack("V(vvV)*", substr($b, 0, $n)); while (my ($t, $p) = splice @e, 0, 3) { print "$t:$p " }' "$1"; }
"#;

#[test]
fn whoever_replaces_a_file_keeps_its_acl_and_widens_nothing() {
    let site = site();
    site.sh("n1", "useradd friend; groupadd team; useradd -G team mate");
    for file in ["line", "file", "command"] {
        let uid = "$(id -u friend)";
        site.sh("n1", &format!("{ACL} cd /srv; echo a=1 > {file}; chown root:team {file}; chmod 640 {file}; named {file} {uid}"));
    }
    let to_write = [
        json!({"line": {"path": "/srv/line", "line": "a=2", "replaces": "a="}}),
        json!({"file": {"path": "/srv/file", "content": "a=2\n", "group": "team", "mode": "0660"}}),
        json!({"command": {"name": "say", "run": ["echo", "a=2"], "stdout_to": "/srv/command", "unless": ["grep", "-q", "a=2", "/srv/command"]}}),
    ];
    applied(&site, &to_write);
    for file in ["line", "file", "command"] {
        let tries = format!(
            "{ACL} cd /srv; cat {file}; rights {file}; runuser -u friend -- sh -c ': >> {file}' && echo the friend writes; \
             runuser -u mate -- cat {file} >/dev/null && echo the group reads; runuser -u mate -- sh -c ': >> {file}' 2>&1 | grep -c denied"
        );
        assert_eq!(site.sh("n1", &tries), "a=2\n1:6 2:6 4:4 16:6 32:0 the friend writes\nthe group reads\n1", "{file}");
    }
}

#[test]
fn ends_of_lines_are_no_part_of_a_line_and_stay() {
    let site = site();
    site.sh(
        "n1",
        r"printf 'a=1\r\nb=2\r\n' > /srv/there; cp /srv/there /srv/gone; cp /srv/there /srv/new; useradd ci; useradd -ou $(id -u ci) alias",
    );
    let steps = [
        json!({"line": {"path": "/srv/there", "line": "a=1"}}),
        json!({"line": {"path": "/srv/gone", "line": "a=1", "absent": true}}),
        json!({"line": {"path": "/srv/new", "line": "c=3"}}),
        // The same account by its other name.
        json!({"file": {"path": "/srv/owned", "content": "x", "owner": "alias"}}),
    ];
    let ran = applied(&site, &steps);
    assert_eq!(ran.unchanged("n1").len(), 1, "{}", ran.told());
    let bytes = site.sh("n1", "cd /srv; for file in there gone new; do od -An -c $file | tr -d ' \n'; echo; done");
    assert_eq!(
        bytes,
        r"a=1\r\nb=2\r\n
b=2\r\n
a=1\r\nb=2\r\nc=3\r\n"
    );
}

#[test]
fn what_chattr_has_forbidden_and_what_is_too_large_is_told_with_names_and_numbers() {
    let site = site();
    site.sh("n1", "echo old > /srv/fixed; chattr +i /srv/fixed; mkdir /srv/closed; chattr +i /srv/closed; truncate -s 65M /srv/long");
    let failed = |step: Value| {
        let ran = apply(&site, &[step]);
        ran.failed("n1").into_iter().map(|(_, why)| why).chain(ran.impossible("n1").into_iter().map(|(_, why)| why)).collect::<String>()
            + &ran.told()
    };
    let said = failed(json!({"file": {"path": "/srv/fixed", "content": "new"}}));
    assert!(said.contains("/srv/fixed is immutable") && said.contains("chattr -ia /srv/fixed"), "{said}");
    let said = failed(json!({"file": {"path": "/srv/closed/new", "content": "new"}}));
    assert!(said.contains("/srv/closed is immutable") && said.contains("chattr -ia /srv/closed"), "{said}");
    let said = failed(json!({"line": {"path": "/srv/long", "line": "x"}}));
    assert!(said.contains("it has 65 MiB, and at most 64 MiB are read") && said.contains("ls -l /srv/long"), "{said}");
    site.sh("n1", "chattr -i /srv/fixed /srv/closed");
    applied(
        &site,
        &[json!({"file": {"path": "/srv/fixed", "content": "new"}}), json!({"file": {"path": "/srv/closed/new", "content": "new"}})],
    );
}

#[test]
fn of_a_private_file_only_the_line_that_is_wished_is_shown() {
    let site = site();
    site.sh("n1", "umask 077; printf 'user=ci\ntoken=hunter2-hunter2\ntoken=other-other\n' > /srv/private; cp /srv/private /srv/gone; chmod 644 /srv/gone; cp /srv/private /srv/away");
    let steps = [
        json!({"line": {"path": "/srv/private", "line": "token=new", "replaces": "token="}}),
        json!({"line": {"path": "/srv/away", "line": "token=new", "replaces": "token=", "absent": true}}),
    ];
    crate::write_role(&site, "files", &[], &steps.iter().collect::<Vec<_>>());
    let plan = site.run(&["plan"]);
    let shown: Vec<String> = plan.planned("n1").iter().flat_map(|(_, planned)| crate::changes(planned)).collect();
    assert_eq!(shown, ["line: 2 lines of a private file -> token=new", "line: 2 lines of a private file -> absent"]);
    let ran = site.apply();
    ran.good();
    for told in [plan.told(), ran.told(), site.run(&["plan", "-D"]).told()] {
        assert!(!told.contains("hunter2") && !told.contains("other-other"), "{told}");
    }
    assert_eq!(site.sh("n1", "cat /srv/private /srv/away"), "user=ci\ntoken=new\nuser=ci");
    // What all may read is shown as before.
    let open = json!({"line": {"path": "/srv/gone", "line": "token=new", "replaces": "token="}});
    let ran = applied(&site, &[open]);
    assert_eq!(
        ran.planned("n1").iter().flat_map(|(_, planned)| crate::changes(planned)).collect::<Vec<_>>(),
        ["line: token=hunter2-hunter2 | token=other-other -> token=new"]
    );
}
