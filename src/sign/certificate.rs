//! Who signs: a managed key, or a certificate with the key that was made for it.
//!
//! One certificate is for a whole walk. It is verified before anything is signed with it, and renewed
//! where little of its time is left.

use std::sync::Arc;

use crate::model::Identity;
use crate::model::San;
use crate::model::Timestamp;
use crate::model::printable;
use crate::services::fulcio;
use crate::services::oidc::Token;
use crate::services::rekor::Verifier;
use crate::sign::Credential;
use crate::sign::Error;
use crate::sign::Signer;
use crate::sign::SigningKey;
use crate::sign::bundle::Material;
use crate::transport::Deadline;
use crate::verify::ManagedKey;
use crate::verify::verify_certificate;

/// Seconds that must be left of a certificate for another signature to be made with it: longer than
/// a log and a timestamp authority take.
const LEAST_LEFT: i64 = 120;

/// A certificate, verified.
#[derive(Debug)]
pub(super) struct Certificate {
    pub(super) leaf: Vec<u8>,
    /// Intermediates and root, as they stand in the trusted root. Only a hint for old readers.
    pub(super) chain: Vec<Vec<u8>>,
    not_after: Timestamp,
}

/// Who signs.
#[derive(Clone, Debug)]
pub(super) struct Holder(Arc<Held>);

#[derive(Debug)]
struct Held {
    key: Arc<SigningKey>,
    by: By,
}

#[derive(Debug)]
enum By {
    Certificate(Certificate),
    Key(Arc<ManagedKey>),
}

impl Holder {
    fn of_key(key: Arc<SigningKey>, managed: Arc<ManagedKey>) -> Self {
        let by = By::Key(managed);
        Self(Arc::new(Held { key, by }))
    }

    pub(super) fn key(&self) -> &SigningKey {
        &self.0.key
    }

    pub(super) fn certificate(&self) -> Option<&Certificate> {
        match &self.0.by {
            By::Certificate(certificate) => Some(certificate),
            By::Key(_) => None,
        }
    }

    pub(super) fn managed(&self) -> Option<&ManagedKey> {
        match &self.0.by {
            By::Certificate(_) => None,
            By::Key(key) => Some(key),
        }
    }

    pub(super) fn material(&self) -> Material<'_> {
        match &self.0.by {
            By::Certificate(certificate) => Material::Certificate(&certificate.leaf),
            By::Key(_) => Material::Key(self.0.key.spki()),
        }
    }

    /// Who signed, as logs are told.
    pub(super) fn verifier(&self) -> Verifier<'_> {
        match &self.0.by {
            By::Certificate(certificate) => Verifier::Certificate(&certificate.leaf),
            By::Key(_) => Verifier::PublicKey(self.0.key.spki()),
        }
    }
}

impl Signer {
    /// Who signs now: the key, or the certificate of this walk, or a new one where there is none or
    /// little is left of it.
    pub(super) async fn holder(&self, deadline: Deadline) -> Result<Holder, Error> {
        let mut held = self.held.lock().await;
        if let Some(holder) = &*held {
            let left = |certificate: &Certificate| {
                let now = (self.clock)();
                now.plus_seconds(LEAST_LEFT) <= certificate.not_after
            };
            if holder.certificate().is_none_or(left) {
                return Ok(holder.clone());
            }
        }
        let holder = match (&self.credential, &self.managed) {
            (Credential::Key(key), Some(managed)) => {
                Holder::of_key(Arc::clone(key), Arc::clone(managed))
            }
            (Credential::Token { token, renew }, _) => match (held.is_some(), renew) {
                // The first one is as old as the walk.
                (true, Some(renew)) => {
                    let renewed = renew(deadline).await?;
                    let (was, is) = (token.claimed()?, renewed.claimed()?);
                    if was != is || token.build() != renewed.build() {
                        return Err(Error::Renewed {
                            was: was.to_string(),
                            is: is.to_string(),
                        });
                    }
                    self.issue(&renewed, deadline).await?
                }
                _ => self.issue(token, deadline).await?,
            },
            (Credential::Key(_), None) => return Err(Error::RootMissing),
        };
        *held = Some(holder.clone());
        Ok(holder)
    }

    /// Has a certificate issued for a new key, and verifies it.
    async fn issue(&self, token: &Token, deadline: Deadline) -> Result<Holder, Error> {
        let root = self.root.as_deref().ok_or(Error::RootMissing)?;
        let key = SigningKey::ephemeral()?;
        let proof = key.sign(token.subject_to_prove()?.as_bytes())?;
        let url = self.services.fulcio().ok_or(Error::FulcioMissing)?;
        let wanted = fulcio::Wanted {
            token,
            spki: key.spki(),
            algorithm: fulcio::KeyAlgorithm::Ecdsa,
            proof: &proof,
        };
        let issued = fulcio::certificate(&self.client(deadline), url, &wanted).await?;
        let now = (self.clock)();
        let facts = verify_certificate(&issued.leaf, root, self.terms, now, &self.limits)
            .map_err(|source| Error::Certificate { source })?;
        if facts.key != key.id() {
            return Err(Error::CertificateKey);
        }
        self.is_named(token, &facts.identity)?;
        let certificate = Certificate {
            leaf: issued.leaf,
            chain: facts.chain,
            not_after: facts.not_after,
        };
        Ok(Holder(Arc::new(Held {
            key: Arc::new(key),
            by: By::Certificate(certificate),
        })))
    }

    /// Whether a certificate is for whom the token names, or for whom the operator expects.
    fn is_named(&self, token: &Token, found: &Identity) -> Result<(), Error> {
        let claimed = token.claimed()?;
        let named = match (&self.identity, &found.san) {
            (Some(expected), san) => san.value() == expected,
            // A user-name issuer's domain is in Fulcio's configuration, and not in the token.
            (None, San::OtherName(name)) => {
                let user = name.split_once('!').map(|(user, _)| user);
                user == Some(claimed.name.value())
            }
            (None, san) => *san == claimed.name,
        };
        if named && found.issuer == claimed.issuer {
            return says_build(token, found);
        }
        let subject = self.identity.as_deref();
        Err(Error::CertificateIdentity {
            subject: printable(subject.unwrap_or(claimed.name.value())),
            issuer: printable(&claimed.issuer),
            found: Box::new(found.clone()),
        })
    }
}

/// Whether a certificate says nothing else about the build than the token. What it does not say it
/// may be too old for.
fn says_build(token: &Token, found: &Identity) -> Result<(), Error> {
    for (claim, expected) in token.build() {
        match found.claims.get(claim) {
            Some(said) if said != expected => {
                return Err(Error::CertificateClaim {
                    claim,
                    found: printable(said),
                    expected: printable(&expected),
                });
            }
            _ => {}
        }
    }
    Ok(())
}
