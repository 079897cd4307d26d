//! Step 5: the times that somebody in the trust root vouches for.

use crate::verify::AuthenticatedTime;
use crate::verify::Bundle;
use crate::verify::Candidate;
use crate::verify::Error;
use crate::verify::TimeSource;
use crate::verify::Trust;
use crate::verify::logged::LogEntry;
use crate::verify::timestamp;

/// All authenticated times. A timestamp by an unknown authority does not count; one by a known
/// authority that does not hold spoils the evidence.
pub(super) fn times(
    bundle: &Bundle,
    signer: &Candidate<'_>,
    logged: &[LogEntry<'_>],
    trust: Trust<'_>,
) -> Result<Vec<AuthenticatedTime>, Error> {
    let authorities = match trust {
        Trust::Root(root) | Trust::Key(_, Some(root)) => root.timestamp_authorities.as_slice(),
        Trust::Key(_, None) => &[],
    };
    let mut stamped: Vec<&[u8]> = vec![bundle.content.signature()];
    // cosign v2 stamped the whole envelope of a legacy attestation, which holds the signature;
    // v3.1 stamps the signature.
    stamped.extend(bundle.content.layer());
    let mut times: Vec<_> = logged
        .iter()
        .filter_map(|entry| entry.time)
        .map(|time| AuthenticatedTime {
            time,
            source: TimeSource::LogPromise,
        })
        .collect();
    let mut untrusted = false;
    for response in &bundle.timestamps {
        match timestamp::verify(response, &stamped, authorities) {
            Ok((time, _)) => times.push(AuthenticatedTime {
                time,
                source: TimeSource::Timestamp,
            }),
            Err(Error::TimestampUntrusted) => untrusted = true,
            Err(error) => return Err(error),
        }
    }
    times.sort_unstable();
    if times.is_empty() && matches!(signer, Candidate::Leaf(..)) {
        return Err(if untrusted {
            Error::TimestampUntrusted
        } else {
            Error::TimeMissing {
                rule: "there is neither a log's signed promise nor an RFC 3161 timestamp",
            }
        });
    }
    Ok(times)
}
