//! Reading and writing `secrets/NAME.age`.

use super::Identities;
use super::error::{CAP, SecretError};
use crate::private::{self, Durable, FileError};
use age::x25519;
use ostler_roles::mask::is_long_enough;
use ostler_roles::words::{Secret, SecretName};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Where the armour begins (age(1), ASCII armor).
const ARMOUR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";

/// What `set` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetOutcome {
    /// It was written.
    Written,
    /// It has this value and these recipients already: not a byte was changed.
    Unchanged,
}

fn file_of(site: &Path, name: &SecretName) -> PathBuf {
    site.join("secrets").join(format!("{name}.age"))
}

/// The names of a site's secrets.
///
/// # Errors
/// When the directory cannot be read.
pub fn names(site: &Path) -> Result<Vec<SecretName>, SecretError> {
    let directory = site.join("secrets");
    let failed = |source| SecretError::from(FileError::Read { path: directory.clone(), source });
    let entries = match std::fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed(source)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        if let Some(stem) = name.to_str().and_then(|name| name.strip_suffix(".age")) {
            names.push(SecretName::parse(stem)?);
        }
    }
    names.sort();
    Ok(names)
}

/// Opens one secret.
///
/// # Errors
/// When it cannot be read or opened.
pub fn open(site: &Path, name: &SecretName, identities: &Identities) -> Result<Secret<Vec<u8>>, SecretError> {
    let path = file_of(site, name);
    let bytes = std::fs::read(&path).map_err(FileError::read(&path))?;
    let cannot = |why: String| SecretError::CannotOpen { name: name.to_string(), why };
    let begin =
        bytes.windows(ARMOUR.len()).position(|window| window == ARMOUR).ok_or_else(|| cannot("it is not an age file".to_owned()))?;
    let decryptor = age::Decryptor::new(age::armor::ArmoredReader::new(&bytes[begin..])).map_err(|error| cannot(error.to_string()))?;
    let keys = identities.keys.iter().map(|key| key as &dyn age::Identity);
    let reader = decryptor.decrypt(keys).map_err(|error| cannot(format!("{error} (identities: {})", identities.file.display())))?;
    // What was encrypted is longer: no half of the value is left behind by a vector that grew.
    let mut value = Vec::with_capacity(bytes.len());
    reader.take(CAP + 1).read_to_end(&mut value).map_err(|error| cannot(error.to_string()))?;
    let value = Secret::new(value);
    check(name, &value).map(|()| value)
}

/// Writes a secret, encrypted to the recipients. The file stays as it is, byte for byte, when its value and recipients are the same
/// already (recipients by the note beside it: age files do not name theirs).
///
/// # Errors
/// When it exists with another value and `replace` is not set, or cannot be written.
pub fn set(
    site: &Path,
    name: &SecretName,
    value: &Secret<Vec<u8>>,
    recipients: &[String],
    identities: Option<&Identities>,
    replace: bool,
) -> Result<SetOutcome, SecretError> {
    if value.expose().is_empty() {
        return Err(SecretError::Empty);
    }
    check(name, value)?;
    let keys = parse_recipients(recipients)?;
    let path = file_of(site, name);
    let is_there = path.exists();
    if is_there {
        let same = identities.is_some_and(|identities| open(site, name, identities).is_ok_and(|old| old.expose() == value.expose()));
        if same && note_of(&path)? == note(recipients) {
            return Ok(SetOutcome::Unchanged);
        }
        if !same && !replace {
            return Err(SecretError::Exists(name.to_string()));
        }
    }
    let armoured = encrypt(&keys, value).map_err(FileError::write(&path))?;
    let bytes = format!("{}{armoured}", note(recipients));
    let written = if is_there {
        private::write(&path, bytes.as_bytes(), Durable::Yes).map(|()| true)
    } else {
        private::create(&path, bytes.as_bytes())
    };
    match written.map_err(FileError::write(&path))? {
        true => Ok(SetOutcome::Written),
        // Somebody else has just made it.
        false => Err(SecretError::Exists(name.to_string())),
    }
}

/// Whether a value can be one: kept out of what is printed, and that at a bearable price.
fn check(name: &SecretName, value: &Secret<Vec<u8>>) -> Result<(), SecretError> {
    if value.expose().len() as u64 > CAP {
        return Err(SecretError::TooLong);
    }
    if is_long_enough(value.expose()) { Ok(()) } else { Err(SecretError::TooShort(name.to_string())) }
}

fn parse_recipients(recipients: &[String]) -> Result<Vec<x25519::Recipient>, SecretError> {
    if recipients.is_empty() {
        return Err(SecretError::NoRecipients);
    }
    recipients.iter().map(|text| text.parse().map_err(|_| SecretError::NotARecipient(text.clone()))).collect()
}

fn encrypt(recipients: &[x25519::Recipient], value: &Secret<Vec<u8>>) -> std::io::Result<String> {
    let keys = recipients.iter().map(|key| key as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(keys).map_err(std::io::Error::other)?;
    let mut out = Vec::new();
    let armour = age::armor::ArmoredWriter::wrap_output(&mut out, age::armor::Format::AsciiArmor)?;
    let mut writer = encryptor.wrap_output(armour)?;
    writer.write_all(value.expose())?;
    writer.finish()?.finish()?;
    String::from_utf8(out).map_err(std::io::Error::other)
}

/// Who can read the file, a line each before the armour: age files do not name their recipients. age(1) skips to the armour as we do.
fn note(recipients: &[String]) -> String {
    let mut sorted = recipients.to_vec();
    sorted.sort();
    sorted.iter().map(|recipient| format!("# to {recipient}\n")).collect()
}

fn note_of(path: &Path) -> Result<String, SecretError> {
    let text = std::fs::read_to_string(path).map_err(FileError::read(path))?;
    Ok(text.lines().take_while(|line| line.starts_with('#')).map(|line| format!("{line}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> (tempfile::TempDir, Identities, Vec<String>) {
        let site = tempfile::tempdir().unwrap();
        let file = site.path().join("identity.txt");
        let recipient = Identities::create(&file).unwrap();
        let identities = Identities::read(&file).unwrap().unwrap();
        (site, identities, vec![recipient])
    }

    #[test]
    fn a_secret_opens_as_it_was_set_and_its_file_stays_while_it_is_the_same() {
        let (site, identities, recipients) = site();
        let name = SecretName::parse("launch_key").unwrap();
        let value = Secret::new(b"planted-value".to_vec());
        assert_eq!(set(site.path(), &name, &value, &recipients, Some(&identities), false).unwrap(), SetOutcome::Written);
        let before = std::fs::read(site.path().join("secrets/launch_key.age")).unwrap();
        assert!(!String::from_utf8_lossy(&before).contains("planted-value"));
        assert_eq!(set(site.path(), &name, &value, &recipients, Some(&identities), false).unwrap(), SetOutcome::Unchanged);
        assert_eq!(std::fs::read(site.path().join("secrets/launch_key.age")).unwrap(), before);
        assert_eq!(open(site.path(), &name, &identities).unwrap().expose(), b"planted-value");
        assert_eq!(names(site.path()).unwrap(), vec![name]);
    }

    #[test]
    fn another_value_needs_replace() {
        let (site, identities, recipients) = site();
        let name = SecretName::parse("key").unwrap();
        set(site.path(), &name, &Secret::new(b"value-one".to_vec()), &recipients, Some(&identities), false).unwrap();
        let error = set(site.path(), &name, &Secret::new(b"value-two".to_vec()), &recipients, Some(&identities), false).unwrap_err();
        assert!(matches!(error, SecretError::Exists(ref name) if name == "key"), "{error}");
        set(site.path(), &name, &Secret::new(b"value-two".to_vec()), &recipients, Some(&identities), true).unwrap();
        assert_eq!(open(site.path(), &name, &identities).unwrap().expose(), b"value-two");
    }

    #[test]
    fn an_identity_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let (site, _, _) = site();
        let file = site.path().join("identity.txt");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Identities::read(&file), Err(SecretError::OpenToOthers { mode: 0o644, .. })));
    }

    #[test]
    fn a_stranger_cannot_open_it() {
        let (site, identities, recipients) = site();
        let name = SecretName::parse("key").unwrap();
        set(site.path(), &name, &Secret::new(b"value-one".to_vec()), &recipients, Some(&identities), false).unwrap();
        let other = site.path().join("other.txt");
        Identities::create(&other).unwrap();
        let stranger = Identities::read(&other).unwrap().unwrap();
        assert!(matches!(open(site.path(), &name, &stranger), Err(SecretError::CannotOpen { .. })));
    }

    #[test]
    fn a_value_that_stands_in_ordinary_words_is_no_secret() {
        let (site, identities, recipients) = site();
        let name = SecretName::parse("pin").unwrap();
        let error = set(site.path(), &name, &Secret::new(b" 12345\n".to_vec()), &recipients, None, false).unwrap_err();
        assert!(error.to_string().starts_with("secret pin has fewer than 6 characters"), "{error}");
        // One of an older site is refused when it is opened.
        let armoured = encrypt(&parse_recipients(&recipients).unwrap(), &Secret::new(b"12345".to_vec())).unwrap();
        std::fs::create_dir(site.path().join("secrets")).unwrap();
        std::fs::write(file_of(site.path(), &name), armoured).unwrap();
        assert!(matches!(open(site.path(), &name, &identities), Err(SecretError::TooShort(name)) if name == "pin"));
    }
}
