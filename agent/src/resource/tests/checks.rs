//! Checks, on a tree and on this machine.

use super::*;
use crate::host::tests::Dead;
use ostler_roles::check::{
    Check, Connect, Demands, Disk, Kernel, Login, Memory, Package, PackageWant, Share, Verdict, Virtualization, Write,
};
use ostler_roles::outcome::FailureKind;
use ostler_roles::resource::{Effect, command};
use ostler_roles::words::{Bytes, ModuleName, PackageName, Version};

const SOON: Span = Span::seconds(20);

fn judged(fixture: &Fixture, check: &Check) -> Verdict {
    fixture.provider.check(check, SOON, &Demands::default())
}

#[test]
fn a_disk_is_judged_by_what_really_holds_the_path() {
    let fixture = Fixture::new();
    let disk = |size, free_after| Check::Disk(Disk { path: at("/srv/none/below"), size, free_after, executors: None });
    assert!(judged(&fixture, &disk(Some(Bytes(1)), Some(Bytes(1)))).passed());
    let Verdict::Fail { missing: Some(_), .. } = judged(&fixture, &disk(Some(Bytes(u64::MAX / 2)), None)) else { panic!() };
    // What the plan writes on the same file system counts; so much that nothing remains.
    let write = |bytes, by: &str| Write { path: "/srv/image".to_owned(), bytes, by: by.to_owned() };
    let writes = vec![write(Some(Bytes(u64::MAX / 2)), "file /srv/image"), write(None, "git_cache /srv/image")];
    let demands = Demands { writes, ..Demands::default() };
    let Verdict::Fail { found, .. } = fixture.provider.check(&disk(None, Some(Bytes(1))), SOON, &demands) else { panic!() };
    assert!(found.contains("this plan writes") && found.ends_with("; what git_cache /srv/image will write is not known"), "{found}");
}

#[test]
fn a_file_system_whose_server_is_gone_holds_up_neither_step_nor_check() {
    let mut fixture = Fixture::new();
    std::fs::create_dir(fixture.path("/srv/dead")).unwrap();
    let Some(_dead) = Dead::at(&fixture.path("/srv/dead")) else { return };
    fixture.provider = NodeProvider::at_with_answer(fixture.tree.path(), Duration::from_millis(300));
    let content = fixture.blob(b"x");
    let present = Some(ostler_roles::resource::file::Present { content, ownership: owned("0644"), validate: None });
    let file = |path| Desired::File(ostler_roles::resource::file::Desired { path: at(path), present: present.clone() });
    let mut guarded = command::Desired {
        name: "build".to_owned(),
        run: vec!["true".to_owned()],
        creates: None,
        unless: Some(vec!["true".to_owned()]),
        environment: Vec::new(),
        run_as: None,
        directory: Some(at("/srv/dead")),
        stdin: None,
        accept: Vec::new(),
        stdout_to: None,
    };
    let below = Desired::Command(guarded.clone());
    guarded.directory = None;
    guarded.unless = Some(vec!["/srv/dead/bin/asks".to_owned()]);
    let began = Instant::now();
    let asked = [file("/srv/dead/motd"), below, Desired::Command(guarded)].map(|desired| fixture.provider.examine(&desired).unwrap_err());
    for failed in asked.into_iter().chain([fixture.apply(&file("/srv/dead/a/motd")).unwrap_err()]) {
        assert_eq!(failed.kind, FailureKind::Observe);
        assert_eq!(failed.causes, ["its file system does not answer: the server or program behind it is gone"]);
    }
    let disk = Check::Disk(Disk { path: at("/srv/dead/cache"), size: Some(Bytes(1)), free_after: None, executors: None });
    let Verdict::CouldNotTell { why } = fixture.provider.check(&disk, Span::seconds(2), &Demands::default()) else { panic!() };
    let silent = "its file system does not answer: the server or program behind it is gone";
    assert_eq!(why, format!("cannot look at /srv/dead/cache: {silent}"), "asked once for all steps and checks");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(fields(&fixture.twice(&file("/srv/motd"))), ["file"], "the rest goes on");
}

#[test]
fn needs_on_one_file_system_add_up_and_are_told_with_the_largest() {
    let fixture = Fixture::new();
    let Verdict::Pass { .. } =
        judged(&fixture, &Check::Disk(Disk { path: at("/srv"), size: None, free_after: Some(Bytes(1)), executors: None }))
    else {
        panic!()
    };
    let share = |path: &str, role: &str, count| Share {
        path: at(path),
        free_after: Bytes(count),
        role: RoleName::parse(role).unwrap(),
        executors: None,
    };
    let mut demands =
        Demands { writes: Vec::new(), shares: vec![share("/srv/none", "one", 1 << 40), share("/etc", "two", 3 << 60)], own: Some(1) };
    let check = |free_after| Check::Disk(Disk { path: at("/srv/none"), size: None, free_after: Some(Bytes(free_after)), executors: None });
    let Verdict::Fail { wanted, .. } = fixture.provider.check(&check(1), SOON, &demands) else { panic!() };
    assert!(wanted.contains("free in all: 1 TiB for /srv/none (one), ") && wanted.ends_with(" for /etc (two)"), "{wanted}");
    demands.own = Some(0);
    assert!(fixture.provider.check(&check(1), SOON, &demands).passed(), "the other one is judged alone");
}

#[test]
fn a_package_is_installed_offered_or_neither() {
    let fixture = Fixture::new();
    let arch = "all";
    let status = format!("Package: git\nStatus: install ok installed\nArchitecture: {arch}\nVersion: 2\n");
    std::fs::write(fixture.path("/var/lib/dpkg/status"), status).unwrap();
    std::fs::create_dir_all(fixture.path("/var/lib/apt/lists")).unwrap();
    let list = "Package: make\nArchitecture: all\nVersion: 4.3\n";
    std::fs::write(fixture.path("/var/lib/apt/lists/x_Packages"), list).unwrap();
    let package = |name: &str, want, version: Option<&str>| {
        let version = version.map(|version| Version(version.to_owned()));
        judged(&fixture, &Check::Package(Package { name: PackageName::parse(name).unwrap(), want, version }))
    };
    assert!(package("git", PackageWant::Installed, Some("2")).passed());
    assert!(!package("git", PackageWant::Installed, Some("3")).passed());
    assert!(package("make", PackageWant::Offered, Some("4.3")).passed());
    let Verdict::Fail { found, .. } = package("make", PackageWant::Offered, Some("5")) else { panic!() };
    assert_eq!(found, "offered: 4.3");
    let Verdict::Fail { found, .. } = package("none", PackageWant::Offered, None) else { panic!() };
    assert_eq!(found, "no package source offers none");
}

#[test]
fn a_connection_is_made_or_says_why_not() {
    let fixture = Fixture::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let check = Check::Connect(Connect { host: "127.0.0.1".to_owned(), port: listener.local_addr().unwrap().port() });
    assert!(judged(&fixture, &check).passed());
    // A port of its own loopback address: one that was just given up may be another test's by now.
    let check = Check::Connect(Connect { host: "127.77.0.1".to_owned(), port: 9 });
    let Verdict::Fail { found, .. } = judged(&fixture, &check) else { panic!() };
    assert!(found.contains("Connection refused"), "{found}");
}

#[test]
fn kernel_memory_and_machine_are_read() {
    let fixture = Fixture::new();
    std::fs::write(fixture.path("/.dockerenv"), "").unwrap();
    let kernel = Kernel { shared: Some(false), ..Kernel::default() };
    let Verdict::Fail { hint, .. } = judged(&fixture, &Check::Kernel(kernel)) else { panic!() };
    assert!(hint.contains("not a container"), "{hint}");
    let kernel = Kernel { modules: vec![ModuleName::parse("no_such_module").unwrap()], ..Kernel::default() };
    let Verdict::Fail { missing, .. } = judged(&fixture, &Check::Kernel(kernel)) else { panic!() };
    assert_eq!(missing.as_deref(), Some("no_such_module"));
    assert!(judged(&fixture, &Check::Memory(Memory { total: Bytes(1) })).passed());
    let machine = |none_of: &str| Check::Virtualization(Virtualization { any_of: Vec::new(), none_of: vec![none_of.to_owned()] });
    assert!(!judged(&fixture, &machine("docker")).passed() && judged(&fixture, &machine("kvm")).passed());
}

#[test]
fn a_probe_has_no_rights_of_roots() {
    let fixture = Fixture::new();
    let probe = |script: &str| {
        Check::Command(Box::new(command::Desired {
            name: "probe".to_owned(),
            run: ["sh", "-c", script].map(str::to_owned).to_vec(),
            creates: None,
            unless: None,
            environment: Vec::new(),
            run_as: None,
            directory: Some(at("/tmp")),
            stdin: None,
            accept: Vec::new(),
            stdout_to: None,
        }))
    };
    let public: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(fixture.tree.path(), public).unwrap();
    assert!(judged(&fixture, &probe("test $(id -u) != 0")).passed(), "{:?}", judged(&fixture, &probe("id")));
    let Verdict::Fail { found, .. } = judged(&fixture, &probe("echo no good; exit 4")) else { panic!() };
    assert_eq!(found, "exit status 4: no good");
    let Verdict::CouldNotTell { why } = fixture.provider.check(&probe("sleep 30"), Span::millis(200), &Demands::default()) else {
        panic!()
    };
    assert_eq!(why, "it did not end in time");
}

#[test]
fn a_locked_account_logs_in_by_key_only_where_sshd_uses_pam() {
    if !crate::host::tests::proves_as_root("whether an account is locked") {
        return;
    }
    let fixture = Fixture::new();
    for directory in ["usr/sbin", "etc/ssh", "bin", "home/ci"] {
        std::fs::create_dir_all(fixture.path(directory)).unwrap();
    }
    std::fs::write(fixture.path("/usr/sbin/sshd"), "").unwrap();
    std::fs::write(fixture.path("/bin/sh"), "").unwrap();
    std::fs::set_permissions(fixture.path("/bin/sh"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::os::unix::fs::chown(fixture.path("/home/ci"), Some(1001), Some(1001)).unwrap();
    let login = Check::Login(Login { user: account("ci") });
    let said = |configuration: &str| {
        std::fs::write(fixture.path("/etc/ssh/sshd_config"), configuration).unwrap();
        fixture.provider.forget(&[Effect::Everything]);
        match judged(&fixture, &login) {
            Verdict::Fail { found, .. } => Some(found),
            _ => None,
        }
    };
    let refused = Some("the account is locked, and sshd does without PAM".to_owned());
    assert_eq!(said(""), refused, "sshd's own default");
    assert_eq!(said("UsePAM no\n"), refused);
    assert_eq!(said("UsePAM yes\n"), None);
}
