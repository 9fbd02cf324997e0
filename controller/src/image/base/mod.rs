//! What an image stands on: a tree made by mmdebstrap, a directory, an archive, another image.
