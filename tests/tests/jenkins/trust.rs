//! Whose word is taken for a master's certificate: a real TLS server (openssl), with an authority of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ostler::masters::http::{Access, Http, HttpError};
use ostler::masters::jenkins::{Client, JenkinsError};
use ostler_roles::master::jenkins::Name;

use super::bench::{patience, site, token};

struct Server {
    child: Child,
    directory: tempfile::TempDir,
    address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn openssl(directory: &Path, line: &str) {
    let output = Command::new("openssl").args(line.split_whitespace()).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Serves the file `x` over TLS, as 127.0.0.1, with this certificate: `ci`, by the authority in `ca.pem`, `below`, by `middle.pem` which is by
/// `ca.pem`, `own`, signed by itself and no authority, `self`, signed by itself and one, as `openssl req -x509` makes it, `late`, which is past
/// its dates, or `elsewhere`, for another name. `other.pem` is another authority.
fn serve(certificate: &str) -> Server {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    for name in ["ca", "other"] {
        openssl(at, &format!("req -x509 -newkey ed25519 -nodes -days 2 -subj /CN={name} -keyout {name}.key -out {name}.pem"));
    }
    std::fs::write(at.join("extensions"), "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n").unwrap();
    openssl(at, "req -new -newkey ed25519 -nodes -subj /CN=ci -keyout ci.key -out ci.csr");
    openssl(at, "x509 -req -in ci.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out ci.pem");
    openssl(
        at,
        "req -x509 -newkey ed25519 -nodes -days 2 -subj /CN=own -keyout own.key -out own.pem \
        -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE",
    );
    std::fs::write(at.join("authority"), "basicConstraints=critical,CA:TRUE\n").unwrap();
    std::fs::write(at.join("elsewhere.names"), "subjectAltName=DNS:elsewhere.example\n").unwrap();
    for (name, by, extensions, days) in [
        ("middle", "ca", "authority", "2"),
        ("below", "middle", "extensions", "2"),
        ("late", "ca", "extensions", "-1"),
        ("elsewhere", "ca", "elsewhere.names", "2"),
    ] {
        openssl(at, &format!("req -new -newkey ed25519 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr"));
        let signed = format!("x509 -req -in {name}.csr -CA {by}.pem -CAkey {by}.key -CAcreateserial -extfile {extensions} -out {name}.pem");
        openssl(at, &format!("{signed} -days {days}"));
    }
    let own = "req -x509 -newkey ed25519 -nodes -days 2 -subj /CN=self -keyout self.key -out self.pem -addext subjectAltName=IP:127.0.0.1";
    openssl(at, own);
    std::fs::write(at.join("x"), "{\"a\":1}").unwrap();
    let told = at.join("told");
    let child = Command::new("openssl")
        .args(["s_server", "-accept", "127.0.0.1:0", "-WWW"])
        .args(["-cert", &format!("{certificate}.pem"), "-key", &format!("{certificate}.key"), "-cert_chain", "middle.pem"])
        .current_dir(at)
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&told).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    let address = loop {
        // The port is its own choice: one that we chose could be another's by then.
        let text = std::fs::read_to_string(&told).unwrap();
        if let Some(address) = text.lines().find_map(|line| line.strip_prefix("ACCEPT ")?.parse().ok()) {
            break address;
        }
        assert!(Instant::now() < end, "openssl s_server does not listen: {text}");
        std::thread::sleep(Duration::from_millis(10));
    };
    Server { child, directory, address }
}

impl Server {
    fn pem(&self, name: &str) -> Option<String> {
        Some(std::fs::read_to_string(self.directory.path().join(name)).unwrap())
    }

    fn http(&self, trust: Option<String>) -> Result<Http, HttpError> {
        Http::new(&format!("https://{}", self.address), Duration::from_secs(20), Access { trust, ..Access::default() })
    }
}

#[test]
fn a_master_is_believed_by_the_certificates_of_its_trust_alone() {
    // Its own, whoever signed it, or that of any authority above it.
    for (certificate, pems) in [
        ("own", ["own.pem"].as_slice()),
        ("self", &["self.pem"]),
        ("ci", &["ci.pem", "ca.pem"]),
        ("below", &["below.pem", "middle.pem", "ca.pem"]),
    ] {
        let server = serve(certificate);
        for pem in pems {
            let answer = server.http(server.pem(pem)).unwrap().get_json::<serde_json::Value>("x");
            assert_eq!(answer.unwrap_or_else(|error| panic!("{certificate} by {pem}: {error:?}"))["a"], 1);
        }
        let both = server.pem("other.pem").unwrap() + &server.pem(pems[0]).unwrap();
        assert!(server.http(Some(both)).unwrap().get_json::<serde_json::Value>("x").is_ok(), "{certificate}: one of two");
    }
    let server = serve("ci");
    for trust in [None, server.pem("other.pem")] {
        let error = server.http(trust).unwrap().get_json::<serde_json::Value>("x").unwrap_err();
        assert!(matches!(&error, HttpError::Certificate { .. }) && !error.is_silence(), "{error:?}");
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("UnknownIssuer"), "{error:?}");
        assert!(error.to_string().ends_with("give it, or the certificate of its authority, as `trust` of this master"), "{error}");
    }
    for trust in ["", "no certificate", "-----BEGIN CERTIFICATE-----\n***\n-----END CERTIFICATE-----\n"] {
        assert!(matches!(server.http(Some(trust.to_owned())), Err(HttpError::Trust { .. })), "{trust:?}");
    }
}

#[test]
fn a_certificate_of_the_trust_has_its_dates_and_its_name_looked_at() {
    for (certificate, pem, why) in [
        ("late", "late.pem", "Expired"),
        ("late", "ca.pem", "Expired"),
        ("elsewhere", "elsewhere.pem", "NotValidForName"),
        // Another certificate of the same authority is not the one that was named.
        ("ci", "below.pem", "UnknownIssuer"),
    ] {
        let server = serve(certificate);
        let error = server.http(server.pem(pem)).unwrap().get_json::<serde_json::Value>("x").unwrap_err();
        assert!(matches!(&error, HttpError::Certificate { .. }), "{error:?}");
        let source = std::error::Error::source(&error).unwrap().to_string();
        let found = source.replace("certificate expired", "Expired").replace("certificate not valid for name", "NotValidForName");
        assert!(found.contains(why), "{certificate} by {pem}: {source}");
    }
}

#[test]
fn a_certificate_that_is_not_trusted_is_no_restart_to_be_waited_out() {
    let server = serve("ci");
    let mut patience = patience();
    patience.reach = Duration::from_secs(60);
    let client = Client::new(&format!("https://{}", server.address), token("narrow"), site(), patience, Access::default()).unwrap();
    let began = Instant::now();
    let error = client.observe(&[Name::parse("n1").unwrap()]).unwrap_err();
    assert!(matches!(&error, JenkinsError::Http { source: HttpError::Certificate { .. }, .. }), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}
