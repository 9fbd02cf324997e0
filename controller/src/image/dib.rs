//! The contract of `dib-cmd` of nodepool-builder, argument by argument.
