//! Bases: from an archive of packages, from trees.
