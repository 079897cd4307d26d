//! Who may sign: an issuer and a subject under a trust root, or a key. Issuer and subject are a pair;
//! neither stands alone, and a claim that is absent never meets a constraint.

use crate::model::Claim;
use crate::model::DenyCode;
use crate::model::Digest;
use crate::model::San;
use crate::policy::Pattern;
use crate::policy::Refusal;
use crate::verify;
use crate::verify::VerifiedSignature;

/// Somebody who may sign.
#[derive(Clone, Debug)]
pub struct Signer {
    /// The name that stands in records.
    pub name: String,
    /// Who it is.
    pub who: Who,
}

/// Who a signer is.
#[derive(Clone, Debug)]
pub enum Who {
    /// The holder of a managed key, by its id.
    Key(Digest),
    /// The holder of a certificate under one trust root.
    Keyless {
        /// The id of the trust root. The same names proven under another root are somebody else.
        root: Digest,
        /// The OIDC issuer.
        issuer: Pattern,
        /// The subject alternative name.
        subject: Pattern,
        /// Build claims that must be there.
        claims: Vec<(Claim, Pattern)>,
    },
}

impl Signer {
    /// Whether this signer made the signature.
    pub(super) fn made(&self, signature: &VerifiedSignature) -> Result<(), Refusal> {
        let (root, issuer, subject, claims) = match &self.who {
            Who::Key(key) => return by_key(*key, signature),
            Who::Keyless {
                root,
                issuer,
                subject,
                claims,
            } => (root, issuer, subject, claims),
        };
        let verify::Signer::Certificate { identity, .. } = signature.signer() else {
            return Err(Refusal::new(
                DenyCode::SignerKindMismatch,
                "signed with a key where a certificate is demanded".to_owned(),
            ));
        };
        if signature.root() != Some(*root) {
            return Err(Refusal::new(
                DenyCode::KeyMismatch,
                "proven under another trust root".to_owned(),
            ));
        }
        if !issuer.matches(&identity.issuer) {
            return Err(mismatch(
                DenyCode::IssuerMismatch,
                "issuer",
                issuer,
                &identity.issuer,
            ));
        }
        let name = &identity.san;
        if !subject.matches_name(name) {
            return Err(if subject.matches(name.value()) {
                of_another_kind(name, subject)
            } else {
                mismatch(
                    DenyCode::IdentityMismatch,
                    "identity",
                    subject,
                    name.value(),
                )
            });
        }
        for (claim, wanted) in claims {
            match identity.claims.get(*claim) {
                Some(found) if wanted.matches(found) => {}
                Some(found) => {
                    return Err(mismatch(
                        DenyCode::ClaimMismatch,
                        claim.name(),
                        wanted,
                        found,
                    ));
                }
                None => {
                    return Err(Refusal::new(
                        DenyCode::ClaimMissing,
                        format!("the certificate has no {} (wanted {wanted})", claim.name()),
                    ));
                }
            }
        }
        Ok(())
    }
}

/// A name that reads as it should and is of a kind that was not meant.
fn of_another_kind(name: &San, wanted: &Pattern) -> Refusal {
    let found = crate::model::printable(name.value());
    let (kind, meant) = match name {
        San::Uri(_) => (
            "a URI",
            "an e-mail address or a user name (spell the `/` where a URI is meant)",
        ),
        San::Email(_) => (
            "an e-mail address",
            "a URI (where an e-mail address is meant, spell it in an alternative of its own)",
        ),
        San::OtherName(_) => (
            "a user name",
            "a URI (where a user name is meant, spell it in an alternative of its own)",
        ),
    };
    Refusal::new(
        DenyCode::IdentityMismatch,
        format!("identity is {kind}, {found}, and {wanted} means {meant}"),
    )
}

fn by_key(key: Digest, signature: &VerifiedSignature) -> Result<(), Refusal> {
    match signature.signer() {
        verify::Signer::Key(found) if *found == key => Ok(()),
        verify::Signer::Key(found) => Err(Refusal::new(
            DenyCode::KeyMismatch,
            format!("signed with the key {found}"),
        )),
        verify::Signer::Certificate { .. } => Err(Refusal::new(
            DenyCode::SignerKindMismatch,
            "signed with a certificate where a key is demanded".to_owned(),
        )),
    }
}

fn mismatch(code: DenyCode, what: &str, wanted: &Pattern, found: &str) -> Refusal {
    let hint = if wanted.matches_a_part(found) {
        " (the expression matches a part of it; here it must match the whole: begin or end it with \
         `.*` where anything may stand)"
    } else {
        ""
    };
    let found = crate::model::printable(found);
    Refusal::new(code, format!("{what} is {found}, wanted {wanted}{hint}"))
}
