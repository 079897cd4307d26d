//! Bytes that a registry holds: in memory, or in a file that is read when they are asked for.

use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use aws_lc_rs::digest as hash;
use axum::http::StatusCode;
use bytes::Bytes;

use crate::model::Algorithm;
use crate::model::Digest;
use crate::sandbox::server::Answer;

/// Bytes that a registry holds.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// A file whose bytes have this digest, unless somebody damaged it.
    File { path: PathBuf, digest: Digest },
    /// Bytes in memory. They need not have the digest that they are held under.
    Memory(Bytes),
}

impl Content {
    /// The bytes. Those of a file are hashed before anybody sees them.
    pub(super) fn read(&self) -> Result<Bytes, Damaged> {
        match self {
            Self::Memory(bytes) => Ok(bytes.clone()),
            Self::File { path, digest } => {
                let bytes = std::fs::read(path).map_err(|_| Damaged(*digest))?;
                if digest.matches(&bytes) {
                    Ok(bytes.into())
                } else {
                    Err(Damaged(*digest))
                }
            }
        }
    }

    /// Whether the bytes in memory have this digest; those of files are not looked at.
    pub(super) fn is_in_memory_as(&self, digest: Digest) -> bool {
        match self {
            Self::Memory(bytes) => digest.matches(bytes),
            Self::File { .. } => false,
        }
    }

    pub(super) const fn is_file(&self) -> bool {
        matches!(self, Self::File { .. })
    }
}

/// The file of this digest is missing, unreadable, or has other bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Damaged(Digest);

impl Damaged {
    pub(super) fn answer(self) -> Answer {
        let message = format!("the content of {} is damaged", self.0);
        Answer::error(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", &message)
    }
}

/// Whether the bytes of a file have this digest; it is read piece by piece.
pub(super) fn file_matches(path: &Path, digest: Digest) -> io::Result<bool> {
    let algorithm = match digest.algorithm() {
        Algorithm::Sha256 => &hash::SHA256,
        Algorithm::Sha512 => &hash::SHA512,
    };
    let mut context = hash::Context::new(algorithm);
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(context.finish().as_ref() == digest.as_bytes());
        }
        context.update(buffer.get(..count).unwrap_or_default());
    }
}
