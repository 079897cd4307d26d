//! RFC 3161 timestamps as timestamp-authority writes them: CMS SignedData, no certificates.

use aws_lc_rs::rand;

use super::CertifiedKey;
use super::HashKind;
use super::Hook;
use super::MintError;
use super::der;
use crate::model::Timestamp;

const TST_INFO: &str = "1.2.840.113549.1.9.16.1.4";
const SIGNED_DATA: &str = "1.2.840.113549.1.7.2";
const CONTENT_TYPE: &str = "1.2.840.113549.1.9.3";
const MESSAGE_DIGEST: &str = "1.2.840.113549.1.9.4";
const SIGNING_TIME: &str = "1.2.840.113549.1.9.5";
const SIGNING_CERTIFICATE_V2: &str = "1.2.840.113549.1.9.16.2.47";

/// The policy of Sigstore's timestamp authorities.
pub const TIMESTAMP_POLICY: &str = "1.3.6.1.4.1.57264.2";

/// A timestamp authority. Its certificates can be replaced by worse ones.
#[derive(Clone, Debug)]
pub struct TimestampAuthority {
    /// The root.
    pub root: CertifiedKey,
    /// The signer.
    pub leaf: CertifiedKey,
}

/// What the timestamp is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Imprint {
    /// Other bytes.
    Bytes(Vec<u8>),
    /// The DSSE envelope as the legacy layout stores it: what cosign 2 stamped for attestations.
    Envelope,
    /// The signature.
    Signature,
}

/// One timestamp.
#[derive(Clone, Debug)]
pub struct TimestampOrder {
    /// The stamped time, in whole seconds.
    pub time: Timestamp,
    /// What is stamped.
    pub imprint: Imprint,
    /// The hash of the imprint.
    pub hash: HashKind,
    /// The authority; none for the mint's.
    pub authority: Option<TimestampAuthority>,
    /// The PKI status of the reply: 0 is granted, 1 granted with modifications, 2 rejected.
    pub status: u8,
    /// The policy in dotted form.
    pub policy: String,
    /// The content bytes of the serial number; none for random ones.
    pub serial: Option<Vec<u8>>,
    /// The accuracy in seconds.
    pub accuracy: Option<u8>,
    /// The content bytes of the nonce.
    pub nonce: Option<Vec<u8>>,
    /// The `TSTInfo`.
    pub info: Hook<Vec<u8>>,
    /// DER certificates to send along.
    pub certificates: Vec<Vec<u8>>,
    /// How many signers there are, all the same.
    pub signers: usize,
    /// The signed attributes; none signs the content itself.
    pub attributes: Option<AttributesOrder>,
    /// The bytes that are signed.
    pub signed: Hook<Vec<u8>>,
}

/// The signed attributes.
#[derive(Clone, Debug)]
pub struct AttributesOrder {
    /// The content type in dotted form.
    pub content_type: String,
    /// The hash of the content.
    pub message_digest: Hook<Vec<u8>>,
    /// The hash of the signer's certificate.
    pub certificate_hash: Hook<Vec<u8>>,
    /// The encoded attributes.
    pub list: Hook<Vec<Vec<u8>>>,
}

impl TimestampOrder {
    /// A right timestamp over the signature, at `time`.
    #[must_use]
    pub fn new(time: Timestamp) -> Self {
        Self {
            time,
            imprint: Imprint::Signature,
            hash: HashKind::Sha256,
            authority: None,
            status: 0,
            policy: TIMESTAMP_POLICY.to_owned(),
            serial: None,
            accuracy: Some(1),
            nonce: None,
            info: Hook::default(),
            certificates: Vec::new(),
            signers: 1,
            attributes: Some(AttributesOrder::default()),
            signed: Hook::default(),
        }
    }

    /// The DER `TimeStampResp` over `bytes`, by `authority` unless the order names another.
    ///
    /// # Errors
    ///
    /// [`MintError`] when the crypto library fails.
    pub fn stamp(
        &self,
        authority: &TimestampAuthority,
        bytes: &[u8],
    ) -> Result<Vec<u8>, MintError> {
        self.stamp_hash(authority, &self.hash.of(bytes))
    }

    /// The same over something of which only the hash is known.
    ///
    /// # Errors
    ///
    /// [`MintError`] when the crypto library fails.
    pub fn stamp_hash(
        &self,
        authority: &TimestampAuthority,
        hash: &[u8],
    ) -> Result<Vec<u8>, MintError> {
        let signer = &self.authority.as_ref().unwrap_or(authority).leaf;
        let content = self.info.on(self.tst_info(signer, hash)?);
        let hash = signer.key.kind().hash();
        let mut signers = Vec::new();
        for _ in 0..self.signers {
            signers.push(self.signer_info(signer, &content)?);
        }
        let signed_data = der::sequence(&[
            der::integer(3),
            der::set(&[der::algorithm(hash.oid())]),
            der::sequence(&[
                der::oid(TST_INFO),
                der::explicit(0, &der::octet_string(&content)),
            ]),
            der::explicit(0, &der::sorted(&self.certificates)),
            der::set(&signers),
        ]);
        Ok(der::sequence(&[
            der::sequence(&[der::integer(self.status.into())]),
            der::sequence(&[der::oid(SIGNED_DATA), der::explicit(0, &signed_data)]),
        ]))
    }

    fn tst_info(&self, signer: &CertifiedKey, hash: &[u8]) -> Result<Vec<u8>, MintError> {
        let mut parts = vec![
            der::integer(1),
            der::oid(&self.policy),
            der::sequence(&[
                der::algorithm_null(self.hash.oid()),
                der::octet_string(hash),
            ]),
            match &self.serial {
                Some(serial) => der::integer_bytes(serial),
                None => {
                    let mut serial = [0; 7];
                    rand::fill(&mut serial)?;
                    der::integer_bytes(&[&[1], serial.as_slice()].concat())
                }
            },
            der::generalized_time(self.time),
        ];
        if let Some(seconds) = self.accuracy {
            parts.push(der::sequence(&[der::integer(seconds.into())]));
        }
        if let Some(nonce) = &self.nonce {
            parts.push(der::integer_bytes(nonce));
        }
        parts.push(der::explicit(0, &der::explicit(4, &signer.subject)));
        Ok(der::sequence(&parts))
    }

    fn signer_info(&self, signer: &CertifiedKey, content: &[u8]) -> Result<Vec<u8>, MintError> {
        let hash = signer.key.kind().hash();
        let mut parts = vec![
            der::integer(1),
            der::sequence(&[signer.issuer.clone(), der::integer_bytes(&signer.serial)]),
            der::algorithm(hash.oid()),
        ];
        let mut signed = content.to_vec();
        if let Some(order) = &self.attributes {
            let attributes = order.encode(self.time, signer, content);
            parts.push(der::explicit(0, &der::sorted(&attributes)));
            // CMS, 5.4: what is signed has the tag of a SET OF, not the implicit one.
            signed = der::set(&attributes);
        }
        let signature = signer.key.sign(&self.signed.on(signed))?;
        parts.push(signer.key.kind().signature_algorithm());
        parts.push(der::octet_string(&signature));
        Ok(der::sequence(&parts))
    }
}

impl AttributesOrder {
    fn encode(&self, time: Timestamp, signer: &CertifiedKey, content: &[u8]) -> Vec<Vec<u8>> {
        let attribute =
            |oid: &str, value: Vec<u8>| der::sequence(&[der::oid(oid), der::set(&[value])]);
        let digest = signer.key.kind().hash().of(content);
        let certificate = HashKind::Sha256.of(&signer.certificate);
        let certificate_id = der::sequence(&[
            der::octet_string(&self.certificate_hash.on(certificate)),
            der::sequence(&[
                der::sequence(&[der::explicit(4, &signer.issuer)]),
                der::integer_bytes(&signer.serial),
            ]),
        ]);
        self.list.on(vec![
            attribute(CONTENT_TYPE, der::oid(&self.content_type)),
            attribute(SIGNING_TIME, der::time(time)),
            attribute(
                MESSAGE_DIGEST,
                der::octet_string(&self.message_digest.on(digest)),
            ),
            attribute(
                SIGNING_CERTIFICATE_V2,
                der::sequence(&[der::sequence(&[certificate_id])]),
            ),
        ])
    }
}

impl Default for AttributesOrder {
    fn default() -> Self {
        Self {
            content_type: TST_INFO.to_owned(),
            message_digest: Hook::default(),
            certificate_hash: Hook::default(),
            list: Hook::default(),
        }
    }
}
