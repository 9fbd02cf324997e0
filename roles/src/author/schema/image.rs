//! `images/NAME.yaml`.

use serde_json::{Value, json};

use super::fields::{fields, shape};
use super::{keyed, list, reference};
use crate::author::keys;
use crate::author::kinds::image::{
    APT_LISTS, BASE, BASE_RULES, CHECKPOINT, CHECKPOINT_RULES, FILESYSTEM, FIRMWARE, FORMATS, LIKE, LIKE_RULES, SEAL, SECRETS,
};

/// An image.
pub(super) fn image() -> Value {
    keyed(keys::IMAGE, &["image", "summary", "base"], |key| match key {
        "image" => json!({ "type": "string", "pattern": "^[a-z][a-z0-9-]*$" }),
        "summary" | "console" => json!({ "type": "string" }),
        "base" => fields(BASE, BASE_RULES),
        "like" => fields(LIKE, LIKE_RULES),
        "roles" => list(&reference("role")),
        "vars" => reference("vars"),
        "size" => reference("bytes"),
        "formats" => shape(&FORMATS),
        "keep" => json!({ "type": "integer", "minimum": 1, "maximum": 100 }),
        "filesystem" => shape(&FILESYSTEM),
        "firmware" => shape(&FIRMWARE),
        "secrets" => shape(&SECRETS),
        "seal" => fields(SEAL, &[]),
        "apt_lists" => shape(&APT_LISTS),
        "checkpoint" => fields(CHECKPOINT, CHECKPOINT_RULES),
        _ => json!({}),
    })
}
