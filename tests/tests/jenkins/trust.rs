//! Whose word is taken for a master's certificate: a real TLS server (openssl), with an authority of its own.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ostler::masters::http::{Http, HttpError, Way};
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

/// Serves the file `x` over TLS, as 127.0.0.1, with this certificate: `ci`, by the authority in `ca.pem`, or `own`, signed by itself and no
/// authority. `other.pem` is another authority.
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
    std::fs::write(at.join("x"), "{\"a\":1}").unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let child = Command::new("openssl")
        .args(["s_server", "-accept", &address.to_string(), "-WWW", "-quiet"])
        .args(["-cert", &format!("{certificate}.pem"), "-key", &format!("{certificate}.key")])
        .current_dir(at)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < end, "openssl s_server does not listen");
        std::thread::sleep(Duration::from_millis(10));
    }
    Server { child, directory, address }
}

impl Server {
    fn pem(&self, name: &str) -> Option<String> {
        Some(std::fs::read_to_string(self.directory.path().join(name)).unwrap())
    }

    fn http(&self, trust: Option<String>) -> Result<Http, HttpError> {
        Http::new(&format!("https://{}", self.address), Duration::from_secs(20), Way { dial: None, trust })
    }
}

#[test]
fn a_master_is_believed_by_the_certificates_of_its_trust_alone() {
    // Its own, where it is signed by itself; else its authority's.
    for (certificate, pem) in [("own", "own.pem"), ("ci", "ca.pem")] {
        let server = serve(certificate);
        let answer: serde_json::Value = server.http(server.pem(pem)).unwrap().get_json("x").unwrap();
        assert_eq!(answer["a"], 1, "{pem}");
    }
    let server = serve("ci");
    for trust in [None, server.pem("other.pem")] {
        let error = server.http(trust).unwrap().get_json::<serde_json::Value>("x").unwrap_err();
        assert!(matches!(&error, HttpError::Certificate { .. }) && !error.is_silence(), "{error:?}");
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("UnknownIssuer"), "{error:?}");
        assert!(error.to_string().ends_with("give the certificate of its authority as `trust` of this master"), "{error}");
    }
    for trust in ["", "no certificate", "-----BEGIN CERTIFICATE-----\n***\n-----END CERTIFICATE-----\n"] {
        assert!(matches!(server.http(Some(trust.to_owned())), Err(HttpError::Trust { .. })), "{trust:?}");
    }
}

#[test]
fn a_certificate_that_is_not_trusted_is_no_restart_to_be_waited_out() {
    let server = serve("ci");
    let mut patience = patience();
    patience.reach = Duration::from_secs(60);
    let client = Client::new(&format!("https://{}", server.address), token("narrow"), site(), patience, Way::default()).unwrap();
    let began = Instant::now();
    let error = client.observe(&[Name::parse("n1").unwrap()]).unwrap_err();
    assert!(matches!(&error, JenkinsError::Http { source: HttpError::Certificate { .. }, .. }), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}
