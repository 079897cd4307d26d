//! Checkpoints: signed tree heads in the form of a signed note (C2SP `tlog-checkpoint`, `signed-note`).

use crate::model::Exceeded;
use crate::model::Limits;
use crate::verify::Error;
use crate::verify::TrustRoot;
use crate::verify::encoding;
use crate::verify::trust::Log;

/// A parsed checkpoint.
#[derive(Debug)]
pub(super) struct Checkpoint<'a> {
    /// The text that is signed, its last line break included.
    signed: &'a str,
    pub(super) origin: &'a str,
    pub(super) size: u64,
    pub(super) root: [u8; 32],
    signatures: Vec<Signature<'a>>,
}

#[derive(Debug)]
struct Signature<'a> {
    name: &'a str,
    hint: [u8; 4],
    value: Vec<u8>,
}

impl<'a> Checkpoint<'a> {
    /// Parses the text of a checkpoint.
    pub(super) fn parse(text: &'a str, limits: &Limits) -> Result<Self, Error> {
        let wrong = |rule| Error::CheckpointMalformed { rule };
        Exceeded::unless(text.len(), limits.checkpoint_bytes, "bytes in a checkpoint")?;
        if text.chars().any(|c| c.is_control() && c != '\n') {
            return Err(wrong("it has control characters"));
        }
        let at = text
            .rfind("\n\n")
            .ok_or_else(|| wrong("no blank line before the signatures"))?;
        let (signed, signatures) = text
            .split_at_checked(at + 1)
            .ok_or_else(|| wrong("no blank line before the signatures"))?;
        let mut lines = signed.split_terminator('\n');
        let origin = lines
            .next()
            .filter(|origin| !origin.is_empty())
            .ok_or_else(|| wrong("its origin is missing"))?;
        let size = lines.next().ok_or_else(|| wrong("its size is missing"))?;
        let canonical = size == "0" || !size.starts_with('0');
        if size.is_empty() || !canonical || !size.bytes().all(|c| c.is_ascii_digit()) {
            return Err(wrong("its size is not a decimal number"));
        }
        let size = size
            .parse()
            .map_err(|_| wrong("its size is not a decimal number"))?;
        let root = lines
            .next()
            .and_then(encoding::decode)
            .and_then(|root| root.try_into().ok())
            .ok_or_else(|| wrong("its root hash is not base64 of 32 bytes"))?;
        if signatures == "\n" {
            return Err(wrong("it has no signature"));
        }
        let lines = signatures
            .strip_prefix('\n')
            .and_then(|lines| lines.strip_suffix('\n'))
            .ok_or_else(|| wrong("its last line is not ended"))?;
        let mut parsed = Vec::new();
        for line in lines.split('\n') {
            Exceeded::unless(
                parsed.len() + 1,
                limits.checkpoint_signatures,
                "signatures on a checkpoint",
            )?;
            parsed.push(signature(line).ok_or_else(|| wrong("a signature line is malformed"))?);
        }
        Ok(Self {
            signed,
            origin,
            size,
            root,
            signatures: parsed,
        })
    }

    /// Whether `log` signed it under its own name: the name before the signature is the origin, or
    /// the part of it before ` - ` (Rekor v1 writes `host - tree id`). Other lines are passed over.
    pub(super) fn is_signed_by(&self, log: &Log) -> bool {
        self.signatures.iter().any(|signature| {
            let own_name = self.origin == signature.name
                || self
                    .origin
                    .strip_prefix(signature.name)
                    .is_some_and(|rest| rest.starts_with(" - "));
            own_name
                && signature.hint == log.hint()
                && log.key.verifies(self.signed.as_bytes(), &signature.value)
        })
    }
}

/// The head of a log's tree, as the log signed it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LogHead {
    /// The key id of the log.
    pub log: Vec<u8>,
    /// How many entries the tree has.
    pub size: u64,
    /// Its root hash.
    pub root: [u8; 32],
}

impl TrustRoot {
    /// Reads a checkpoint that one of the logs of this root signed.
    ///
    /// # Errors
    ///
    /// [`Error::CheckpointInvalid`] when none of them did.
    pub fn log_head(&self, checkpoint: &str, limits: &Limits) -> Result<LogHead, Error> {
        let checkpoint = Checkpoint::parse(checkpoint, limits)?;
        let log = self
            .logs
            .iter()
            .find(|log| checkpoint.is_signed_by(log) && log.is_origin(checkpoint.origin));
        let log = log.ok_or(Error::CheckpointInvalid)?;
        Ok(LogHead {
            log: log.id.clone(),
            size: checkpoint.size,
            root: checkpoint.root,
        })
    }
}

/// `— name base64(hint ‖ signature)`.
fn signature(line: &str) -> Option<Signature<'_>> {
    let (name, value) = line.strip_prefix("— ")?.split_once(' ')?;
    let value = encoding::decode(value)?;
    let (hint, value) = value.split_first_chunk::<4>()?;
    if name.is_empty() || name.contains('+') || value.is_empty() {
        return None;
    }
    Some(Signature {
        name,
        hint: *hint,
        value: value.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(u64, usize), Error> {
        Checkpoint::parse(text, &Limits::default()).map(|c| (c.size, c.signatures.len()))
    }

    #[test]
    fn the_text_is_read_strictly() {
        let root = encoding::encode(&[7; 32]);
        let line = format!("— log.test {}\n", encoding::encode(&[1; 70]));
        let good = format!("log.test\n12\n{root}\n\n{line}");
        assert_eq!(parse(&good), Ok((12, 1)));
        assert_eq!(
            parse(&format!("log.test\n12\n{root}\nmore\n\n{line}{line}")),
            Ok((12, 2))
        );
        for bad in [
            String::new(),
            good.replace("\n\n", "\n"),
            good.replace('\n', "\r\n"),
            good.replace("\n12\n", "\n012\n"),
            good.replace("\n12\n", "\n-1\n"),
            good.replace("\n12\n", "\n+1\n"),
            good.replace("\n12\n", "\n18446744073709551616\n"),
            good.replace("log.test\n12", "12"),
            good.replace("log.test\n12", "\n12"),
            good.replace(&root, ""),
            good.replace(&root, &encoding::encode(&[7; 31])),
            good.replace('—', "-"),
            good.trim_end().to_owned(),
            format!("{good}\n"),
            good.replace("log.test ", "log.test\u{1b} "),
            format!("log.test\n12\n{root}\n\n{}", line.repeat(65)),
        ] {
            assert!(parse(&bad).is_err(), "{bad}");
        }
        assert_eq!(
            parse(&format!("log.test\n12\n{root}\n\n{}", line.repeat(17))),
            Ok((12, 17))
        );
    }
}
