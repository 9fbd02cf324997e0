//! Shapes and fields that several kinds have.

use super::Place;
use super::types::{FieldSpec, ScalarType, Shape};

/// Where resources stand.
pub(super) const STEPS: &[Place] = &[Place::Steps];
/// Where checks stand.
pub(super) const CHECKS: &[Place] = &[Place::Require, Place::Verify];

pub(super) const BOOLEAN: Shape = Shape::Scalar(ScalarType::Boolean);
pub(super) const BYTES: Shape = Shape::Scalar(ScalarType::Bytes);
pub(super) const INTEGER: Shape = Shape::Scalar(ScalarType::Integer);
pub(super) const MODE: Shape = Shape::Scalar(ScalarType::Mode);
pub(super) const NAME: Shape = Shape::Scalar(ScalarType::Name);
pub(super) const NAMES: Shape = Shape::List(&NAME);
pub(super) const PATH: Shape = Shape::Scalar(ScalarType::Path);
pub(super) const PUBLIC_KEY: Shape = Shape::Scalar(ScalarType::PublicKey);
pub(super) const SITE_PATH: Shape = Shape::Scalar(ScalarType::SitePath);
/// Distributions: what a check of them allows.
pub(in crate::author) const SYSTEMS: Shape = Shape::List(&Shape::Scalar(ScalarType::System));
pub(super) const TEXT: Shape = Shape::Scalar(ScalarType::Text);
pub(super) const TEXTS: Shape = Shape::List(&TEXT);
pub(super) const URLS: Shape = Shape::List(&Shape::Scalar(ScalarType::Url));
pub(super) const VERSION: Shape = Shape::Scalar(ScalarType::Version);
pub(super) const VERSIONS: Shape = Shape::Map(&VERSION);

pub(super) const ABSENT: FieldSpec = FieldSpec::new("absent", BOOLEAN, "It must not be there.");
pub(super) const GROUP: FieldSpec = FieldSpec::new("group", NAME, "The group that owns it; the owner's own group if not written.");
pub(super) const OWNER: FieldSpec = FieldSpec::new("owner", NAME, "The user that owns it; root if not written.");
pub(super) const PER: FieldSpec = FieldSpec::new("per", Shape::Choice(&["executor"]), "Multiplied by the node's number of executors.");
