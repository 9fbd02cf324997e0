//! Images of the cases: what becomes of them, and that nothing of the builder is in it.

use super::*;
use ostler_roles::author::compile::{CompiledImage, ImageInput, image, image_segments};
use ostler_roles::words::Bytes;

/// The image that a case names, made in a tree.
pub fn compiled(case: &Case, tree: &Arc<Facts>) -> Result<CompiledImage, Faults> {
    let Case { roles, site, content, secrets, facts, overrides, image: named, .. } = case;
    let wanted = named.as_ref().map(|(name, _)| name.as_str());
    let of = site.images.iter().find(|one| Some(one.name.value.as_str()) == wanted).unwrap();
    image(&ImageInput { roles, site, content, image: of, tree, facts, secrets, overrides })
}

/// An image as a person compares it.
pub fn shown(image: &CompiledImage) -> String {
    let mut text = super::shown(&image.whole);
    for one in &image.left_out {
        let _ = writeln!(text, "left out {} ({}, {}): {}", one.id, one.role, one.origin, one.why);
    }
    for segment in image_segments(&image.whole.catalog) {
        let _ = writeln!(text, "layer {:?} {}", segment.steps, segment.role);
    }
    text
}

/// The same system on another machine.
fn elsewhere(tree: &Facts) -> Facts {
    Facts {
        hostname: "builder-7".to_owned(),
        virtualization: "none".to_owned(),
        cpus: 1,
        memory: Bytes(1 << 30),
        addresses: Vec::new(),
        host_keys: vec!["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUm".to_owned()],
        ..tree.clone()
    }
}

#[test]
fn an_image_is_the_same_whatever_machine_builds_it() {
    let (mut images, mut left_out) = (0, 0);
    for path in cases() {
        let Ok(case) = read(&fs::read_to_string(&path).unwrap()) else { continue };
        let Some((_, tree)) = &case.image else { continue };
        let (Ok(here), Ok(there)) = (compiled(&case, tree), compiled(&case, &Arc::new(elsewhere(tree)))) else { continue };
        assert_eq!(shown(&here), shown(&there), "{}", path.display());
        assert_eq!(here.whole.catalog.steps, there.whole.catalog.steps, "{}", path.display());
        images += 1;
        left_out += here.left_out.len();
    }
    assert!(images >= 4 && left_out >= 20, "{images} images, {left_out} left out");
}

#[test]
fn nothing_that_is_one_nodes_own_is_in_an_image() {
    for path in cases() {
        let Ok(case) = read(&fs::read_to_string(&path).unwrap()) else { continue };
        let Some((name, tree)) = &case.image else { continue };
        let addresses = vec!["198.51.100.99".to_owned()];
        let tree = Arc::new(Facts { addresses, ..elsewhere(tree) });
        let Ok(image) = compiled(&case, &tree) else { continue };
        let whole = format!(
            "{}{:?}",
            json(&(&image.whole.catalog.steps, &image.whole.catalog.require, &image.whole.catalog.verify)),
            image.whole.blobs.values().map(|bytes| String::from_utf8_lossy(bytes)).collect::<Vec<_>>()
        );
        // What origins say is a place in a file.
        let whole = whole.replace(&format!("images/{name}.yaml"), "");
        for own in tree.addresses.iter().chain(&tree.host_keys).chain([name, &tree.hostname]) {
            assert!(!whole.contains(own.as_str()), "{}: {own}: {whole}", path.display());
        }
        assert!(image.whole.executors.is_empty());
    }
}
