//! Certificates: what Fulcio, its authorities and a timestamp authority issue, and every broken
//! variant of it.
//!
//! Start with [`CertificateOrder`]; [`CertifiedKey::certify`] carries it out. What the order leaves
//! alone has the profile of the public instance.

use aws_lc_rs::rand;

use super::HashKind;
use super::Hook;
use super::MintError;
use super::SctOrder;
use super::SigningKey;
use super::der;
use super::identity::FULCIO_ARC;
use super::sct;
use super::sct::CtLog;
use crate::model::Claim;
use crate::model::Identity;
use crate::model::San;
use crate::model::Timestamp;

/// The organization in every name that is minted: whoever meets one of these authorities shall read
/// at once what it is.
pub(super) const ORGANIZATION: &str = "scgate sandbox: a test world, do not trust";

/// The extended key usage of code signing.
pub const CODE_SIGNING: &str = "1.3.6.1.5.5.7.3.3";
/// The extended key usage of RFC 3161 timestamping.
pub const TIME_STAMPING: &str = "1.3.6.1.5.5.7.3.8";

/// What a certificate shall say.
#[derive(Clone, Debug)]
pub struct CertificateOrder {
    /// The encoded version, 2 for X.509 v3; none leaves the field out, which means version 1.
    pub version: Option<u8>,
    /// The content bytes of the serial number; none for 20 random bytes.
    pub serial: Option<Vec<u8>>,
    /// Begin of the validity.
    pub not_before: Timestamp,
    /// End of the validity, inclusive.
    pub not_after: Timestamp,
    /// The common name; none for an empty subject.
    pub subject: Option<String>,
    /// The DER public key.
    pub spki: Hook<Vec<u8>>,
    /// The first byte of the key usage, critical: 0x80 is digitalSignature, 0x06 signs certificates
    /// and revocation lists.
    pub key_usage: Option<u8>,
    /// The extended key usages in dotted form; empty leaves the extension out.
    pub extended_key_usage: Vec<String>,
    /// Whether the extended key usage is marked critical.
    pub extended_key_usage_critical: bool,
    /// The basic constraints, critical.
    pub basic_constraints: Option<BasicConstraints>,
    /// The subject alternative names, critical; none leaves the extension out.
    pub names: Option<Vec<GeneralName>>,
    /// Further extensions: the Fulcio claims, and whatever else.
    pub extensions: Vec<Extension>,
    /// The embedded SCTs; empty leaves the extension out.
    pub scts: Vec<SctOrder>,
    /// The TLS-encoded SCT list.
    pub sct_list: Hook<Vec<u8>>,
    /// The DER `AlgorithmIdentifier`, inside and outside; none for the true one.
    pub signature_algorithm: Option<Vec<u8>>,
    /// The `TBSCertificate`, both the one that the SCTs cover and the final one.
    pub tbs: Hook<Vec<u8>>,
    /// The bytes that are signed in place of the `TBSCertificate`.
    pub signed: Hook<Vec<u8>>,
    /// The finished certificate, before it is logged.
    pub encoded: Hook<Vec<u8>>,
}

/// The basic constraints of a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BasicConstraints {
    /// Whether it may issue certificates.
    pub ca: bool,
    /// How many more authorities may follow.
    pub path_length: Option<u8>,
}

impl CertificateOrder {
    /// A Fulcio leaf for `identity`: ten minutes from `now`, one SCT.
    #[must_use]
    pub fn leaf(now: Timestamp, identity: &Identity) -> Self {
        Self {
            not_after: now.plus_seconds(600),
            key_usage: Some(0x80),
            extended_key_usage: vec![CODE_SIGNING.to_owned()],
            names: Some(vec![GeneralName::from(&identity.san)]),
            extensions: fulcio_extensions(identity),
            scts: vec![SctOrder::new(now)],
            ..Self::bare(now, now)
        }
    }

    /// The root of Fulcio.
    #[must_use]
    pub fn fulcio_root(from: Timestamp, to: Timestamp) -> Self {
        Self::authority("sandbox.test-root", from, to, 1)
    }

    /// The issuing authority of Fulcio.
    #[must_use]
    pub fn fulcio_intermediate(from: Timestamp, to: Timestamp) -> Self {
        Self {
            extended_key_usage: vec![CODE_SIGNING.to_owned()],
            ..Self::authority("sandbox.test-intermediate", from, to, 0)
        }
    }

    /// The root of a timestamp authority.
    #[must_use]
    pub fn timestamp_root(from: Timestamp, to: Timestamp) -> Self {
        Self::authority("sandbox-tsa-root", from, to, 1)
    }

    /// The signer of a timestamp authority.
    #[must_use]
    pub fn timestamp_leaf(from: Timestamp, to: Timestamp) -> Self {
        Self {
            subject: Some("sandbox-tsa".to_owned()),
            key_usage: Some(0x80),
            basic_constraints: Some(BasicConstraints {
                ca: false,
                path_length: None,
            }),
            extended_key_usage: vec![TIME_STAMPING.to_owned()],
            extended_key_usage_critical: true,
            ..Self::bare(from, to)
        }
    }

    fn authority(common_name: &str, from: Timestamp, to: Timestamp, path_length: u8) -> Self {
        Self {
            subject: Some(common_name.to_owned()),
            key_usage: Some(0x06),
            basic_constraints: Some(BasicConstraints {
                ca: true,
                path_length: Some(path_length),
            }),
            ..Self::bare(from, to)
        }
    }

    /// A version 3 certificate without any extension but the key identifiers.
    #[must_use]
    pub fn bare(from: Timestamp, to: Timestamp) -> Self {
        Self {
            version: Some(2),
            serial: None,
            not_before: from,
            not_after: to,
            subject: None,
            spki: Hook::default(),
            key_usage: None,
            extended_key_usage: Vec::new(),
            extended_key_usage_critical: false,
            basic_constraints: None,
            names: None,
            extensions: Vec::new(),
            scts: Vec::new(),
            sct_list: Hook::default(),
            signature_algorithm: None,
            tbs: Hook::default(),
            signed: Hook::default(),
            encoded: Hook::default(),
        }
    }

    /// Puts `extension` in the place of those with the same identifier.
    pub fn set_extension(&mut self, extension: Extension) {
        self.extensions.retain(|other| other.oid != extension.oid);
        self.extensions.push(extension);
    }
}

/// One X.509 extension.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Extension {
    /// The dotted object identifier.
    pub oid: String,
    /// Whether it is marked critical.
    pub critical: bool,
    /// The bytes inside the OCTET STRING.
    pub value: Vec<u8>,
}

impl Extension {
    /// An extension that is not critical.
    #[must_use]
    pub fn new(oid: &str, value: Vec<u8>) -> Self {
        Self {
            oid: oid.to_owned(),
            critical: false,
            value,
        }
    }

    /// A Fulcio extension with these bytes, encoded or not.
    #[must_use]
    pub fn fulcio(arc: u8, value: Vec<u8>) -> Self {
        Self::new(&format!("{FULCIO_ARC}.{arc}"), value)
    }

    /// A Fulcio extension with the encoding that its number demands: .1 to .6 raw, others DER.
    #[must_use]
    pub fn claim(arc: u8, value: &str) -> Self {
        let bytes = match arc {
            1..=6 => value.as_bytes().to_vec(),
            _ => der::utf8_string(value),
        };
        Self::fulcio(arc, bytes)
    }

    fn encode(&self) -> Vec<u8> {
        let mut parts = vec![der::oid(&self.oid)];
        if self.critical {
            parts.push(der::boolean(true));
        }
        parts.push(der::octet_string(&self.value));
        der::sequence(&parts)
    }
}

/// All extensions of an identity: the issuer twice (.1 and .8), then the claims.
#[must_use]
pub fn fulcio_extensions(identity: &Identity) -> Vec<Extension> {
    let mut claims: Vec<(u8, &str)> = vec![(1, &identity.issuer), (8, &identity.issuer)];
    claims.extend(
        identity
            .claims
            .iter()
            .map(|(claim, value)| (Claim::arc(claim), value)),
    );
    claims.sort_by_key(|(arc, _)| *arc);
    claims
        .into_iter()
        .map(|(arc, value)| Extension::claim(arc, value))
        .collect()
}

/// A subject alternative name of any kind.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum GeneralName {
    /// An rfc822Name.
    Email(String),
    /// A dNSName.
    Dns(String),
    /// An iPAddress.
    Ip(Vec<u8>),
    /// An otherName: its type, and the DER of its value.
    Other(String, Vec<u8>),
    /// Any ready element.
    Raw(Vec<u8>),
    /// A uniformResourceIdentifier.
    Uri(String),
}

impl GeneralName {
    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Email(text) => der::implicit(1, text.as_bytes()),
            Self::Dns(text) => der::implicit(2, text.as_bytes()),
            Self::Ip(address) => der::implicit(7, address),
            Self::Other(kind, value) => {
                let parts = [der::oid(kind), der::explicit(0, value)];
                der::explicit(0, &parts.concat())
            }
            Self::Raw(element) => element.clone(),
            Self::Uri(text) => der::implicit(6, text.as_bytes()),
        }
    }
}

impl From<&San> for GeneralName {
    fn from(san: &San) -> Self {
        match san {
            San::Email(value) => Self::Email(value.clone()),
            San::OtherName(value) => {
                Self::Other(format!("{FULCIO_ARC}.7"), der::utf8_string(value))
            }
            San::Uri(value) => Self::Uri(value.clone()),
        }
    }
}

/// A key and its certificate: an authority, or the signer of a timestamp authority.
#[derive(Clone, Debug)]
pub struct CertifiedKey {
    /// The key.
    pub key: SigningKey,
    /// The subject as DER `Name`.
    pub subject: Vec<u8>,
    /// The issuer as DER `Name`.
    pub issuer: Vec<u8>,
    /// The content bytes of the serial number.
    pub serial: Vec<u8>,
    /// The DER certificate.
    pub certificate: Vec<u8>,
}

/// A certificate for a key that somebody else holds.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Issued {
    pub(in crate::sandbox) certificate: Vec<u8>,
    /// What the logs of its SCTs keep of it: a `MerkleTreeLeaf` (RFC 6962, 3.4) for each.
    pub(in crate::sandbox) leaves: Vec<Vec<u8>>,
    serial: Vec<u8>,
}

/// The public half of a key that is certified.
#[derive(Clone, Copy, Debug)]
pub(in crate::sandbox) struct PublicHalf<'a> {
    /// DER `SubjectPublicKeyInfo`.
    pub(in crate::sandbox) spki: &'a [u8],
    /// Its bits alone.
    pub(in crate::sandbox) raw: &'a [u8],
}

impl<'a> From<&'a SigningKey> for PublicHalf<'a> {
    fn from(key: &'a SigningKey) -> Self {
        Self {
            spki: key.spki(),
            raw: key.raw(),
        }
    }
}

impl CertifiedKey {
    /// A key with a certificate of its own making.
    ///
    /// # Errors
    ///
    /// [`MintError`] when the crypto library fails.
    pub fn self_signed(order: &CertificateOrder, key: &SigningKey) -> Result<Self, MintError> {
        let issued = issue(key, &subject(order), order, key.into(), None)?;
        Ok(Self::new(issued, order, key, subject(order)))
    }

    fn new(issued: Issued, order: &CertificateOrder, key: &SigningKey, issuer: Vec<u8>) -> Self {
        Self {
            key: key.clone(),
            subject: subject(order),
            issuer,
            serial: issued.serial,
            certificate: issued.certificate,
        }
    }

    /// Certifies `key` as `order` says. The SCTs are by `ct` where the order names no other log.
    ///
    /// # Errors
    ///
    /// [`MintError`] when the crypto library fails.
    pub fn certify(
        &self,
        order: &CertificateOrder,
        key: &SigningKey,
        ct: Option<&CtLog>,
    ) -> Result<Self, MintError> {
        let issued = self.certify_key(order, key.into(), ct)?;
        Ok(Self::new(issued, order, key, self.subject.clone()))
    }

    /// The same for a key of which only the public half is here.
    pub(in crate::sandbox) fn certify_key(
        &self,
        order: &CertificateOrder,
        key: PublicHalf<'_>,
        ct: Option<&CtLog>,
    ) -> Result<Issued, MintError> {
        issue(&self.key, &self.subject, order, key, ct)
    }
}

fn subject(order: &CertificateOrder) -> Vec<u8> {
    match &order.subject {
        Some(common_name) => der::name(ORGANIZATION, common_name),
        None => der::sequence(&[]),
    }
}

fn issue(
    issuer: &SigningKey,
    issuer_name: &[u8],
    order: &CertificateOrder,
    key: PublicHalf<'_>,
    ct: Option<&CtLog>,
) -> Result<Issued, MintError> {
    let serial = match &order.serial {
        Some(serial) => serial.clone(),
        None => random_serial()?,
    };
    let algorithm = match &order.signature_algorithm {
        Some(algorithm) => algorithm.clone(),
        None => issuer.kind().signature_algorithm(),
    };
    let mut extensions = extensions(order, issuer, key);
    let build = |extensions: &[Vec<u8>]| {
        let mut fields = Vec::new();
        if let Some(version) = order.version {
            fields.push(der::explicit(0, &der::integer(version.into())));
        }
        fields.extend([
            der::integer_bytes(&serial),
            algorithm.clone(),
            issuer_name.to_vec(),
            der::sequence(&[der::time(order.not_before), der::time(order.not_after)]),
            subject(order),
            order.spki.on(key.spki.to_vec()),
        ]);
        if !extensions.is_empty() {
            fields.push(der::explicit(3, &der::sequence(extensions)));
        }
        order.tbs.on(der::sequence(&fields))
    };
    let mut leaves = Vec::new();
    if !order.scts.is_empty() {
        let precertificate = build(&extensions);
        let (list, logged) = sct::list(&order.scts, ct, issuer, &precertificate)?;
        leaves = logged;
        let list = order.sct_list.on(list);
        let extension = Extension::new(sct::EXTENSION, der::octet_string(&list));
        extensions.push(extension.encode());
    }
    let tbs = build(&extensions);
    let signature = issuer.sign(&order.signed.on(tbs.clone()))?;
    let certificate = der::sequence(&[tbs, algorithm, der::bit_string(&signature)]);
    let certificate = order.encoded.on(certificate);
    Ok(Issued {
        certificate,
        leaves,
        serial,
    })
}

/// Everything but the SCT list, in Fulcio's order.
fn extensions(order: &CertificateOrder, issuer: &SigningKey, key: PublicHalf<'_>) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let mut add = |oid: &str, critical: bool, value: Vec<u8>| {
        let extension = Extension {
            oid: oid.to_owned(),
            critical,
            value,
        };
        out.push(extension.encode());
    };
    if let Some(bits) = order.key_usage {
        add("2.5.29.15", true, der::named_bits(bits));
    }
    if !order.extended_key_usage.is_empty() {
        let usages: Vec<_> = order
            .extended_key_usage
            .iter()
            .map(|u| der::oid(u))
            .collect();
        let critical = order.extended_key_usage_critical;
        add("2.5.29.37", critical, der::sequence(&usages));
    }
    if let Some(constraints) = order.basic_constraints {
        let mut parts = Vec::new();
        if constraints.ca {
            parts.push(der::boolean(true));
        }
        if let Some(length) = constraints.path_length {
            parts.push(der::integer(length.into()));
        }
        add("2.5.29.19", true, der::sequence(&parts));
    }
    if order.version == Some(2) {
        let own = HashKind::Sha1.of(key.raw);
        let above = HashKind::Sha1.of(issuer.raw());
        add("2.5.29.14", false, der::octet_string(&own));
        add(
            "2.5.29.35",
            false,
            der::sequence(&[der::implicit(0, &above)]),
        );
    }
    if let Some(names) = &order.names {
        let names: Vec<_> = names.iter().map(GeneralName::encode).collect();
        add("2.5.29.17", true, der::sequence(&names));
    }
    for extension in &order.extensions {
        add(&extension.oid, extension.critical, extension.value.clone());
    }
    out
}

/// Twenty bytes that are a positive INTEGER in its shortest form.
pub(in crate::sandbox) fn random_serial() -> Result<Vec<u8>, MintError> {
    let mut serial = vec![0; 20];
    rand::fill(&mut serial)?;
    if let Some(first) = serial.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    Ok(serial)
}
