//! Certificate transparency: that the certificate was logged before it was used (RFC 6962 section 3).

use crate::model::Digest;
use crate::model::Exceeded;
use crate::model::Limits;
use crate::model::Timestamp;
use crate::verify::Error;
use crate::verify::der;
use crate::verify::der::NotDer;
use crate::verify::der::tag;
use crate::verify::key::Kind;
use crate::verify::key::PublicKey;
use crate::verify::trust::Log;

/// 1.3.6.1.4.1.11129.2.4.2, the list of SCTs in a certificate.
pub(super) const SCT_LIST: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xd6, 0x79, 0x02, 0x04, 0x02];

/// One signed certificate timestamp.
struct Sct<'a> {
    log_id: &'a [u8],
    milliseconds: u64,
    extensions: &'a [u8],
    algorithm: [u8; 2],
    signature: &'a [u8],
}

/// Checks that a known log vouches for the certificate. One good SCT is enough; one by a known log
/// that does not verify spoils the certificate.
///
/// `tbs` is the certificate's signed part, `issuer_spki` the key that issued it.
pub(super) fn verify(
    tbs: &[u8],
    issuer_spki: &[u8],
    logs: &[Log],
    limits: &Limits,
) -> Result<(), Error> {
    let (without, list) = split(tbs).map_err(|NotDer| Error::SctMalformed {
        rule: "its extension is not DER",
    })?;
    let scts = parse(list.ok_or(Error::SctMissing)?, limits)?;
    let mut verified = false;
    for sct in scts {
        let time = Timestamp::from_unix_milliseconds(sct.milliseconds).map_err(|_| {
            Error::SctMalformed {
                rule: "its time is out of range",
            }
        })?;
        let mut known = logs.iter().filter(|log| log.id == sct.log_id).peekable();
        if known.peek().is_none() {
            continue;
        }
        let message = signed_message(&sct, issuer_spki, &without);
        let mut failure = Error::SctInvalid;
        let counts = known.any(|log| {
            let signed = fits(&log.key, sct.algorithm) && log.key.verifies(&message, sct.signature);
            if signed {
                failure = Error::SctOutsideValidity {
                    time,
                    window: log.window.to_string(),
                };
            }
            signed && log.window.contains(time)
        });
        if !counts {
            return Err(failure);
        }
        verified = true;
    }
    if verified {
        Ok(())
    } else {
        Err(Error::SctUntrusted)
    }
}

/// SHA-256 with ECDSA or RSA, as the key is (RFC 5246 section 7.4.1.4.1).
fn fits(key: &PublicKey, algorithm: [u8; 2]) -> bool {
    matches!(
        (key.kind(), algorithm),
        (Kind::P256, [4, 3]) | (Kind::Rsa, [4, 1])
    )
}

/// The signed part without its list of SCTs, and that list.
fn split(tbs: &[u8]) -> Result<(Vec<u8>, Option<&[u8]>), NotDer> {
    let mut fields = der::whole(tbs, tag::SEQUENCE)?;
    let mut content: Vec<u8> = Vec::with_capacity(tbs.len());
    let mut list = None;
    while !fields.is_empty() {
        let field = fields.any()?;
        if field.tag != tag::CONTEXT_3 {
            content.extend(field.raw);
            continue;
        }
        let mut extensions = der::whole(field.content, tag::SEQUENCE)?;
        let mut kept: Vec<u8> = Vec::with_capacity(field.content.len());
        while !extensions.is_empty() {
            let extension = extensions.expect(tag::SEQUENCE)?;
            let mut parts = der::Reader::new(extension.content);
            if parts.expect(tag::OID)?.content != SCT_LIST {
                kept.extend(extension.raw);
                continue;
            }
            let _critical = parts.optional(tag::BOOLEAN)?;
            let value = parts.expect(tag::OCTET_STRING)?.content;
            parts.end()?;
            let mut inner = der::Reader::new(value);
            list = Some(inner.expect(tag::OCTET_STRING)?.content);
            inner.end()?;
        }
        let mut sequence = Vec::with_capacity(kept.len() + 4);
        der::write_header(&mut sequence, tag::SEQUENCE, kept.len());
        sequence.extend(kept);
        der::write_header(&mut content, tag::CONTEXT_3, sequence.len());
        content.extend(sequence);
    }
    let mut without = Vec::with_capacity(content.len() + 4);
    der::write_header(&mut without, tag::SEQUENCE, content.len());
    without.extend(content);
    Ok((without, list))
}

/// Reads a SignedCertificateTimestampList (RFC 6962 section 3.3).
fn parse<'a>(list: &'a [u8], limits: &Limits) -> Result<Vec<Sct<'a>>, Error> {
    let wrong = |rule| Error::SctMalformed { rule };
    let mut rest = list;
    let mut inner = vector(&mut rest).ok_or_else(|| wrong("its list is cut short"))?;
    if !rest.is_empty() {
        return Err(wrong("bytes follow its list"));
    }
    let mut scts = Vec::new();
    while !inner.is_empty() {
        Exceeded::unless(scts.len() + 1, limits.scts, "SCTs in a certificate")?;
        let mut one = vector(&mut inner).ok_or_else(|| wrong("it is cut short"))?;
        scts.push(sct(&mut one).ok_or_else(|| wrong("it is cut short"))??);
        if !one.is_empty() {
            return Err(wrong("bytes follow it"));
        }
    }
    if scts.is_empty() {
        return Err(Error::SctMissing);
    }
    Ok(scts)
}

fn sct<'a>(bytes: &mut &'a [u8]) -> Option<Result<Sct<'a>, Error>> {
    if take(bytes, 1)? != [0] {
        return Some(Err(Error::SctMalformed {
            rule: "it is not of version 1",
        }));
    }
    Some(Ok(Sct {
        log_id: take(bytes, 32)?,
        milliseconds: u64::from_be_bytes(take(bytes, 8)?.try_into().ok()?),
        extensions: vector(bytes)?,
        algorithm: take(bytes, 2)?.try_into().ok()?,
        signature: vector(bytes)?,
    }))
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

/// A vector with a length of two octets (RFC 5246 section 4.3).
fn vector<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u16::from_be_bytes(take(bytes, 2)?.try_into().ok()?);
    take(bytes, usize::from(length))
}

/// What the log signed: a precertificate entry (RFC 6962 section 3.2).
fn signed_message(sct: &Sct<'_>, issuer_spki: &[u8], tbs: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(tbs.len() + 64);
    message.extend([0, 0]); // version 1, certificate_timestamp
    message.extend(sct.milliseconds.to_be_bytes());
    message.extend([0, 1]); // precert_entry
    message.extend(Digest::sha256(issuer_spki).as_bytes());
    // Three octets of length; a certificate is capped far below 2^24 bytes.
    message.extend(tbs.len().to_be_bytes().iter().skip(5));
    message.extend(tbs);
    message.extend(sct.extensions.len().to_be_bytes().iter().skip(6));
    message.extend(sct.extensions);
    message
}
