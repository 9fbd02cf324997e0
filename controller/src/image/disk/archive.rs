//! The other forms of an image: an archive of the tree, a container's image in one file, a box of Vagrant.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::super::error::ImageError;
use super::super::tools;
use super::DiskSpec;

/// Writes an archive of a tree: names in order, owners by number, nothing newer than `epoch`.
///
/// # Errors
/// When something cannot be read or written.
pub fn tar(tree: &Path, epoch: u32, at: &Path) -> Result<(), ImageError> {
    private_file(at)?;
    let mut command = tools::program("tar", "tar")?;
    command.args(["--create", "--format=posix", "--sort=name", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--clamp-mtime"]);
    // Neither these times nor the number of a process that tar would write into the names of its headers.
    command.args(["--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime", &format!("--mtime=@{epoch}")]);
    tools::run(command.arg("--file").arg(at).arg("--directory").arg(tree).arg(".")).map(drop)
}

/// What a container of the image starts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Name and tag by which an engine knows it (`devstack-noble:7`).
    pub tag: String,
    /// What is run.
    pub command: Vec<String>,
}

/// Writes a container's image in one file, which `docker load` and `podman load` take: one layer that is an archive of the tree, made by
/// [`tar`] before.
///
/// # Errors
/// When something cannot be read or written.
pub fn oci(layer: &Path, config: &Config, epoch: u32, at: &Path) -> Result<(), ImageError> {
    let wrong = |what| ImageError::file(what, at);
    let (digest, bytes) = digest_of(layer)?;
    let time = time_of(epoch);
    let image = json!({
        "architecture": "amd64", "os": "linux", "created": time,
        "config": {"Cmd": config.command},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
        "history": [{"created": time, "created_by": "ostler image build"}],
    });
    let image = image.to_string().into_bytes();
    let image_digest = hex(&Sha256::digest(&image));
    let descriptor = |kind: &str, digest: &str, size: u64| json!({"mediaType": format!("application/vnd.oci.image.{kind}"), "digest": format!("sha256:{digest}"), "size": size});
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("config.v1+json", &image_digest, image.len() as u64),
        "layers": [descriptor("layer.v1.tar", &digest, bytes)],
    });
    let manifest = manifest.to_string().into_bytes();
    let manifest_digest = hex(&Sha256::digest(&manifest));
    let mut named = descriptor("manifest.v1+json", &manifest_digest, manifest.len() as u64);
    named["annotations"] = json!({"io.containerd.image.name": config.tag, "org.opencontainers.image.ref.name": config.tag});
    let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [named]});
    // What `docker load` reads before it knew the other.
    let blob = |digest: &str| format!("blobs/sha256/{digest}");
    let docker: Value = json!([{"Config": blob(&image_digest), "RepoTags": [config.tag], "Layers": [blob(&digest)]}]);
    let mut to = io::BufWriter::new(private_file(at)?);
    let small = [
        ("oci-layout".to_owned(), json!({"imageLayoutVersion": "1.0.0"}).to_string().into_bytes()),
        ("index.json".to_owned(), index.to_string().into_bytes()),
        ("manifest.json".to_owned(), docker.to_string().into_bytes()),
        (blob(&image_digest), image),
        (blob(&manifest_digest), manifest),
    ];
    for (name, content) in &small {
        entry(&mut to, name, content.len() as u64, epoch, &mut &content[..]).map_err(wrong("write"))?;
    }
    let mut from = File::open(layer).map_err(ImageError::file("open", layer))?;
    entry(&mut to, &blob(&digest), bytes, epoch, &mut from).map_err(wrong("write"))?;
    to.write_all(&[0; 1024]).and_then(|()| to.flush()).map_err(wrong("write"))
}

/// Who a box is entered as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoxUser {
    /// The account.
    pub name: String,
    /// Its private key on the machine that runs Vagrant; none for Vagrant's own.
    pub private_key: Option<String>,
}

/// Writes a box for Vagrant with libvirt, from a qcow2.
///
/// # Errors
/// When something cannot be read or written.
pub fn vagrant_box(qcow2: &Path, spec: &DiskSpec, user: &BoxUser, at: &Path) -> Result<(), ImageError> {
    let wrong = |what| ImageError::file(what, at);
    let metadata = json!({"provider": "libvirt", "format": "qcow2", "virtual_size": spec.size.div_ceil(1 << 30)}).to_string();
    let key =
        user.private_key.as_ref().map(|key| format!("  config.ssh.private_key_path = {}\n  config.ssh.insert_key = false\n", ruby(key)));
    let vagrantfile = format!(
        "Vagrant.configure(\"2\") do |config|\n  config.ssh.username = {}\n{}  config.vm.synced_folder \".\", \"/vagrant\", disabled: true\n\
         \x20 config.vm.provider :libvirt do |libvirt|\n    libvirt.disk_bus = \"virtio\"\n  end\nend\n",
        ruby(&user.name),
        key.unwrap_or_default()
    );
    let mut to = io::BufWriter::new(private_file(at)?);
    for (name, content) in [("metadata.json", metadata), ("Vagrantfile", vagrantfile)] {
        entry(&mut to, name, content.len() as u64, spec.epoch, &mut content.as_bytes()).map_err(wrong("write"))?;
    }
    let mut from = File::open(qcow2).map_err(ImageError::file("open", qcow2))?;
    let bytes = from.metadata().map_err(ImageError::file("look at", qcow2))?.len();
    entry(&mut to, "box.img", bytes, spec.epoch, &mut from).map_err(wrong("write"))?;
    to.write_all(&[0; 1024]).and_then(|()| to.flush()).map_err(wrong("write"))
}

/// A word as a string of Ruby's in which nothing is read but what is there.
fn ruby(word: &str) -> String {
    format!("'{}'", word.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn private_file(at: &Path) -> Result<File, ImageError> {
    File::options().write(true).create(true).truncate(true).mode(0o600).open(at).map_err(ImageError::file("create", at))
}

fn digest_of(path: &Path) -> Result<(String, u64), ImageError> {
    let mut file = File::open(path).map_err(ImageError::file("open", path))?;
    let (mut digest, mut buffer, mut bytes) = (Sha256::new(), vec![0; 1 << 20], 0);
    loop {
        let count = file.read(&mut buffer).map_err(ImageError::file("read", path))?;
        if count == 0 {
            return Ok((hex(&digest.finalize()), bytes));
        }
        digest.update(&buffer[..count]);
        bytes += count as u64;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One file of an archive (ustar; a size beyond 8 GiB as GNU writes it, in binary).
fn entry(to: &mut impl io::Write, name: &str, bytes: u64, epoch: u32, from: &mut impl io::Read) -> io::Result<()> {
    let mut header = [0; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(136, &format!("{epoch:011o}\0"));
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    if bytes < 1 << 33 {
        put(124, &format!("{bytes:011o}\0"));
    } else {
        header[124] = 0x80;
        header[128..136].copy_from_slice(&bytes.to_be_bytes());
    }
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    to.write_all(&header)?;
    let copied = io::copy(&mut from.take(bytes), to)?;
    if copied != bytes {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was packed"));
    }
    let rest = usize::try_from(bytes.next_multiple_of(512) - bytes).unwrap_or_default();
    to.write_all(&[0; 512][..rest])
}

/// Returns a time as RFC 3339 writes it (days to dates: Howard Hinnant, "chrono-compatible low-level date algorithms").
fn time_of(epoch: u32) -> String {
    let (days, seconds) = (i64::from(epoch / 86400) + 719_468, epoch % 86400);
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) = (day_of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::process::Command;

    fn out(command: &mut Command) -> String {
        let output = command.env("LC_ALL", "C").env("TZ", "UTC0").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn a_time_is_written_as_others_write_it() {
        for (epoch, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_709_164_799, "2024-02-28T23:59:59Z"),
            (1_709_210_096, "2024-02-29T12:34:56Z"),
            (4_102_444_800, "2100-01-01T00:00:00Z"),
        ] {
            assert_eq!(time_of(epoch), text);
        }
    }

    #[test]
    fn two_archives_of_one_tree_are_the_same_and_newer_times_are_clamped() {
        let dir = tempfile::tempdir().unwrap();
        let mut made = Vec::new();
        for name in ["one", "two"] {
            let tree = dir.path().join(name);
            fs::create_dir(&tree).unwrap();
            for file in if name == "one" { ["a", "b"] } else { ["b", "a"] } {
                fs::write(tree.join(file), "x").unwrap();
            }
            let at = dir.path().join(format!("{name}.tar"));
            tar(&tree, 1000, &at).unwrap();
            made.push(fs::read(&at).unwrap());
            assert!(out(Command::new("tar").args(["-tvf"]).arg(&at)).contains("1970-01-01 00:16 ./a"));
        }
        assert!(made[0] == made[1]);
    }

    #[test]
    fn an_image_of_one_layer_names_each_of_its_parts_by_digest() {
        let dir = tempfile::tempdir().unwrap();
        let layer = dir.path().join("layer.tar");
        fs::write(&layer, vec![7; 1234]).unwrap();
        let at = dir.path().join("image.oci");
        oci(&layer, &Config { tag: "demo:1".into(), command: vec!["/sbin/init".into()] }, 1000, &at).unwrap();
        let unpacked = dir.path().join("unpacked");
        fs::create_dir(&unpacked).unwrap();
        out(Command::new("tar").args(["-xf"]).arg(&at).arg("-C").arg(&unpacked));
        let json = |path: &str| serde_json::from_slice::<Value>(&fs::read(unpacked.join(path)).unwrap()).unwrap();
        let blob = |digest: &Value| format!("blobs/{}", digest.as_str().unwrap().replace(':', "/"));
        let manifest = json(&blob(&json("index.json")["manifests"][0]["digest"]));
        assert_eq!(fs::read(unpacked.join(blob(&manifest["layers"][0]["digest"]))).unwrap(), vec![7; 1234]);
        let config = json(&blob(&manifest["config"]["digest"]));
        assert_eq!(
            (&config["rootfs"]["diff_ids"][0], &config["config"]["Cmd"][0]),
            (&manifest["layers"][0]["digest"], &json!("/sbin/init"))
        );
        assert_eq!(json("manifest.json")[0]["RepoTags"], json!(["demo:1"]));
        for path in fs::read_dir(unpacked.join("blobs/sha256")).unwrap().map(|entry| entry.unwrap().path()) {
            assert_eq!(path.file_name().unwrap().to_str().unwrap(), digest_of(&path).unwrap().0);
        }
    }

    #[test]
    fn a_box_has_what_vagrant_looks_for() {
        let dir = tempfile::tempdir().unwrap();
        let (disk, at) = (dir.path().join("disk"), dir.path().join("box"));
        fs::write(&disk, "disk").unwrap();
        let spec = DiskSpec { size: (5 << 30) + 1, epoch: 1, firmware: super::super::Firmware::Both, console: vec![], seed: "x".into() };
        vagrant_box(&disk, &spec, &BoxUser { name: "o'neil".into(), private_key: None }, &at).unwrap();
        assert_eq!(out(Command::new("tar").arg("-tf").arg(&at)), "metadata.json\nVagrantfile\nbox.img\n");
        let print = |name: &str| out(Command::new("tar").arg("-xOf").arg(&at).arg(name));
        assert_eq!(
            serde_json::from_str::<Value>(&print("metadata.json")).unwrap(),
            json!({"provider": "libvirt", "format": "qcow2", "virtual_size": 6})
        );
        assert!(print("Vagrantfile").contains(r"config.ssh.username = 'o\'neil'") && print("box.img") == "disk");
    }
}
