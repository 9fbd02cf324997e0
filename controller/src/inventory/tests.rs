//! A site on disk: what is read, what is refused, what is said about it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use ostler_roles::author::source::Tree;
use ostler_roles::words::Blob;
use tempfile::TempDir;

use super::*;

const NODES: &str = "\
groups:
  build: {roles: [web], ssh: {user: debian}}
  lab: {ssh: {user: lab, port: 2222}}
nodes:
  bastion: {host: 10.0.0.1, ssh: {jump: none}}
  build-1: {host: 10.0.0.2, groups: [build]}
  build-2: {groups: [build, lab], ssh: {user: admin}}
  build-3: {groups: [build, lab]}
";

/// A site with one role, a template and a list.
fn site() -> TempDir {
    let dir = TempDir::new().unwrap();
    for (name, text) in [
        ("ostler.yaml", "edition: 1\nssh: {user: root, become: sudo, jump: bastion}\n"),
        ("nodes.yaml", NODES),
        ("roles/web.yaml", "role: web\nsummary: A web server.\nsteps:\n  - package: {install: [nginx]}\n"),
        ("templates/site.conf", "listen {{ port }};\n"),
        ("files/projects.yaml", "- project: openstack/nova\n- project: openstack/tempest\n"),
        ("secrets/launch_key.age", "age-encryption.org/v1\n"),
    ] {
        write(dir.path(), name, text);
    }
    dir
}

/// Writes a file and the directories above it.
fn write(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// All faults of a site, one line each.
fn faults(root: &Path) -> Vec<String> {
    read(root).unwrap().faults.iter().map(ToString::to_string).collect()
}

/// What `lint` draws of a site.
fn linted(root: &Path) -> String {
    use ostler_roles::author::{compile, diagnostic::RenderStyle};
    let Reading { inventory, .. } = read(root).unwrap();
    let Inventory { roles, site, content, .. } = &inventory;
    compile::lint(roles, site, content, &compile::KnownFacts::default(), &compile::Secrets::default(), &[]).render(RenderStyle::default())
}

#[test]
fn a_template_that_is_not_utf_8_shows_the_line_and_the_bytes() {
    let dir = site();
    write(dir.path(), "roles/web.yaml", "role: web\nsummary: s\nsteps:\n  - file: {path: /a, template: templates/site.conf}\n");
    fs::write(dir.path().join("templates/site.conf"), b"# first\ncaf\xe9 {{ node.name }}\n\xff\n").unwrap();
    let drawn = linted(dir.path());
    assert!(drawn.starts_with("templates/site.conf:2:4: not UTF-8: E9\n"), "{drawn}");
    assert!(drawn.contains("2 | caf\u{fffd} {{ node.name }}") && drawn.contains("roles/web.yaml:4:32"), "{drawn}");
    assert!(drawn.contains("iconv -f ISO-8859-1 -t UTF-8 templates/site.conf"), "{drawn}");
}

#[test]
fn a_site_is_read_whole() {
    let dir = site();
    let reading = read(dir.path()).unwrap();
    assert_eq!(reading.faults.to_string(), "");
    let inventory = reading.whole().unwrap();
    assert!(inventory.roles.get("web").is_some());
    assert!(inventory.roles.get("buildbot-worker").is_some(), "the library is there too");
    let template = inventory.content.get(Tree::Site, "templates/site.conf").unwrap();
    assert_eq!(template.text.as_deref().ok(), Some("listen {{ port }};\n"));
    assert_eq!(template.blob, Blob::of(b"listen {{ port }};\n"));
    let projects = inventory.content.get(Tree::Site, "files/projects.yaml").unwrap();
    assert_eq!(projects.projects.as_deref(), Some(&["openstack/nova".to_owned(), "openstack/tempest".to_owned()][..]));
    assert!(inventory.content.get(Tree::Library, "files/buildbot/master.cfg").is_some());
    assert_eq!(inventory.secrets.keys().map(ToString::to_string).collect::<Vec<_>>(), ["launch_key"]);
}

#[test]
fn bytes_are_sent_only_while_they_are_what_was_read() {
    let dir = site();
    let inventory = read(dir.path()).unwrap().whole().unwrap();
    let text = || match inventory.open(Tree::Site, "templates/site.conf")? {
        SiteFile::Open(mut file, length) => {
            let mut text = String::new();
            std::io::Read::read_to_string(&mut file, &mut text).unwrap();
            assert_eq!(length, text.len() as u64);
            Ok(text)
        }
        SiteFile::Held(_) => panic!("it is no file of the library"),
    };
    assert_eq!(text().unwrap(), "listen {{ port }};\n");
    assert!(matches!(inventory.open(Tree::Library, "files/buildbot/master.cfg").unwrap(), SiteFile::Held(bytes) if !bytes.is_empty()));
    // Written anew with what it held: it is looked at again.
    write(dir.path(), "aside", "listen {{ port }};\n");
    std::fs::rename(dir.path().join("aside"), dir.path().join("templates/site.conf")).unwrap();
    assert_eq!(text().unwrap(), "listen {{ port }};\n");
    write(dir.path(), "templates/site.conf", "listen 80;\n");
    let error: ReadSiteError = text().unwrap_err();
    assert!(matches!(error, ReadSiteError::Changed { .. }), "{error}");
    let error = inventory.open(Tree::Library, "files/none").unwrap_err();
    assert!(matches!(error, ReadSiteError::Changed { .. }), "{error}");
}

#[test]
fn a_site_is_found_from_below_it() {
    let dir = site();
    assert_eq!(find(&dir.path().join("roles")).as_deref(), Some(dir.path()));
    let error = read(&dir.path().join("roles")).unwrap_err();
    assert!(matches!(error, ReadSiteError::NoSite { .. }), "{error}");
}

#[test]
fn a_link_stays_inside_the_site() {
    let dir = site();
    symlink("site.conf", dir.path().join("templates/other.conf")).unwrap();
    let inventory = read(dir.path()).unwrap().whole().unwrap();
    assert!(inventory.content.get(Tree::Site, "templates/other.conf").is_some());
    for target in ["/etc/passwd", "../../../../../etc/passwd", "..", "/nowhere"] {
        let link = dir.path().join("files/link");
        symlink(target, &link).unwrap();
        let found = faults(dir.path());
        assert!(found.len() == 1 && found[0].starts_with("files/link:1:1: the link leads "), "{target}: {found:?}");
        fs::remove_file(link).unwrap();
    }
}

#[test]
fn a_site_may_not_read_its_own_git_directory_through_a_link() {
    let dir = site();
    write(dir.path(), ".git/config", "[remote]\n");
    symlink("../.git/config", dir.path().join("files/config")).unwrap();
    let found = faults(dir.path());
    assert!(found.len() == 1 && found[0].starts_with("files/config:1:1: the link leads to "), "{found:?}");
}

#[test]
fn a_pipe_is_refused_and_not_waited_for() {
    let dir = site();
    let path = dir.path().join("files/pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR, 0).unwrap();
    let error = read(dir.path()).unwrap_err();
    assert!(matches!(&error, ReadSiteError::Special { path: found } if *found == path), "{error}");
}

#[test]
fn a_flood_is_refused() {
    let dir = site();
    let file = fs::File::create(dir.path().join("files/large")).unwrap();
    file.set_len(MAX_FILE + 1).unwrap();
    assert_eq!(faults(dir.path()), [format!("files/large:1:1: it has {} bytes", MAX_FILE + 1)]);
    fs::remove_file(dir.path().join("files/large")).unwrap();
    fs::create_dir_all(dir.path().join(format!("files/{}", "d/".repeat(20)))).unwrap();
    let error = read(dir.path()).unwrap_err();
    assert!(matches!(error, ReadSiteError::Many { .. }), "{error}");
}

#[test]
fn a_library_role_is_hidden_only_on_purpose() {
    let dir = site();
    write(dir.path(), "roles/buildbot-worker.yaml", "role: buildbot-worker\nsummary: Ours.\n");
    let found = faults(dir.path());
    assert_eq!(found, ["roles/buildbot-worker.yaml:1:7: the library has a role `buildbot-worker`"]);
    write(dir.path(), "roles/buildbot-worker.yaml", "role: buildbot-worker\nreplaces: library\nsummary: Ours.\n");
    assert_eq!(faults(dir.path()), [""; 0]);
    assert_eq!(read(dir.path()).unwrap().inventory.roles.get("buildbot-worker").unwrap().tree, Tree::Site);
}

#[test]
fn faults_of_all_files_come_at_once() {
    let dir = site();
    write(dir.path(), "roles/web.yaml", "role: web\nsummary: A web server.\nstep: []\n");
    write(dir.path(), "roles/deep/down.yaml", "role: down\n");
    write(dir.path(), "roles/other.yml", "role: other\n");
    write(dir.path(), "roles/.web.yaml.swp", "");
    write(dir.path(), "images/noble.yaml", "image: noble\nsize: 4 GiB\n");
    write(dir.path(), "secrets/password.txt", "hunter2\n");
    write(dir.path(), "nodes.yaml", "nodes: {bastion: {roles: [wbe], ssh: {jump: none}}}\n");
    assert_eq!(
        faults(dir.path()),
        [
            "images/noble.yaml:1:8: the image has no `summary`",
            "images/noble.yaml:1:8: the image has no `base`",
            "images/noble.yaml:1:8: the image has no `like`",
            "nodes.yaml:1:27: unknown role `wbe`",
            "roles/deep/down.yaml:1:1: the file is not a role",
            "roles/other.yml:1:1: the file is not a role",
            "roles/web.yaml:3:1: unknown key `step` in a role",
            "secrets/password.txt:1:1: the file is not a secret",
        ]
    );
}

#[test]
fn images_are_files_of_their_own_directory_and_what_they_stand_on_may_lie_beside_them() {
    let dir = site();
    let noble = "image: noble\nsummary: A web server, baked.\nbase: {tree: images/root.tar}\nlike: {group: build}\nsize: 4 GiB\n";
    write(dir.path(), "images/noble.yaml", noble);
    write(dir.path(), "images/root.tar", "no YAML");
    write(dir.path(), "images/.noble.yaml.swp", "");
    let inventory = read(dir.path()).unwrap().whole().unwrap();
    let names: Vec<&str> = inventory.site.images.iter().map(|image| image.name.value.as_str()).collect();
    assert_eq!(names, ["noble"]);
    write(dir.path(), "images/old/noble.yaml", noble);
    write(dir.path(), "images/jammy.yml", noble);
    // What could not be read is not unknown as well.
    write(dir.path(), "images/broken.yaml", "image: broken\nsummary: [\n");
    write(
        dir.path(),
        "images/above.yaml",
        &noble.replace("image: noble", "image: above").replace("tree: images/root.tar", "image: broken"),
    );
    let found = faults(dir.path());
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].starts_with("images/broken.yaml:2:10: not YAML"), "{found:?}");
    assert_eq!(found[1..], ["images/jammy.yml:1:1: the file is not an image", "images/old/noble.yaml:1:1: the file is not an image"]);
}

#[test]
fn faults_of_every_stage_come_at_once_and_none_that_comes_of_another() {
    let dir = site();
    write(dir.path(), "ostler.yaml", "edition: 1\nvars: {web: {port: 80}, whole: {count: 3}}\n");
    write(dir.path(), "nodes.yaml", "nodes: {n1: {host: 10.0.0.1, roles: [web, whole, large, above]}}\n");
    let broken = "\
role: web
summary: A web server.
params: {port: {type: port}}
steps:
  - fiel: {path: /etc/a, content: x}
  - file: {path: /etc/b, template: templates/none.conf}
  - file: {path: /etc/c, from: files/dangling}
  - service: {name: web, state: running, restart_on: [file /etc/a]}
";
    write(dir.path(), "roles/web.yaml", broken);
    let whole =
        "role: whole\nsummary: s\nparams: {count: {type: integer, at_most: 2}}\nsteps:\n  - file: {path: /d, template: templates/nil}\n";
    write(dir.path(), "roles/whole.yaml", whole);
    write(
        dir.path(),
        "roles/above.yaml",
        "role: above\nsummary: s\nneeds: [large: {size: 1}]\nsteps:\n  - file: {path: /e, content: \"{{ large.size }}\"}\n",
    );
    write(dir.path(), "roles/large.yaml", &format!("role: large\nsummary: {}\n", "x".repeat(2 << 20)));
    // What its roles only had because of those that could not be read is not missing in an image either.
    let image = "image: baked\nsummary: s\nbase: {debootstrap: {suite: noble}}\nroles: [web, whole, above]\nformats: [tar]\n";
    write(dir.path(), "images/baked.yaml", &format!("{image}vars: {{web: {{port: 80}}, whole: {{count: 4}}}}\n"));
    symlink("nowhere", dir.path().join("files/dangling")).unwrap();
    assert_eq!(
        faults(dir.path()),
        [
            "files/dangling:1:1: the link leads nowhere",
            "images/baked.yaml:6:40: 4 is above 2",
            "ostler.yaml:2:40: 3 is above 2",
            "roles/large.yaml:1:1: it has 2097174 bytes",
            "roles/web.yaml:5:5: unknown kind `fiel`",
            "roles/web.yaml:6:36: the site has no `templates/none.conf`",
            "roles/whole.yaml:5:32: the site has no `templates/nil`",
        ]
    );
}

#[test]
fn what_could_not_be_read_is_not_also_missing() {
    let dir = site();
    write(dir.path(), "roles/web.yaml", "role: [web\n");
    assert_eq!(faults(dir.path()).len(), 1);
    fs::write(dir.path().join("roles/web.yaml"), b"role: web\nsummary: \xff\n").unwrap();
    assert_eq!(faults(dir.path())[0], "roles/web.yaml:2:10: not UTF-8: FF");
    fs::remove_file(dir.path().join("nodes.yaml")).unwrap();
    assert!(faults(dir.path()).contains(&"nodes.yaml:1:1: the file is missing".to_owned()));
}

#[test]
fn a_node_is_reached_as_the_nearest_layer_says() {
    let dir = site();
    let inventory = read(dir.path()).unwrap().inventory;
    let of = |name: &str| {
        let node = inventory.site.nodes.nodes.iter().find(|node| node.name.value == name).unwrap();
        reach(&inventory.site, node)
    };
    let bastion = of("bastion").unwrap();
    assert_eq!((bastion.host.as_str(), bastion.user.as_deref(), bastion.jump), ("10.0.0.1", Some("root"), Some(None)));
    let first = of("build-1").unwrap();
    assert_eq!((first.user.as_deref(), first.port, first.escalate), (Some("debian"), None, Some(Become::Sudo)));
    assert_eq!(first.jump.unwrap().unwrap().as_str(), "bastion");
    let second = of("build-2").unwrap();
    assert_eq!((second.host.as_str(), second.user.as_deref(), second.port), ("build-2", Some("admin"), Some(2222)));
    let third = of("build-3").unwrap_err();
    assert_eq!(third.to_string(), "nodes.yaml:3:21: two groups of `build-3` say different things about `user`");
}

#[test]
fn jumps_that_lead_in_a_circle_are_a_fault_with_every_place() {
    let dir = site();
    write(dir.path(), "nodes.yaml", "nodes:\n  bastion: {host: 10.0.0.1}\n  build-1: {}\n");
    assert_eq!(faults(dir.path()), ["ostler.yaml:2:39: `bastion` cannot be reached through itself"]);
    write(dir.path(), "nodes.yaml", "nodes:\n  a: {ssh: {jump: b}}\n  b: {ssh: {jump: a}}\n  bastion: {ssh: {jump: b}}\n  c: {}\n");
    assert_eq!(faults(dir.path()), ["nodes.yaml:2:19: the jumps lead in a circle: a -> b -> a"]);
    write(dir.path(), "nodes.yaml", "nodes:\n  a: {ssh: {jump: b}}\n  b: {ssh: {jump: bastion}}\n  bastion: {ssh: {jump: none}}\n");
    assert_eq!(faults(dir.path()), [""; 0]);
}

#[test]
fn the_revision_is_the_commit_of_the_site_and_whether_its_files_differ() {
    let dir = TempDir::new().unwrap();
    let root = dir.path().join("site");
    write(&root, "ostler.yaml", "edition: 1\n");
    assert_eq!(revision(&root).unwrap(), Revision::None);
    let repository = git2::Repository::init(dir.path()).unwrap();
    assert_eq!(revision(&root).unwrap(), Revision::Unborn);
    let mut index = repository.index().unwrap();
    index.add_path(Path::new("site/ostler.yaml")).unwrap();
    index.write().unwrap();
    let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
    let author = git2::Signature::now("a", "a@example.org").unwrap();
    let id = repository.commit(Some("HEAD"), &author, &author, "first", &tree, &[]).unwrap().to_string();
    assert_eq!(revision(&root).unwrap(), Revision::Commit { id: id.clone(), dirty: false });
    write(dir.path(), "elsewhere", "not of the site\n");
    assert_eq!(revision(&root).unwrap(), Revision::Commit { id: id.clone(), dirty: false });
    write(&root, "nodes.yaml", "nodes: {}\n");
    assert_eq!(revision(&root).unwrap(), Revision::Commit { id: id.clone(), dirty: true });
    assert_eq!(revision(&root).unwrap().to_string(), format!("{}+", &id[..12]));
}
