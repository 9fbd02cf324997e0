//! What a node should be, and every word the controller and the agent exchange. Pure: no I/O, no clock, no async.
//!
//! One word each, everywhere (YAML key, type, event, docs): *role* (what is written), *catalog* (one node's closed, ordered list),
//! *desired*, *observed*, *change*, *check* and its *verdict*, *outcome*, *event*, *plan*, *run*, *blob* (content by digest), *facts*.
//!
//! Arrows: `author`, `wire` -> `catalog`, `plan` -> `outcome` -> `facts` -> `resource`, `check`, `master` -> `words`; `mask` -> `texts`, which walks over what is told.

#![warn(missing_docs)]

#[cfg(feature = "author")]
pub mod author;
pub mod catalog;
pub mod challenge;
pub mod check;
pub mod executor;
pub mod facts;
pub mod ledger;
pub mod mask;
pub mod master;
pub mod outcome;
pub mod plan;
pub mod resource;
pub mod texts;
pub mod wire;
pub mod words;
