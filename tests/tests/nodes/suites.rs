//! The agent on the oldest and the newest Debian it serves, and names that only the node itself can resolve.

use super::field_of;
use ostler::lab::{LabChild, LabNode, Suite};
use ostler_tests::e2e::Field;
use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::process::Command;

const ROLE: &str = r#"role: demo
summary: A download and a cache, by name.
steps:
  - file: {path: /etc/demo-one, content: "{{ facts.kernel.release }}\n"}
  - download: {path: /srv/part, url: "http://cache.lab.test:8088/part", sha256: "SUM"}
  - git_cache: {root: /srv/git, upstreams: ["http://cache.lab.test:8090"], repositories: [one, two]}
"#;

/// git's own HTTP server needs a program around it that speaks HTTP.
const GIT_HTTP: &str = r#"
import http.server, os, subprocess, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        env = dict(os.environ, GIT_PROJECT_ROOT=sys.argv[1], GIT_HTTP_EXPORT_ALL="1", PATH_INFO=path, QUERY_STRING=query,
            REQUEST_METHOD=self.command, CONTENT_TYPE=self.headers.get("Content-Type", ""), GIT_PROTOCOL=self.headers.get("Git-Protocol", ""),
            HTTP_CONTENT_ENCODING=self.headers.get("Content-Encoding", ""), CONTENT_LENGTH=str(len(body)))
        said = subprocess.run(["git", "http-backend"], input=body, env=env, stdout=subprocess.PIPE).stdout
        head, _, body = said.partition(b"\r\n\r\n")
        headers = [line.split(": ", 1) for line in head.decode().split("\r\n") if line]
        status = next((int(value.split()[0]) for name, value in headers if name == "Status"), 200)
        self.send_response(status)
        for name, value in headers:
            if name != "Status":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_GET = do_POST = answer
http.server.ThreadingHTTPServer(("10.78.0.1", 8090), Handler).serve_forever()
"#;

/// Serves a file and two repositories, under a name that the node's own hosts file knows. Dropped, git's server ends.
fn serve(field: &Field, node: &str) -> (String, LabChild) {
    let www = field.lab().www();
    let content = "part of it\n".repeat(1000);
    std::fs::write(www.join("part"), &content).expect("written");
    let git = field.dir().join("git");
    std::fs::create_dir(&git).expect("made");
    let script = "set -e; for name in one two; do git init -q -b main $name.src; \
        git -C $name.src -c user.name=t -c user.email=t@example.org commit -q --allow-empty -m first; git clone -q --bare $name.src $name; done";
    let made = Command::new("sh").args(["-c", script]).current_dir(&git).output().expect("git");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let server = field.lab().command([OsStr::new("python3"), "-c".as_ref(), GIT_HTTP.as_ref(), git.as_ref()]).spawn().expect("started");
    field.run(node, "echo '10.78.0.1 cache.lab.test' >> /etc/hosts");
    field.wait_for(node, "bash -c 'exec 3<>/dev/tcp/10.78.0.1/8090'");
    (ostler_roles::words::Digest::of(content.as_bytes()).to_string(), server)
}

fn story(node: LabNode) -> (Field, LabChild) {
    let name = node.name.clone();
    let field = field_of([node.with_packages(["git"])], ROLE);
    let (sum, server) = serve(&field, &name);
    field.write("roles/demo.yaml", &ROLE.replace("SUM", &sum));
    let first = field.apply();
    first.assert_changed(3);
    assert_eq!(field.said(&name, "sha256sum < /srv/part | cut -d' ' -f1"), sum);
    assert_eq!(field.said(&name, "for name in one two; do git -C /srv/git/$name* log -1 --format=%s main; done"), "first\nfirst");
    let second = field.apply();
    assert_eq!(second.code, 0, "{second}");
    assert_eq!(second.recap(&name)["changed"], 0, "{second}");
    (field, server)
}

#[test]
fn bullseye_downloads_and_caches_by_a_name_of_its_own() {
    let _ = story(LabNode::new("old", Suite::Bullseye, Ipv4Addr::new(10, 78, 0, 22)));
}

#[test]
fn trixie_with_resolving_modules_downloads_and_caches_by_names_only_they_know() {
    let node = LabNode::new("new", Suite::Trixie, Ipv4Addr::new(10, 78, 0, 21));
    let (field, _server) = story(node.with_packages(["libnss-resolve", "libnss-myhostname", "libnss-mymachines"]));
    let modules = field.said("new", "grep ^hosts: /etc/nsswitch.conf");
    for module in ["mymachines", "resolve", "myhostname"] {
        assert!(modules.contains(module), "{modules}");
    }
    // No file and no server knows this name: nss-myhostname answers with the address of the default route.
    assert_eq!(field.said("new", "getent -s files ahosts _gateway || getent -s dns ahosts _gateway || echo unknown"), "unknown");
    field.run("new", "ip route add default via 10.78.0.1");
    let role = std::fs::read_to_string(field.dir().join("site/roles/demo.yaml")).expect("there");
    field.write(
        "roles/demo.yaml",
        &role.replace("//cache.lab.test:", "//_gateway:").replace("/srv/part", "/srv/other").replace("/srv/git", "/srv/cache"),
    );
    let third = field.apply();
    third.assert_changed(2);
    assert_eq!(third.changed("new"), ["download /srv/other", "git_cache /srv/cache"], "{third}");
    assert_eq!(field.said("new", "cmp /srv/part /srv/other && git -C /srv/cache/one* log -1 --format=%s main"), "first");
}
