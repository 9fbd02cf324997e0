//! What an account, or a power cut, does to what root looks at and starts.

use super::*;
use crate::host::tests::{SmallDisk, proves_as_root};
use ostler_roles::outcome::FailureKind;
use ostler_roles::resource::{authorized_key, command, download};
use ostler_roles::words::Sensitive;

fn named(run: &[&str]) -> command::Desired {
    command::Desired {
        name: "build".to_owned(),
        run: run.iter().map(ToString::to_string).collect(),
        creates: Some(at("/srv/made")),
        unless: None,
        environment: Vec::new(),
        run_as: None,
        directory: None,
        stdin: None,
        accept: Vec::new(),
        stdout_to: None,
    }
}

#[test]
fn a_line_of_keys_that_we_cannot_read_goes_where_only_certain_keys_let_in() {
    if !proves_as_root("a line of keys that we cannot read") {
        return;
    }
    let fixture = Fixture::new();
    let file = fixture.path("/home/ci/.ssh/authorized_keys");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let key = authorized_key::KeyBlob { algorithm: "ssh-ed25519".to_owned(), blob: "AAAAC3Nz".to_owned() };
    let desired = |only: bool| {
        Desired::AuthorizedKey(authorized_key::Desired {
            user: account("ci"),
            key: key.clone(),
            comment: String::new(),
            options: String::new(),
            absent: false,
            only: only.then(|| [key.clone()].into()),
        })
    };
    // Short names were taken by old servers, and new ones will know algorithms that we do not.
    let text = "# kept\n\nED25519 BBBB me\nssh-ed25519 AAAAC3Nz\nenvironment=\"A=\\\\\" x \" ssh-ed25519 CCCC me\n";
    std::fs::write(&file, text).unwrap();
    for path in ["/home/ci", "/home/ci/.ssh", "/home/ci/.ssh/authorized_keys"] {
        std::os::unix::fs::chown(fixture.path(path), Some(1001), Some(1001)).unwrap();
    }
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(fields(&fixture.twice(&desired(false))), Vec::<String>::new(), "it is nobody's business here");
    let shown: Vec<String> = fixture.twice(&desired(true)).into_iter().map(|shown| shown.from).collect();
    assert_eq!(shown, ["line ...5519 BBBB me".to_owned(), "ssh-ed25519 ...CCCC".to_owned()]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "# kept\n\nssh-ed25519 AAAAC3Nz\n");
}

#[test]
fn a_file_that_no_role_could_mean_is_not_read() {
    let fixture = Fixture::new();
    std::fs::create_dir(fixture.path("/opt")).unwrap();
    // As large as it may be here: nothing of it is on a disk.
    let file = std::fs::File::create(fixture.path("/opt/image")).unwrap();
    let largest = (33..=44).rev().find(|bits| file.set_len(1 << bits).is_ok()).unwrap();
    assert!(largest > 36, "this file system holds no file of 128 GiB: {largest}");
    let desired = |wanted: Digest| {
        let url = "http://127.0.0.1:9/image".to_owned();
        Desired::Download(download::Desired { path: at("/opt/image"), url, sha256: wanted, ownership: owned("0644") })
    };
    std::thread::scope(|scope| {
        let (tell, told) = std::sync::mpsc::channel();
        let fixture = &fixture;
        scope.spawn(move || {
            for wanted in [Digest::of(b"image"), Digest::of(b"")] {
                let _ = tell.send(fixture.provider.examine(&desired(wanted)).unwrap());
            }
        });
        for _ in 0..2 {
            let examined = told.recv_timeout(Duration::from_secs(60));
            // Whoever still reads comes to an end.
            if examined.is_err() {
                file.set_len(0).unwrap();
            }
            assert_eq!(fields(&examined.expect("at once").changes), ["sha256"]);
        }
    });
}
