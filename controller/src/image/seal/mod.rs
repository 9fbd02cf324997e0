//! What makes an image nobody in particular: identity, logs and traces of the build taken out, and looked for.
