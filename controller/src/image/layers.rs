//! The store of layers: each made once, by the digest of everything that went in before it.
