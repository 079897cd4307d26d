//! Reading images and their evidence: layouts and archives on disk, registries, credentials.

mod layout;
