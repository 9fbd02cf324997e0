//! `download`, from servers good and bad.

use super::server::{Server, head, ranged};
use super::*;
use ostler_roles::outcome::FailureKind;
use ostler_roles::resource::download;
use std::io::Write as _;

/// Some bytes that are not the same anywhere.
fn bytes(length: usize) -> Vec<u8> {
    (0u32..).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).take(length).collect()
}

fn desired(url: String, bytes: &[u8]) -> Desired {
    Desired::Download(download::Desired { path: at("/opt/cache/image.qcow2"), url, sha256: Digest::of(bytes), ownership: owned("0640") })
}

fn partial(fixture: &Fixture, bytes: &[u8]) -> PathBuf {
    fixture.path(&format!("/opt/cache/.image.qcow2.part-{}", Digest::of(bytes).short()))
}

#[test]
fn a_file_is_fetched_proved_and_then_unchanged() {
    let fixture = Fixture::new();
    let body = bytes(300_000);
    let server = {
        let body = body.clone();
        Server::new(move |asked, _, stream| match asked.path.as_str() {
            "/moved" => head(stream, "302 Found", "Location: /image?x=1\r\nContent-Length: 0\r\n"),
            _ => ranged(asked, stream, &body),
        })
    };
    let desired = desired(server.url("/moved"), &body);
    server.length.store(300_000, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(
        fixture.provider.examine(&desired).unwrap().to_write,
        Some(ostler_roles::words::Bytes(300_000)),
        "the forecast asks the server"
    );
    assert_eq!(fields(&fixture.twice(&desired)), ["parent", "parent", "download"]);
    assert_eq!(std::fs::read(fixture.path("/opt/cache/image.qcow2")).unwrap(), body);
    assert_eq!(bits(&fixture.path("/opt/cache/image.qcow2")), 0o640);
    assert_eq!(server.asked.lock().unwrap().len(), 2, "the second run asks nobody");
    assert_eq!(std::fs::read_dir(fixture.path("/opt/cache")).unwrap().count(), 1);
    std::fs::write(fixture.path("/opt/cache/image.qcow2"), "drifted").unwrap();
    assert_eq!(fields(&fixture.twice(&desired)), ["sha256"]);
    assert!(fixture.told.lock().unwrap().iter().any(|event| matches!(event, Event::Progress { bytes: Some(_), .. })));
}

#[test]
fn a_broken_transfer_is_gone_on_with_where_it_broke() {
    let fixture = Fixture::new();
    let body = bytes(500_000);
    let server = {
        let body = body.clone();
        Server::new(move |asked, number, stream| {
            if number == 0 {
                head(stream, "200 OK", &format!("Content-Length: {}\r\n", body.len()))?;
                return stream.write_all(&body[..200_000]);
            }
            ranged(asked, stream, &body)
        })
    };
    fixture.twice(&desired(server.url("/image"), &body));
    let asked = server.asked.lock().unwrap();
    assert_eq!((asked.len(), asked[1].from), (2, Some(200_000)));
    assert!(fixture.told.lock().unwrap().iter().any(|event| matches!(event, Event::Note { text, .. } if text.contains("trying again"))));
}

#[test]
fn what_an_earlier_run_left_is_used_and_shown_in_the_plan() {
    let fixture = Fixture::new();
    let body = bytes(100_000);
    std::fs::create_dir_all(fixture.path("/opt/cache")).unwrap();
    std::fs::write(partial(&fixture, &body), &body[..60_000]).unwrap();
    let server = {
        let body = body.clone();
        Server::new(move |asked, _, stream| ranged(asked, stream, &body))
    };
    let changes = fixture.twice(&desired(server.url("/image"), &body));
    assert_eq!(changes, [Shown::new("download", "60000 bytes of it", "present").resting_on(Basis::Passing)]);
    assert_eq!(server.asked.lock().unwrap()[0].from, Some(60_000));
    // All of it was there already: the server has no more, and the digest tells that it is good.
    std::fs::rename(fixture.path("/opt/cache/image.qcow2"), partial(&fixture, &body)).unwrap();
    fixture.twice(&desired(server.url("/image"), &body));
}

#[test]
fn foreign_bytes_of_an_earlier_run_cost_one_more_try() {
    let fixture = Fixture::new();
    let body = bytes(100_000);
    std::fs::create_dir_all(fixture.path("/opt/cache")).unwrap();
    std::fs::write(partial(&fixture, &body), vec![0; 50_000]).unwrap();
    let server = {
        let body = body.clone();
        Server::new(move |asked, _, stream| ranged(asked, stream, &body))
    };
    fixture.twice(&desired(server.url("/image"), &body));
    assert_eq!(server.asked.lock().unwrap().iter().map(|asked| asked.from).collect::<Vec<_>>(), [Some(50_000), None]);
}

#[test]
fn a_server_without_ranges_starts_anew() {
    let fixture = Fixture::new();
    let body = bytes(100_000);
    std::fs::create_dir_all(fixture.path("/opt/cache")).unwrap();
    std::fs::write(partial(&fixture, &body), &body[..60_000]).unwrap();
    let server = {
        let body = body.clone();
        Server::new(move |_, _, stream| {
            head(stream, "200 OK", &format!("Content-Length: {}\r\n", body.len()))?;
            stream.write_all(&body)
        })
    };
    fixture.twice(&desired(server.url("/image"), &body));
}

#[test]
fn another_file_behind_the_url_never_gets_the_name() {
    let fixture = Fixture::new();
    let server = Server::new(move |asked, _, stream| ranged(asked, stream, b"not the file"));
    let failed = fixture.apply(&desired(server.url("/image"), b"the file")).unwrap_err();
    assert_eq!(failed.kind, FailureKind::Apply);
    assert!(failed.message.ends_with("/image is another file"), "{}", failed.message);
    assert_eq!(failed.causes, [format!("its sha256 is {}, {} is wanted", Digest::of(b"not the file"), Digest::of(b"the file"))]);
    assert_eq!(std::fs::read_dir(fixture.path("/opt/cache")).unwrap().count(), 0);
}

#[test]
fn one_that_is_stopped_is_cancelled_and_gone_on_with_later() {
    let fixture = Fixture::new();
    let body = bytes(100_000);
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let server = {
        let (body, asked) = (body.clone(), std::sync::Arc::clone(&asked));
        Server::new(move |request, number, stream| {
            if number > 0 {
                return ranged(request, stream, &body);
            }
            head(stream, "200 OK", &format!("Content-Length: {}\r\n", body.len()))?;
            stream.write_all(&body[..70_000])?;
            asked.store(true, std::sync::atomic::Ordering::SeqCst);
            stream.write_all(&body[70_000..90_000])
        })
    };
    let wanted = desired(server.url("/image"), &body);
    let stopped = || asked.load(std::sync::atomic::Ordering::SeqCst);
    let failed = fixture.apply_until(&wanted, Instant::now() + Duration::from_secs(60), &stopped).unwrap_err();
    assert_eq!(failed.kind, FailureKind::Cancelled);
    assert_eq!(failed.message, format!("the download of {} was stopped", server.url("/image")));
    assert_eq!(failed.hint.unwrap(), "what has come is kept, and the next run goes on with it");
    fixture.twice(&wanted);
}

#[test]
fn a_missing_file_is_not_tried_again() {
    let fixture = Fixture::new();
    let server = Server::new(|_, _, stream| head(stream, "404 Not Found", "Content-Length: 0\r\n"));
    let failed = fixture.apply(&desired(server.url("/image"), b"x")).unwrap_err();
    assert!(failed.message.ends_with("/image answers 404 Not Found"), "{}", failed.message);
    assert_eq!(server.asked.lock().unwrap().len(), 1);
}

#[test]
fn a_server_that_recovers_is_waited_for() {
    let fixture = Fixture::new();
    let server = Server::new(|asked, number, stream| match number {
        0 => head(stream, "503 Service Unavailable", "Content-Length: 0\r\n"),
        _ => ranged(asked, stream, b"good"),
    });
    fixture.twice(&desired(server.url("/image"), b"good"));
}

#[test]
fn a_loop_of_redirects_ends() {
    let fixture = Fixture::new();
    let server = Server::new(|_, _, stream| head(stream, "302 Found", "Location: /image\r\nContent-Length: 0\r\n"));
    let failed = fixture.apply_until(&desired(server.url("/image"), b"x"), Instant::now() + Duration::from_secs(2), &|| false).unwrap_err();
    assert!(failed.causes[0].contains("redirect"), "{failed:?}");
}

#[test]
fn silence_is_given_up_and_what_came_is_kept() {
    let mut fixture = Fixture::new();
    fixture.provider = NodeProvider::at_with_stall(fixture.tree.path(), Duration::from_millis(300));
    let body = bytes(100_000);
    let server = {
        let body = body.clone();
        Server::new(move |asked, number, stream| {
            if number == 0 {
                head(stream, "200 OK", &format!("Content-Length: {}\r\n", body.len()))?;
                stream.write_all(&body[..70_000])?;
                // Silent until the client goes away.
                let mut byte = [0u8; 1];
                while std::io::Read::read(stream, &mut byte)? > 0 {}
                return Ok(());
            }
            ranged(asked, stream, &body)
        })
    };
    let started = Instant::now();
    fixture.twice(&desired(server.url("/image"), &body));
    assert!(started.elapsed() < Duration::from_secs(8));
    assert_eq!(server.asked.lock().unwrap()[1].from, Some(70_000));
}

#[test]
fn a_closed_port_fails_with_every_try_told() {
    let fixture = Fixture::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://user:pw@127.0.0.1:{}/image", listener.local_addr().unwrap().port());
    drop(listener);
    let failed = fixture.apply_until(&desired(url, b"x"), Instant::now() + Duration::from_millis(1200), &|| false).unwrap_err();
    assert!(failed.causes.iter().all(|cause| cause.contains("refused")), "{failed:?}");
    assert!(!format!("{failed:?}").contains("pw@"), "{failed:?}");
}

#[test]
fn the_digest_of_a_large_file_is_remembered_until_it_changes() {
    let fixture = Fixture::new();
    let body = bytes(9 << 20);
    let server = {
        let body = body.clone();
        Server::new(move |asked, _, stream| ranged(asked, stream, &body))
    };
    let desired = desired(server.url("/image"), &body);
    fixture.twice(&desired);
    let records = std::fs::read_dir(fixture.path("/var/lib/ostler/digests")).unwrap().count();
    assert_eq!(records, 1);
    let file = std::fs::OpenOptions::new().write(true).open(fixture.path("/opt/cache/image.qcow2")).unwrap();
    std::os::unix::fs::FileExt::write_at(&file, b"x", 1000).unwrap();
    assert_eq!(fields(&fixture.provider.examine(&desired).unwrap().changes), ["sha256"]);
}

#[test]
fn a_range_that_is_not_the_one_asked_for_means_all_from_the_first_byte() {
    let fixture = Fixture::new();
    let body = bytes(100_000);
    std::fs::create_dir_all(fixture.path("/opt/cache")).unwrap();
    std::fs::write(partial(&fixture, &body), &body[..7]).unwrap();
    let server = {
        let body = body.clone();
        Server::new(move |asked, _, stream| {
            let all = format!("Content-Length: {}\r\n", body.len());
            match asked.from {
                Some(_) => head(stream, "206 Partial Content", &format!("{all}Content-Range: bytes 0-99999/100000\r\n"))?,
                None => head(stream, "200 OK", &all)?,
            }
            stream.write_all(&body)
        })
    };
    fixture.twice(&desired(server.url("/image"), &body));
    assert_eq!(server.asked.lock().unwrap().iter().map(|asked| asked.from).collect::<Vec<_>>(), [Some(7), None]);
    let told = fixture.told.lock().unwrap();
    assert!(
        told.iter()
            .any(|event| matches!(event, Event::Note { text, .. } if text.contains("from 7, the server sends bytes 0-99999/100000")))
    );
}

#[test]
fn what_is_larger_than_any_file_is_refused_before_it_fills_the_disk() {
    let fixture = Fixture::new();
    let body = bytes(9);
    for (told, begins) in [(u64::MAX, true), (65 << 30, false)] {
        let server = Server::new(move |asked, _, stream| {
            let from = asked.from.unwrap_or(0);
            let (status, range) = match begins {
                true => ("206 Partial Content", format!("Content-Range: bytes {from}-99/*\r\n")),
                false => ("200 OK", String::new()),
            };
            head(stream, status, &format!("Content-Length: {told}\r\n{range}"))?;
            stream.write_all(&[0; 100])
        });
        let desired = desired(server.url("/image"), &body);
        let partial = partial(&fixture, &body);
        std::fs::create_dir_all(partial.parent().unwrap()).unwrap();
        if begins {
            std::fs::write(&partial, &body[..5]).unwrap();
        }
        let failed = fixture.apply(&desired).unwrap_err();
        assert!(failed.message.contains("has more than 64 GiB"), "{failed:?}");
        assert!(!partial.exists(), "what is here of it is of no use");
        assert_eq!(server.asked.lock().unwrap().len(), 1, "another try does no better");
    }
}

#[test]
fn a_server_that_drips_is_left_at_the_deadline_and_what_came_is_kept() {
    let fixture = Fixture::new();
    let body = bytes(9);
    // Never silent for long, and never done; it ends by itself long after whoever asked should have gone.
    let server = Server::new(|_, _, stream| {
        head(stream, "200 OK", "Content-Length: 100000\r\n")?;
        (0..2000).try_for_each(|_| {
            std::thread::sleep(Duration::from_millis(10));
            stream.write_all(b"x")
        })
    });
    let began = Instant::now();
    let failed = fixture.apply_until(&desired(server.url("/image"), &body), began + Duration::from_secs(1), &|| false).unwrap_err();
    assert_eq!(failed.kind, FailureKind::Deadline, "{failed:?}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(std::fs::metadata(partial(&fixture, &body)).unwrap().len() > 0);
}

#[test]
fn what_another_account_could_write_before_is_hashed_again_once_it_is_roots() {
    if !crate::host::tests::proves_as_root("a file that its former owner has in memory still") {
        return;
    }
    let fixture = Fixture::new();
    let body = bytes(9 << 20);
    // Nobody is asked: the bytes are there.
    let desired = desired("http://127.0.0.1:9/image".to_owned(), &body);
    let image = fixture.path("/opt/cache/image.qcow2");
    std::fs::create_dir_all(fixture.path("/opt/cache")).unwrap();
    std::fs::write(&image, &body).unwrap();
    std::fs::set_permissions(&image, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    std::os::unix::fs::chown(&image, Some(1001), Some(1001)).unwrap();
    let script = "import mmap, sys
file = open(sys.argv[1], 'r+b'); held = mmap.mmap(file.fileno(), 0)
held[0:1] = held[0:1]; sys.stdout.write('+'); sys.stdout.flush(); sys.stdin.read(1)
held[0:1] = bytes([held[0] ^ 1]); sys.stdout.write('+')";
    let mut command = std::process::Command::new("python3");
    let piped = std::process::Stdio::piped;
    let mut former = command.args(["-c", script]).arg(&image).stdin(piped()).stdout(piped()).spawn().unwrap();
    let mut altered = || std::io::Read::read_exact(former.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    altered();
    assert_eq!(fields(&fixture.apply(&desired).unwrap().changes), ["owner", "group"]);
    former.stdin.as_mut().unwrap().write_all(b"+").unwrap();
    altered();
    assert!(former.wait().unwrap().success());
    assert_eq!(fields(&fixture.provider.examine(&desired).unwrap().changes), ["sha256"]);
}
