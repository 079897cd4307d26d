//! RFC 3161 timestamps: a timestamp authority of the trust root saw the signature at a time.
//!
//! The token is taken apart in place, because the signature is over its very bytes. The signer is
//! the first certificate of an authority in the trust root; certificates that the token brings along
//! are never used, and one that the authority's chain lacks spoils the token (CVE-2026-39984).

use crate::model::Timestamp;
use crate::verify::Error;
use crate::verify::der;
use crate::verify::der::NotDer;
use crate::verify::der::Reader;
use crate::verify::der::tag;
use crate::verify::key::Hash;
use crate::verify::key::Kind;
use crate::verify::key::PublicKey;
use crate::verify::trust::Authority;

/// 1.2.840.113549.1.7.2, a CMS SignedData.
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// 1.2.840.113549.1.9.16.1.4, a TSTInfo.
const TST_INFO: &[u8] = &[
    0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04,
];
/// 1.2.840.113549.1.9.3, the contentType attribute.
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03];
/// 1.2.840.113549.1.9.4, the messageDigest attribute.
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
const SHA384: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02];
const SHA512: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03];
/// 1.2.840.10045.4.3, before the number of an ECDSA signature's hash.
const ECDSA_WITH: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
/// 1.2.840.113549.1.1, before the number of an RSA signature's hash.
const RSA_WITH: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// A token, taken apart.
struct Token<'a> {
    time: Timestamp,
    imprint_hash: &'a [u8],
    imprint: &'a [u8],
    /// The TSTInfo, whose hash the signed attributes carry.
    content: &'a [u8],
    certificates: Vec<&'a [u8]>,
    issuer: &'a [u8],
    serial: &'a [u8],
    digest_algorithm: &'a [u8],
    attributes: &'a [u8],
    signature_algorithm: &'a [u8],
    signature: &'a [u8],
}

/// Verifies a TimeStampResp in DER over any of `stamped` and gives the time and the position of the
/// authority.
///
/// # Errors
///
/// [`Error::TimestampUntrusted`] when no authority of the root signed it; everything else means that
/// one did or claims to, and that the token does not hold.
pub(super) fn verify(
    response: &[u8],
    stamped: &[&[u8]],
    authorities: &[Authority],
) -> Result<(Timestamp, usize), Error> {
    let token = parse(response)?;
    // What an authority of the root is named in and does not hold outranks every stranger's token.
    let mut failure: Option<Error> = None;
    for (at, authority) in authorities.iter().enumerate() {
        let Some(leaf) = authority.chain.first() else {
            continue;
        };
        if !leaf.is_named(token.issuer, token.serial) {
            continue;
        }
        match token.verify(stamped, authority) {
            Ok(()) => return Ok((token.time, at)),
            Err(error) => {
                if failure
                    .as_ref()
                    .is_none_or(|known| known.code() < error.code())
                {
                    failure = Some(error);
                }
            }
        }
    }
    Err(failure.unwrap_or(Error::TimestampUntrusted))
}

impl Token<'_> {
    fn verify(&self, stamped: &[&[u8]], authority: &Authority) -> Result<(), Error> {
        let invalid = |rule| Err(Error::TimestampInvalid { rule });
        let Some(leaf) = authority.chain.first() else {
            return Err(Error::TimestampUntrusted);
        };
        if leaf.is_ca() {
            return invalid("its signer is a certificate authority");
        }
        if !leaf.stamps_time_only() {
            return invalid("its signer's extended key usage is not timeStamping alone, critical");
        }
        let foreign = |der: &&[u8]| !authority.chain.iter().any(|known| known.der() == *der);
        if self.certificates.iter().any(foreign) {
            return invalid("it brings a certificate that its authority does not have");
        }
        self.attributes_hold()?;
        // The attributes are signed as a SET, not under the tag that they have in the token
        // (RFC 5652 section 5.4).
        let mut signed = self.attributes.to_vec();
        if let Some(first) = signed.first_mut() {
            *first = tag::SET;
        }
        if !verifies_by_oid(
            leaf.key(),
            self.signature_algorithm,
            Some(self.digest_algorithm),
            &signed,
            self.signature,
        ) {
            return invalid("its signature does not verify");
        }
        let Some(hash) = hash(self.imprint_hash) else {
            return invalid("its imprint is by a hash other than SHA-256, SHA-384 and SHA-512");
        };
        if !stamped
            .iter()
            .any(|bytes| hash.of(bytes).as_ref() == self.imprint)
        {
            return Err(Error::TimestampMismatch);
        }
        if !authority.window.contains(self.time) {
            return Err(Error::TimestampOutsideValidity {
                time: self.time,
                window: authority.window.to_string(),
            });
        }
        for issuer in &authority.chain {
            if !issuer.is_valid_at(self.time) {
                return Err(Error::TimestampOutsideValidity {
                    time: self.time,
                    window: issuer.validity(),
                });
            }
        }
        Ok(())
    }

    /// contentType and messageDigest, each once, of the content (RFC 5652 section 5.3).
    fn attributes_hold(&self) -> Result<(), Error> {
        let invalid = |rule| Err(Error::TimestampInvalid { rule });
        let (mut of_type, mut of_content) = (0_usize, 0_usize);
        let mut attributes = Reader::new(self.attributes)
            .enter(tag::CONTEXT_0)
            .map_err(malformed)?;
        while !attributes.is_empty() {
            let mut attribute = attributes.enter(tag::SEQUENCE).map_err(malformed)?;
            let oid = attribute.expect(tag::OID).map_err(malformed)?.content;
            let mut values = attribute.enter(tag::SET).map_err(malformed)?;
            match oid {
                CONTENT_TYPE => {
                    let value = values.expect(tag::OID).map_err(malformed)?.content;
                    if value != TST_INFO || !values.is_empty() {
                        return invalid("its contentType attribute is not TSTInfo");
                    }
                    of_type += 1;
                }
                MESSAGE_DIGEST => {
                    let value = values.expect(tag::OCTET_STRING).map_err(malformed)?.content;
                    let Some(hash) = hash(self.digest_algorithm) else {
                        return invalid("it is hashed with something else than SHA-2");
                    };
                    if hash.of(self.content).as_ref() != value || !values.is_empty() {
                        return invalid("its messageDigest attribute is of another content");
                    }
                    of_content += 1;
                }
                _ => {}
            }
        }
        if (of_type, of_content) != (1, 1) {
            return invalid("its signed attributes are not contentType and messageDigest, once");
        }
        Ok(())
    }
}

/// Whether a signature verifies by an algorithm identifier, which must fit the key.
///
/// `digest` is the hash that stands beside it in CMS, where the identifier may name the key's kind
/// alone (`rsaEncryption`).
pub(super) fn verifies_by_oid(
    key: &PublicKey,
    algorithm: &[u8],
    digest: Option<&[u8]>,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let by = |kinds: &[Kind], hash: Option<Hash>| match hash {
        Some(hash) if kinds.contains(&key.kind()) => key.verifies_with(hash, message, signature),
        _ => false,
    };
    if algorithm == ED25519 {
        return by(&[Kind::Ed25519], Some(Hash::Sha512));
    }
    if let Some([number]) = algorithm.strip_prefix(ECDSA_WITH) {
        let hash = match number {
            2 => Some(Hash::Sha256),
            3 => Some(Hash::Sha384),
            4 => Some(Hash::Sha512),
            _ => None,
        };
        return by(&[Kind::P256, Kind::P384, Kind::P521], hash);
    }
    if let Some([number]) = algorithm.strip_prefix(RSA_WITH) {
        let hash = match number {
            1 => digest.and_then(hash),
            11 => Some(Hash::Sha256),
            12 => Some(Hash::Sha384),
            13 => Some(Hash::Sha512),
            _ => None,
        };
        return by(&[Kind::Rsa], hash);
    }
    false
}

fn hash(oid: &[u8]) -> Option<Hash> {
    match oid {
        SHA256 => Some(Hash::Sha256),
        SHA384 => Some(Hash::Sha384),
        SHA512 => Some(Hash::Sha512),
        _ => None,
    }
}

const fn malformed(_: NotDer) -> Error {
    Error::TimestampMalformed {
        rule: "it is not a TimeStampResp in DER",
    }
}

/// Takes a TimeStampResp apart (RFC 3161 section 2.4.2, RFC 5652 section 5).
fn parse(response: &[u8]) -> Result<Token<'_>, Error> {
    let mut fields = der::whole(response, tag::SEQUENCE).map_err(malformed)?;
    let mut status = fields.enter(tag::SEQUENCE).map_err(malformed)?;
    let status = status.expect(tag::INTEGER).map_err(malformed)?.content;
    // granted and grantedWithMods.
    if !matches!(status, [0 | 1]) {
        return Err(Error::TimestampInvalid {
            rule: "it was not granted",
        });
    }
    let signed_data = token(&mut fields).map_err(malformed)?;
    signed_token(signed_data)
}

/// The content of the SignedData in a response.
fn token<'a>(fields: &mut Reader<'a>) -> Result<Reader<'a>, NotDer> {
    let mut content_info = fields.enter(tag::SEQUENCE)?;
    fields.end()?;
    if content_info.expect(tag::OID)?.content != SIGNED_DATA {
        return Err(NotDer);
    }
    let mut content = content_info.enter(tag::CONTEXT_0)?;
    content_info.end()?;
    let signed_data = content.enter(tag::SEQUENCE)?;
    content.end()?;
    Ok(signed_data)
}

fn signed_token(mut data: Reader<'_>) -> Result<Token<'_>, Error> {
    data.expect(tag::INTEGER).map_err(malformed)?;
    data.expect(tag::SET).map_err(malformed)?;
    let content = encapsulated(&mut data).map_err(malformed)?;
    let mut certificates = Vec::new();
    if let Some(list) = data.optional(tag::CONTEXT_0).map_err(malformed)? {
        let mut list = Reader::new(list.content);
        while !list.is_empty() {
            certificates.push(list.any().map_err(malformed)?.raw);
        }
    }
    data.optional(tag::CONTEXT_1).map_err(malformed)?;
    let mut signers = data.enter(tag::SET).map_err(malformed)?;
    data.end().map_err(malformed)?;
    let signer = signers.enter(tag::SEQUENCE).map_err(malformed)?;
    if !signers.is_empty() {
        return Err(Error::TimestampInvalid {
            rule: "it has several signers",
        });
    }
    let (time, imprint_hash, imprint) = tst_info(content)?;
    let mut token = Token {
        time,
        imprint_hash,
        imprint,
        content,
        certificates,
        issuer: &[],
        serial: &[],
        digest_algorithm: &[],
        attributes: &[],
        signature_algorithm: &[],
        signature: &[],
    };
    signer_info(signer, &mut token)?;
    Ok(token)
}

fn encapsulated<'a>(data: &mut Reader<'a>) -> Result<&'a [u8], NotDer> {
    let mut encapsulated = data.enter(tag::SEQUENCE)?;
    if encapsulated.expect(tag::OID)?.content != TST_INFO {
        return Err(NotDer);
    }
    let mut content = encapsulated.enter(tag::CONTEXT_0)?;
    encapsulated.end()?;
    let octets = content.expect(tag::OCTET_STRING)?.content;
    content.end()?;
    Ok(octets)
}

fn signer_info<'a>(mut signer: Reader<'a>, token: &mut Token<'a>) -> Result<(), Error> {
    let rest = (|| {
        signer.expect(tag::INTEGER)?;
        let mut sid = signer.enter(tag::SEQUENCE)?;
        token.issuer = sid.expect(tag::SEQUENCE)?.raw;
        token.serial = sid.expect(tag::INTEGER)?.content;
        sid.end()?;
        token.digest_algorithm = signer.enter(tag::SEQUENCE)?.expect(tag::OID)?.content;
        signer.optional(tag::CONTEXT_0)
    })()
    .map_err(malformed)?;
    // Without signed attributes the signature would be over the content alone (RFC 5652 section
    // 5.3 demands them for any content but plain data).
    token.attributes = rest
        .ok_or(Error::TimestampInvalid {
            rule: "it has no signed attributes",
        })?
        .raw;
    (|| {
        token.signature_algorithm = signer.enter(tag::SEQUENCE)?.expect(tag::OID)?.content;
        token.signature = signer.expect(tag::OCTET_STRING)?.content;
        signer.optional(tag::CONTEXT_1)?;
        signer.end()
    })()
    .map_err(malformed)
}

/// The time, and the hash and value of what was stamped.
fn tst_info(content: &[u8]) -> Result<(Timestamp, &[u8], &[u8]), Error> {
    let mut info = der::whole(content, tag::SEQUENCE).map_err(malformed)?;
    let version = info.expect(tag::INTEGER).map_err(malformed)?;
    if version.content != [1] {
        return Err(Error::TimestampMalformed {
            rule: "its version is not 1",
        });
    }
    let (hash, value, time) = (|| {
        info.expect(tag::OID)?;
        let mut imprint = info.enter(tag::SEQUENCE)?;
        let hash = imprint.enter(tag::SEQUENCE)?.expect(tag::OID)?.content;
        let value = imprint.expect(tag::OCTET_STRING)?.content;
        imprint.end()?;
        info.expect(tag::INTEGER)?;
        Ok((hash, value, info.expect(tag::GENERALIZED_TIME)?.content))
    })()
    .map_err(malformed)?;
    let time = generalized_time(time).ok_or(Error::TimestampMalformed {
        rule: "its time is malformed",
    })?;
    Ok((time, hash, value))
}

/// `YYYYMMDDhhmmss[.f]Z` (RFC 3161 section 2.4.2).
fn generalized_time(text: &[u8]) -> Option<Timestamp> {
    let text = core::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    if whole.len() != 14 || !digits(whole) || !fraction.is_none_or(|f| digits(f) && f.len() <= 9) {
        return None;
    }
    let part = |from: usize, to: usize| whole.get(from..to);
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    let fraction = fraction.map(|f| format!(".{f}")).unwrap_or_default();
    Timestamp::parse(&format!(
        "{year}-{month}-{day}T{hour}:{minute}:{second}{fraction}Z"
    ))
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_to_the_letter() {
        for (text, expected) in [
            ("20261121090807Z", Some("2026-11-21T09:08:07Z")),
            ("20261121090807.25Z", Some("2026-11-21T09:08:07.25Z")),
            ("20261121090807", None),
            ("202611210908Z", None),
            ("20261321090807Z", None),
            ("20261121090807.Z", None),
            ("20261121090807+0100", None),
            ("2026112109080xZ", None),
        ] {
            let time = generalized_time(text.as_bytes()).map(|time| time.to_string());
            assert_eq!(time.as_deref(), expected, "{text}");
        }
    }
}
