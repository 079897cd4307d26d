//! Timestamp authorities (RFC 3161): a signed time over a signature.
//!
//! The query is the one that cosign sends: SHA-256 of the signature's bytes, no certificate asked
//! for, because it is in the trusted root, and no nonce. A nonce tells an answer from the replay of
//! an older one over the same bytes; the bytes here are a signature that did not exist before, and
//! the nonce would only make bundles larger. Start with [`stamp`].

use crate::model::Digest;
use crate::services::Client;
use crate::services::Endpoint;
use crate::services::Error;
use crate::services::Service;
use crate::services::client::Ask;
use crate::verify::der;
use crate::verify::der::tag;

/// What stands before the hash in a query: version 1, SHA-256 with NULL, 32 bytes.
const QUERY: [u8; 24] = [
    0x30, 0x36, 0x02, 0x01, 0x01, 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65,
    0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20,
];

/// Asks for the time over `signature`, and gives the DER `TimeStampResp`.
///
/// # Errors
///
/// [`Error`]. That the answer is about this signature is not looked at.
pub async fn stamp(
    client: &Client<'_>,
    url: &Endpoint,
    signature: &[u8],
) -> Result<Vec<u8>, Error> {
    let ask = Ask::new(Service::Timestamp, url, client.limits.timestamp_bytes);
    let mut query = QUERY.to_vec();
    query.extend(Digest::sha256(signature).as_bytes());
    let request = ask.post("application/timestamp-query", query);
    let body = client.fetch_good(&ask, &request).await?;
    match status(&body) {
        // granted and grantedWithMods (RFC 3161, section 2.4.2).
        Some([0 | 1]) => Ok(body.to_vec()),
        Some(_) => Err(Error::Refused {
            service: Service::Timestamp,
            host: url.host(),
            status: 200,
            said: "its answer says that the time was not granted".to_owned(),
        }),
        None => Err(ask.malformed("its answer is no timestamp")),
    }
}

/// The status of an answer; none unless it is DER to its end, with a token where it must have one.
fn status(answer: &[u8]) -> Option<&[u8]> {
    let mut fields = der::whole(answer, tag::SEQUENCE).ok()?;
    let mut status = fields.enter(tag::SEQUENCE).ok()?;
    let status = status.expect(tag::INTEGER).ok()?.content;
    if matches!(status, [0 | 1]) {
        fields.expect(tag::SEQUENCE).ok()?;
        fields.end().ok()?;
    }
    Some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_granted_token_is_one() {
        for (answer, expected) in [
            (&[0x30, 7, 0x30, 3, 2, 1, 0, 0x30, 0][..], Some(&[0_u8][..])),
            (&[0x30, 7, 0x30, 3, 2, 1, 1, 0x30, 0], Some(&[1])),
            (&[0x30, 5, 0x30, 3, 2, 1, 2], Some(&[2])),
            (&[0x30, 5, 0x30, 3, 2, 1, 0], None),
            (&[0x30, 8, 0x30, 3, 2, 1, 0, 0x30, 0], None),
            (&[0x30, 7, 0x30, 3, 2, 1, 0, 0x30, 0, 0], None),
            (&[0x30, 0], None),
            (b"<html>", None),
            (b"", None),
        ] {
            assert_eq!(status(answer), expected, "{answer:?}");
        }
    }
}
