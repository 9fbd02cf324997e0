//! ZooKeeper from Debian's packages, on an address of its own, spoken to over TLS with certificates of both sides.

use crate::buildbot::{address, start};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

const PORT: u16 = 2281;
/// What it consists of: Debian's `zookeeper.jar` names in its manifest neither these two parts of netty nor a logger, and without the
/// first every TLS connection ends in a `NoClassDefFoundError`.
const JARS: [&str; 4] = ["zookeeper", "netty-codec", "netty-resolver", "slf4j-simple"];

/// A running server; it is gone with this value, and with the thread that started it.
#[derive(Debug)]
pub struct ZooKeeper {
    directory: PathBuf,
    address: Ipv4Addr,
    child: Child,
}

impl ZooKeeper {
    /// Starts one in this directory.
    ///
    /// # Panics
    /// When it does not listen within 60 s; its log is shown.
    pub fn start(directory: &Path) -> Self {
        let address = address();
        certificates(directory, address);
        let at = directory.display();
        // `ssl.*` and Netty: ZooKeeper Administrator's Guide, "Encryption, Authentication, Authorization Options".
        let settings = format!(
            "dataDir={at}/data\nsecureClientPort={PORT}\nsecureClientPortAddress={address}\nadmin.enableServer=false\n\
             serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\n\
             ssl.keyStore.location={at}/keystore.pem\nssl.trustStore.location={at}/ca.pem\n"
        );
        std::fs::write(directory.join("zoo.cfg"), settings).expect("a file in the scratch directory");
        let jars = JARS.map(|jar| format!("/usr/share/java/{jar}.jar"));
        for jar in &jars {
            assert!(Path::new(jar).exists(), "no {jar}: apt-get install libzookeeper-java default-jre-headless (`make setup`)");
        }
        let log = directory.join("zookeeper.log");
        let configuration = directory.join("zoo.cfg").display().to_string();
        let java = ["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dzookeeper.forceSync=no", "-cp", &jars.join(":")];
        let arguments = [&java[..], &["org.apache.zookeeper.server.quorum.QuorumPeerMain", &configuration]].concat();
        let child = start(Path::new("java"), &arguments, directory, &log);
        let server = Self { directory: directory.to_owned(), address, child };
        let began = Instant::now();
        while TcpStream::connect_timeout(&SocketAddr::from((address, PORT)), Duration::from_secs(1)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "no ZooKeeper within 60 s:\n{}", server.log());
            std::thread::sleep(Duration::from_millis(30));
        }
        server
    }

    /// The client's certificate, its key, and who signed the server's.
    pub fn client(&self) -> [String; 3] {
        ["client.pem", "client.key", "ca.pem"].map(|name| self.directory.join(name).display().to_string())
    }

    /// Its address, as clients write it.
    pub fn server(&self) -> String {
        format!("{}:{PORT}", self.address)
    }

    /// The two lines of `nodepool.yaml` that name it.
    pub fn stanza(&self) -> String {
        let [cert, key, ca] = self.client();
        format!("zookeeper-servers: [{{host: {}, port: {PORT}}}]\nzookeeper-tls: {{cert: {cert}, key: {key}, ca: {ca}}}\n", self.address)
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("zookeeper.log")).unwrap_or_default()
    }
}

impl Drop for ZooKeeper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A signer, and what it signed: `server` (with its key in `keystore.pem`) and `client`.
fn certificates(directory: &Path, address: Ipv4Addr) {
    let openssl = |words: &str| {
        let done = Command::new("openssl").args(words.split(' ')).current_dir(directory).output().expect("openssl starts");
        assert!(done.status.success(), "openssl {words}:\n{}", String::from_utf8_lossy(&done.stderr));
    };
    let new = "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(&format!("{new} -x509 -days 2 -subj /CN=rig -keyout ca.key -out ca.pem"));
    for side in ["server", "client"] {
        openssl(&format!("{new} -subj /CN={side} -addext subjectAltName=IP:{address} -keyout {side}.key -out {side}.csr"));
        openssl(&format!(
            "x509 -req -in {side}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -copy_extensions copy -out {side}.pem"
        ));
    }
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).expect("openssl wrote it");
    std::fs::write(directory.join("keystore.pem"), read("server.pem") + &read("server.key")).expect("a file in the scratch directory");
}
