//! A tree mounted from layers, in namespaces of its own.
