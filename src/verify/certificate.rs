//! Certificates: the facts of a signing certificate, and its path to an authority of the trust root.
//!
//! One parser gives the facts (x509-parser); webpki judges the path over the same bytes. What webpki
//! leaves out is done here: the profile of the leaf, and validity and path length of trust anchors.

use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::SignatureVerificationAlgorithm;
use rustls_pki_types::TrustAnchor;
use rustls_pki_types::UnixTime;
use webpki::EndEntityCert;
use webpki::KeyUsage;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

use crate::model::Claim;
use crate::model::Claims;
use crate::model::Exceeded;
use crate::model::Identity;
use crate::model::Limits;
use crate::model::San;
use crate::model::Timestamp;
use crate::verify::Error;
use crate::verify::der;
use crate::verify::key::PublicKey;
use crate::verify::sct::SCT_LIST;
use crate::verify::trust::Authority;

/// 1.3.6.1.5.5.7.3.3.
const CODE_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];
/// 1.3.6.1.4.1.57264.1, the arc of Fulcio's extensions.
const FULCIO: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xbf, 0x30, 0x01];
/// .1, the deprecated issuer.
const ISSUER_V1: u8 = 1;
/// .7, the type of a user name in a subject alternative name.
const OTHER_NAME: u8 = 7;
/// .8, the issuer.
const ISSUER_V2: u8 = 8;
/// DER tag of a UTF8String.
const UTF8_STRING: u8 = 0x0c;

/// No SHA-1, no RSA below 2048 bits, no curve but P-256, P-384 and P-521.
const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    webpki::aws_lc_rs::ECDSA_P384_SHA384,
    webpki::aws_lc_rs::ECDSA_P256_SHA256,
    webpki::aws_lc_rs::ECDSA_P384_SHA256,
    webpki::aws_lc_rs::ECDSA_P256_SHA384,
    webpki::aws_lc_rs::ECDSA_P521_SHA512,
    webpki::aws_lc_rs::ED25519,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA256,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA384,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA512,
];

/// A certificate of a trust root, with what its use needs.
pub(super) struct Issuer {
    der: CertificateDer<'static>,
    anchor: TrustAnchor<'static>,
    subject: Vec<u8>,
    issuer: Vec<u8>,
    serial: Vec<u8>,
    key: PublicKey,
    spki: Vec<u8>,
    not_before: Timestamp,
    not_after: Timestamp,
    is_ca: bool,
    path_length: Option<usize>,
    signs_certificates: bool,
    /// `None`: any. Otherwise whether it may issue code-signing certificates.
    code_signing: Option<bool>,
    /// Whether its one and critical extended key usage is timeStamping (RFC 3161 section 2.3).
    stamps_time_only: bool,
}

impl core::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Issuer({:?})", self.key)
    }
}

impl Issuer {
    /// Parses a certificate of a trust root.
    pub(super) fn parse(der: CertificateDer<'static>) -> Result<Self, Error> {
        let anchor = webpki::anchor_from_trusted_cert(&der)
            .map_err(|_| malformed("it cannot be a trust anchor"))?
            .to_owned();
        let certificate = read(&der)?;
        let mut parsed = Self {
            anchor,
            subject: certificate.subject().as_raw().to_vec(),
            issuer: certificate.issuer().as_raw().to_vec(),
            serial: certificate.raw_serial().to_vec(),
            key: PublicKey::parse(certificate.public_key().raw)?,
            spki: certificate.public_key().raw.to_vec(),
            not_before: time(certificate.validity().not_before.timestamp())?,
            not_after: time(certificate.validity().not_after.timestamp())?,
            is_ca: false,
            path_length: None,
            signs_certificates: true,
            code_signing: None,
            stamps_time_only: false,
            der: der.clone(),
        };
        for extension in certificate.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::BasicConstraints(constraints) => {
                    parsed.is_ca = constraints.ca;
                    parsed.path_length = constraints
                        .path_len_constraint
                        .map(|length| usize::try_from(length).unwrap_or(usize::MAX));
                }
                ParsedExtension::KeyUsage(usage) => {
                    parsed.signs_certificates = usage.key_cert_sign();
                }
                ParsedExtension::ExtendedKeyUsage(usage) => {
                    parsed.code_signing = Some(usage.code_signing || usage.any);
                    parsed.stamps_time_only = extension.critical
                        && usage.time_stamping
                        && !(usage.any
                            || usage.server_auth
                            || usage.client_auth
                            || usage.code_signing
                            || usage.email_protection
                            || usage.ocsp_signing)
                        && usage.other.is_empty();
                }
                _ => {}
            }
        }
        Ok(parsed)
    }

    /// Whether this certificate issued `below`: name, signature, and the right to do so.
    pub(super) fn issued(&self, below: &Self) -> bool {
        let signed = || {
            let certificate = read(&below.der).ok()?;
            let algorithm = certificate.signature_algorithm.oid().as_bytes();
            let signature = certificate.signature_value.data.as_ref();
            let tbs: &[u8] = certificate.tbs_certificate.as_ref();
            super::timestamp::verifies_by_oid(&self.key, algorithm, None, tbs, signature)
                .then_some(())
        };
        self.may_issue() && self.subject == below.issuer && signed().is_some()
    }

    /// Whether it is a certificate authority that may sign certificates.
    pub(super) const fn may_issue(&self) -> bool {
        self.is_ca && self.signs_certificates
    }

    /// Whether it may stand above code-signing certificates.
    pub(super) fn may_issue_code_signing(&self) -> bool {
        self.may_issue() && self.code_signing.unwrap_or(true)
    }

    /// Whether `count` authorities may stand between it and a leaf.
    pub(super) fn allows_below(&self, count: usize) -> bool {
        self.path_length.is_none_or(|length| count <= length)
    }

    /// Whether it is the certificate that `issuer` and `serial` (DER) name.
    pub(super) fn is_named(&self, issuer: &[u8], serial: &[u8]) -> bool {
        self.issuer == issuer && self.serial == serial
    }

    pub(super) const fn is_ca(&self) -> bool {
        self.is_ca
    }

    pub(super) const fn stamps_time_only(&self) -> bool {
        self.stamps_time_only
    }

    pub(super) const fn key(&self) -> &PublicKey {
        &self.key
    }

    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }

    pub(super) fn is_valid_at(&self, time: Timestamp) -> bool {
        self.not_before <= time && time <= self.not_after
    }

    pub(super) const fn not_before(&self) -> Timestamp {
        self.not_before
    }

    pub(super) const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Its subject, as people write it.
    pub(super) fn name(&self) -> String {
        match X509Name::from_der(&self.subject) {
            Ok((_, name)) => name.to_string(),
            Err(_) => String::new(),
        }
    }

    pub(super) fn validity(&self) -> String {
        format!("from {} to {}", self.not_before, self.not_after)
    }
}

/// A signing certificate whose profile holds. That it is trusted is not said.
#[derive(Debug)]
pub(super) struct Leaf<'a> {
    der: &'a [u8],
    /// The part that is signed.
    pub(super) tbs: &'a [u8],
    pub(super) key: PublicKey,
    pub(super) identity: Identity,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

impl<'a> Leaf<'a> {
    /// Parses a signing certificate and checks the profile that Fulcio keeps
    /// (fulcio `docs/certificate-specification.md`).
    pub(super) fn parse(bytes: &'a [u8], limits: &Limits) -> Result<Self, Error> {
        Exceeded::unless(
            bytes.len(),
            limits.certificate_bytes,
            "bytes in a certificate",
        )?;
        let certificate = read(bytes)?;
        serial_number(certificate.raw_serial())?;
        profile(&certificate)?;
        let san = san(&certificate, limits)?;
        let (issuer, claims) = fulcio_extensions(&certificate, limits)?;
        let tbs = der::whole(bytes, der::tag::SEQUENCE)
            .and_then(|mut fields| fields.expect(der::tag::SEQUENCE))
            .map_err(|_| malformed("it is not DER"))?
            .raw;
        Ok(Self {
            der: bytes,
            tbs,
            key: PublicKey::parse(certificate.public_key().raw)?,
            identity: Identity {
                san,
                issuer,
                claims,
            },
            not_before: time(certificate.validity().not_before.timestamp())?,
            not_after: time(certificate.validity().not_after.timestamp())?,
        })
    }

    pub(super) const fn der(&self) -> &'a [u8] {
        self.der
    }

    /// Finds a path to one of the authorities that holds at every one of `times` (not empty).
    ///
    /// Gives the SubjectPublicKeyInfo of whoever issued the leaf, which its SCTs name.
    pub(super) fn path(
        &self,
        intermediates: &[Vec<u8>],
        authorities: &[Authority],
        times: &[Timestamp],
    ) -> Result<Vec<u8>, Error> {
        let found = self.path_and_authority(intermediates, authorities, times);
        found.map(|(spki, _)| spki)
    }

    /// As [`Leaf::path`], with the authority to which the path leads.
    pub(super) fn path_and_authority<'r>(
        &self,
        intermediates: &[Vec<u8>],
        authorities: &'r [Authority],
        times: &[Timestamp],
    ) -> Result<(Vec<u8>, &'r Authority), Error> {
        let der = CertificateDer::from(self.der);
        let end_entity = EndEntityCert::try_from(&der).map_err(|error| untrusted(&error))?;
        let intermediates: Vec<_> = intermediates
            .iter()
            .map(|der| CertificateDer::from(der.as_slice()))
            .collect();
        let mut worst: Option<Error> = None;
        for authority in authorities {
            match self.path_to(&end_entity, &intermediates, authority, times) {
                Ok(spki) => return Ok((spki, authority)),
                Err(error) => {
                    if worst.as_ref().is_none_or(|w| w.code() < error.code()) {
                        worst = Some(error);
                    }
                }
            }
        }
        Err(worst.unwrap_or_else(|| Error::CertificateUntrusted {
            reason: "the trust root has no certificate authority".to_owned(),
        }))
    }

    fn path_to(
        &self,
        end_entity: &EndEntityCert<'_>,
        intermediates: &[CertificateDer<'_>],
        authority: &Authority,
        times: &[Timestamp],
    ) -> Result<Vec<u8>, Error> {
        let first = times.first().copied().ok_or(Error::TimeMissing {
            rule: "a certificate is only valid at a time",
        })?;
        let anchors: Vec<_> = authority
            .chain
            .iter()
            .filter(|issuer| issuer.may_issue_code_signing())
            .map(|issuer| issuer.anchor.clone())
            .collect();
        // The leaf's own window is judged here, with a code of its own, before webpki sees it.
        for time in times {
            if *time < self.not_before || self.not_after < *time {
                // Only where the path would hold otherwise is the time what is wrong.
                self.walk(end_entity, intermediates, &anchors, self.not_before)?;
                return Err(Error::CertificateOutsideValidity {
                    time: *time,
                    not_before: self.not_before,
                    not_after: self.not_after,
                });
            }
        }
        let (anchor, path) = self.walk(end_entity, intermediates, &anchors, first)?;
        let at = authority
            .chain
            .iter()
            .position(|issuer| issuer.anchor == anchor)
            .ok_or_else(|| Error::CertificateUntrusted {
                reason: "the path ends outside of the trust root".to_owned(),
            })?;
        let trusted = authority.chain.get(at..).unwrap_or_default();
        let allowed = trusted
            .iter()
            .zip(path.len()..)
            .all(|(issuer, below)| issuer.allows_below(below));
        if !allowed {
            return Err(Error::CertificateUntrusted {
                reason: "the path is longer than its authority allows".to_owned(),
            });
        }
        let brought: Vec<_> = path
            .iter()
            .map(|der| Issuer::parse(der.clone()))
            .collect::<Result<_, _>>()?;
        for time in times {
            if !authority.window.contains(*time) {
                return Err(Error::AuthorityOutsideValidity {
                    time: *time,
                    window: authority.window.to_string(),
                });
            }
            for issuer in trusted.iter().chain(&brought) {
                if !issuer.is_valid_at(*time) {
                    return Err(Error::AuthorityOutsideValidity {
                        time: *time,
                        window: issuer.validity(),
                    });
                }
            }
        }
        let issuer = brought.first().or_else(|| trusted.first());
        Ok(issuer.map(|issuer| issuer.spki.clone()).unwrap_or_default())
    }

    /// One path search by webpki: signatures, names, constraints, critical extensions, usage.
    fn walk(
        &self,
        end_entity: &EndEntityCert<'_>,
        intermediates: &[CertificateDer<'_>],
        anchors: &[TrustAnchor<'_>],
        at: Timestamp,
    ) -> Result<(TrustAnchor<'static>, Vec<CertificateDer<'static>>), Error> {
        let seconds = u64::try_from(at.unix_seconds()).unwrap_or(0);
        let path = end_entity
            .verify_for_usage(
                ALGORITHMS,
                anchors,
                intermediates,
                UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
                KeyUsage::required(CODE_SIGNING),
                None,
                None,
            )
            .map_err(|error| {
                // The leaf's own window was judged before: this one is of a certificate above it.
                let ended = matches!(
                    error,
                    webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. }
                );
                if ended {
                    Error::AuthorityOutsideValidity {
                        time: at,
                        window: "of a certificate that the evidence brings".to_owned(),
                    }
                } else {
                    untrusted(&error)
                }
            })?;
        let brought = path
            .intermediate_certificates()
            .map(|certificate| certificate.der().into_owned())
            .collect();
        Ok((path.anchor().to_owned(), brought))
    }
}

/// Whether a certificate names itself as its issuer, as a root does.
pub(super) fn is_self_issued(bytes: &[u8]) -> Result<bool, Error> {
    let certificate = read(bytes)?;
    Ok(certificate.subject().as_raw() == certificate.issuer().as_raw())
}

/// Exactly one certificate, and nothing after it.
fn read(bytes: &[u8]) -> Result<X509Certificate<'_>, Error> {
    let (rest, certificate) = X509Certificate::from_der(bytes)
        .map_err(|_| malformed("it is not an X.509 certificate"))?;
    if !rest.is_empty() {
        return Err(malformed("bytes follow it"));
    }
    if certificate.version() != x509_parser::x509::X509Version::V3 {
        return Err(malformed("it is not of version 3"));
    }
    let mut seen: Vec<&[u8]> = Vec::new();
    for extension in certificate.extensions() {
        let oid = extension.oid.as_bytes();
        if seen.contains(&oid) {
            return Err(match fulcio_arc(oid) {
                Some(arc) => Error::CertificateClaims {
                    arc,
                    rule: "it occurs twice",
                },
                None => malformed("an extension occurs twice"),
            });
        }
        seen.push(oid);
    }
    Ok(certificate)
}

/// Positive and at most 20 bytes (RFC 5280 section 4.1.2.2). Asked of leaves alone: authorities that
/// operators trust have had the number 0.
fn serial_number(content: &[u8]) -> Result<(), Error> {
    let positive = content.first().is_some_and(|first| *first < 0x80);
    if positive && content.iter().any(|octet| *octet != 0) && content.len() <= 20 {
        Ok(())
    } else {
        Err(malformed(
            "its serial number is not positive and of 20 bytes at most",
        ))
    }
}

fn profile(certificate: &X509Certificate<'_>) -> Result<(), Error> {
    let usage = |rule| Err(Error::CertificateUsage { rule });
    let mut signs = false;
    let mut code_signing_only = false;
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(constraints) if constraints.ca => {
                return usage("it is a certificate authority");
            }
            ParsedExtension::KeyUsage(key_usage) => signs = key_usage.digital_signature(),
            ParsedExtension::ExtendedKeyUsage(extended) => {
                code_signing_only = extended.code_signing
                    && !(extended.any
                        || extended.server_auth
                        || extended.client_auth
                        || extended.email_protection
                        || extended.time_stamping
                        || extended.ocsp_signing)
                    && extended.other.is_empty();
            }
            // The list of SCTs is read, and judged, by `sct.rs` alone.
            ParsedExtension::ParseError { .. } if extension.oid.as_bytes() != SCT_LIST => {
                return Err(malformed("an extension is malformed"));
            }
            _ => {}
        }
    }
    if !signs {
        return usage("its key usage is not digitalSignature");
    }
    if !code_signing_only {
        return usage("its extended key usage is not codeSigning alone");
    }
    Ok(())
}
fn san(certificate: &X509Certificate<'_>, limits: &Limits) -> Result<San, Error> {
    let wrong = |rule| Error::CertificateSan { rule };
    let mut names: &[GeneralName<'_>] = &[];
    for extension in certificate.extensions() {
        if let ParsedExtension::SubjectAlternativeName(list) = extension.parsed_extension() {
            names = &list.general_names;
        }
    }
    let [name] = names else {
        return Err(wrong(if names.is_empty() {
            "it has no subject alternative name"
        } else {
            "it has several subject alternative names"
        }));
    };
    let san = match name {
        GeneralName::URI(uri) => San::Uri((*uri).to_owned()),
        GeneralName::RFC822Name(email) => San::Email((*email).to_owned()),
        GeneralName::OtherName(oid, value) if fulcio_arc(oid.as_bytes()) == Some(OTHER_NAME) => {
            // The value is `[0] EXPLICIT UTF8String`.
            let text = der::whole(value, der::tag::CONTEXT_0)
                .and_then(|mut inner| {
                    let text = inner.expect(UTF8_STRING)?;
                    inner.end()?;
                    Ok(text.content)
                })
                .or_else(|_| {
                    der::Reader::new(value)
                        .expect(UTF8_STRING)
                        .map(|text| text.content)
                })
                .map_err(|_| wrong("its user name is malformed"))?;
            let text = core::str::from_utf8(text).map_err(|_| wrong("its name is not UTF-8"))?;
            San::OtherName(text.to_owned())
        }
        _ => {
            return Err(wrong(
                "its subject alternative name is no URI, e-mail address or user name",
            ));
        }
    };
    Exceeded::unless(
        san.value().len(),
        limits.claim_bytes,
        "bytes in a subject alternative name",
    )?;
    if san.value().is_empty() {
        return Err(wrong("its subject alternative name is empty"));
    }
    Ok(san)
}

/// The last number of an extension of Fulcio's arc.
fn fulcio_arc(oid: &[u8]) -> Option<u8> {
    match oid.strip_prefix(FULCIO)? {
        [arc] if *arc < 0x80 => Some(*arc),
        _ => None,
    }
}

fn fulcio_extensions(
    certificate: &X509Certificate<'_>,
    limits: &Limits,
) -> Result<(String, Claims), Error> {
    let mut claims = Claims::default();
    let mut issuer_v1 = None;
    let mut issuer_v2 = None;
    for extension in certificate.extensions() {
        let Some(arc) = fulcio_arc(extension.oid.as_bytes()) else {
            continue;
        };
        Exceeded::unless(
            extension.value.len(),
            limits.claim_bytes,
            "bytes in a claim",
        )?;
        let value = || claim_text(arc, extension.value);
        match (arc, Claim::from_arc(arc)) {
            (ISSUER_V1, _) => issuer_v1 = Some(value()?),
            (ISSUER_V2, _) => issuer_v2 = Some(value()?),
            (_, Some(claim)) => {
                if !claims.insert(claim, value()?) {
                    return Err(Error::CertificateClaims {
                        arc,
                        rule: "it occurs twice",
                    });
                }
            }
            // Extensions that scgate does not know constrain nothing that it knows.
            (_, None) => {}
        }
    }
    let issuer = match (issuer_v1, issuer_v2) {
        (Some(old), Some(new)) if old != new => return Err(conflict(ISSUER_V1, ISSUER_V2)),
        (Some(issuer), _) | (None, Some(issuer)) => issuer,
        (None, None) => {
            return Err(Error::CertificateClaims {
                arc: ISSUER_V2,
                rule: "the issuer is missing",
            });
        }
    };
    claims_agree(&claims)?;
    Ok((issuer, claims))
}

/// A deprecated claim and its successor say the same, where both are there (invariant I-21).
fn claims_agree(claims: &Claims) -> Result<(), Error> {
    for (deprecated, successor) in [
        (Claim::GithubWorkflowTrigger, Claim::BuildTrigger),
        (Claim::GithubWorkflowSha, Claim::SourceRepositoryDigest),
        (Claim::GithubWorkflowRef, Claim::SourceRepositoryRef),
    ] {
        if let (Some(old), Some(new)) = (claims.get(deprecated), claims.get(successor))
            && old != new
        {
            return Err(conflict(deprecated.arc(), successor.arc()));
        }
    }
    // `owner/name` against `https://host/owner/name`.
    let (old, new) = (Claim::GithubWorkflowRepository, Claim::SourceRepositoryUri);
    if let (Some(name), Some(uri)) = (claims.get(old), claims.get(new)) {
        let agrees = uri
            .strip_suffix(name)
            .is_some_and(|server| server.ends_with('/'));
        if !agrees {
            return Err(conflict(old.arc(), new.arc()));
        }
    }
    Ok(())
}

const fn conflict(deprecated: u8, successor: u8) -> Error {
    Error::CertificateClaimsConflict {
        deprecated,
        successor,
    }
}

/// .1 to .6 are raw text, the others a DER UTF8String (fulcio `docs/oid-info.md`).
fn claim_text(arc: u8, value: &[u8]) -> Result<String, Error> {
    let wrong = |rule| Error::CertificateClaims { arc, rule };
    let text = if arc <= 6 {
        value
    } else {
        let mut reader = der::Reader::new(value);
        let text = reader
            .expect(UTF8_STRING)
            .map_err(|_| wrong("it is not a DER UTF8String"))?;
        reader
            .end()
            .map_err(|_| wrong("bytes follow its UTF8String"))?;
        text.content
    };
    let text = core::str::from_utf8(text).map_err(|_| wrong("it is not UTF-8"))?;
    if text.chars().any(char::is_control) {
        return Err(wrong("it has control characters"));
    }
    Ok(text.to_owned())
}

fn time(seconds: i64) -> Result<Timestamp, Error> {
    Timestamp::from_unix_seconds(seconds).map_err(|_| malformed("its validity is out of range"))
}

const fn malformed(rule: &'static str) -> Error {
    Error::CertificateMalformed { rule }
}

fn untrusted(error: &webpki::Error) -> Error {
    Error::CertificateUntrusted {
        reason: format!("{error:?}"),
    }
}
