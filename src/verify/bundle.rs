//! Evidence, parsed into one internal form: whatever layout it came in, the checks are the same.
//!
//! A [`Bundle`] says nothing about trust; anybody can make one. This file reads the Sigstore bundle
//! (protobuf JSON, versions 0.1 to 0.3); `legacy.rs` reads what cosign wrote before.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::Error as _;

use crate::model::Digest;
use crate::model::Exceeded;
use crate::model::JsonError;
use crate::model::Limits;
use crate::verify::Error;
use crate::verify::encoding;

/// How a piece of evidence is laid out.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Layout {
    /// A Sigstore bundle, version 0.1.
    BundleV01,
    /// A Sigstore bundle, version 0.2.
    BundleV02,
    /// A Sigstore bundle, version 0.3.
    BundleV03,
    /// A signature and, perhaps, a certificate in files of their own.
    Detached,
    /// A DSSE layer under an `.att` tag.
    LegacyAttestation,
    /// The JSON file that cosign v2 wrote with `sign-blob --bundle`.
    LegacyBlob,
    /// A simple-signing layer under a `.sig` tag.
    LegacySignature,
}

impl Layout {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BundleV01 => "bundle-v0.1",
            Self::BundleV02 => "bundle-v0.2",
            Self::BundleV03 => "bundle-v0.3",
            Self::Detached => "detached",
            Self::LegacyAttestation => "legacy-attestation",
            Self::LegacyBlob => "legacy-blob",
            Self::LegacySignature => "legacy-signature",
        }
    }

    /// Whether it is a Sigstore bundle, where every log entry needs proof and checkpoint.
    #[must_use]
    pub const fn is_bundle(self) -> bool {
        matches!(self, Self::BundleV01 | Self::BundleV02 | Self::BundleV03)
    }
}

/// A parsed piece of evidence, not verified.
#[derive(Clone, Debug)]
pub struct Bundle {
    pub(super) layout: Layout,
    pub(super) evidence: Digest,
    pub(super) material: Material,
    pub(super) content: Content,
    pub(super) entries: Vec<Entry>,
    pub(super) timestamps: Vec<Vec<u8>>,
}

/// What says who signed.
#[derive(Clone, Debug)]
pub(super) enum Material {
    Certificate {
        leaf: Vec<u8>,
        intermediates: Vec<Vec<u8>>,
    },
    /// A managed key; the hint only helps to find it and is not trusted.
    PublicKey,
}

/// What was signed, with the signature.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Envelope {
        payload_type: String,
        payload: Arc<Vec<u8>>,
        signature: Vec<u8>,
        /// The envelope as it lies in a legacy layer. A bundle does not keep its bytes.
        layer: Option<Arc<[u8]>>,
    },
    Message {
        digest: Option<(super::key::Hash, Vec<u8>)>,
        signature: Vec<u8>,
    },
    SimpleSigning {
        payload: Arc<Vec<u8>>,
        signature: Vec<u8>,
    },
}

impl Content {
    pub(super) fn signature(&self) -> &[u8] {
        match self {
            Self::Envelope { signature, .. }
            | Self::Message { signature, .. }
            | Self::SimpleSigning { signature, .. } => signature,
        }
    }

    /// The bytes of a legacy envelope.
    pub(super) fn layer(&self) -> Option<&[u8]> {
        match self {
            Self::Envelope { layer, .. } => layer.as_deref(),
            Self::Message { .. } | Self::SimpleSigning { .. } => None,
        }
    }
}

/// A transparency log entry as the evidence carries it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Entry {
    pub(super) log_id: Vec<u8>,
    /// Position in the log, all shards together.
    pub(super) index: u64,
    pub(super) kind: String,
    pub(super) version: String,
    /// Seconds since 1970; without a promise nothing vouches for it.
    pub(super) integrated_time: Option<i64>,
    pub(super) promise: Option<Vec<u8>>,
    pub(super) proof: Option<Proof>,
    pub(super) body: Vec<u8>,
}

/// An inclusion proof as the evidence carries it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Proof {
    /// Position in the shard.
    pub(super) index: u64,
    pub(super) root: [u8; 32],
    pub(super) size: u64,
    pub(super) hashes: Vec<[u8; 32]>,
    pub(super) checkpoint: Option<String>,
}

impl Bundle {
    /// Parses a Sigstore bundle.
    ///
    /// # Errors
    ///
    /// [`Error`] with a code of the bundle's shape: not JSON, an unknown or repeated member, an
    /// unknown version, a structure that the version forbids, or more than [`Limits`] allows. That a
    /// log entry lacks a proof is not judged here.
    pub fn parse(json: &[u8], limits: &Limits) -> Result<Self, Error> {
        Exceeded::unless(json.len(), limits.attestation_bytes, "bytes in a bundle")?;
        let raw: RawBundle<'_> = crate::model::read_json(json).map_err(Error::BundleJson)?;
        let layout = version(raw.media_type)?;
        let material = raw.verification_material;
        let entries = material.tlog_entries.unwrap_or_default();
        let stamps = material
            .timestamp_verification_data
            .and_then(|data| data.rfc3161_timestamps)
            .unwrap_or_default();
        Exceeded::unless(entries.len(), limits.log_entries, "log entries in a bundle")?;
        Exceeded::unless(stamps.len(), limits.timestamps, "timestamps in a bundle")?;
        let signer = signer(
            layout,
            material.certificate,
            material.x509_certificate_chain,
            material.public_key.is_some(),
            limits,
        )?;
        let content = match (raw.dsse_envelope, raw.message_signature) {
            (Some(envelope), None) => envelope.content()?,
            (None, Some(message)) => message.content()?,
            _ => {
                return Err(Error::BundleShape {
                    rule: "exactly one of dsseEnvelope and messageSignature",
                });
            }
        };
        let entries: Vec<_> = entries
            .into_iter()
            .map(|entry| entry.entry(limits))
            .collect::<Result<_, _>>()?;
        for (at, entry) in entries.iter().enumerate() {
            if entries
                .iter()
                .skip(at + 1)
                .any(|other| (&other.log_id, other.index) == (&entry.log_id, entry.index))
            {
                return Err(Error::LogEntryMalformed {
                    rule: "the same entry occurs twice",
                });
            }
        }
        let timestamps = stamps
            .into_iter()
            .map(|stamp| stamp.signed_timestamp.0)
            .collect::<Vec<_>>();
        for stamp in &timestamps {
            Exceeded::unless(stamp.len(), limits.timestamp_bytes, "bytes in a timestamp")?;
        }
        Ok(Self {
            layout,
            evidence: Digest::sha256(json),
            material: signer,
            content,
            entries,
            timestamps,
        })
    }

    /// How it is laid out.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// The digest over all bytes that it was parsed from.
    #[must_use]
    pub const fn evidence(&self) -> Digest {
        self.evidence
    }

    /// Whether it carries a certificate, as keyless signatures do, rather than a key.
    #[must_use]
    pub const fn has_certificate(&self) -> bool {
        matches!(self.material, Material::Certificate { .. })
    }
}

/// The spellings of the media type (protobuf-specs `sigstore_bundle.proto`). A missing type means
/// version 0.1 to some readers and is refused here: nobody writes it, and it would pick the laxest.
fn version(media_type: Option<std::borrow::Cow<'_, str>>) -> Result<Layout, Error> {
    match media_type.as_deref() {
        Some("application/vnd.dev.sigstore.bundle+json;version=0.1") => Ok(Layout::BundleV01),
        Some("application/vnd.dev.sigstore.bundle+json;version=0.2") => Ok(Layout::BundleV02),
        Some(
            "application/vnd.dev.sigstore.bundle+json;version=0.3"
            | "application/vnd.dev.sigstore.bundle.v0.3+json",
        ) => Ok(Layout::BundleV03),
        other => Err(Error::BundleVersion {
            found: crate::model::printable(other.unwrap_or("(none)")),
        }),
    }
}

fn signer(
    layout: Layout,
    certificate: Option<RawCertificate>,
    chain: Option<RawChain>,
    key: bool,
    limits: &Limits,
) -> Result<Material, Error> {
    let material = match (certificate, chain, key) {
        (Some(certificate), None, false) => Material::Certificate {
            leaf: certificate.raw_bytes.0,
            intermediates: Vec::new(),
        },
        (None, Some(chain), false) => {
            if layout == Layout::BundleV03 {
                return Err(Error::BundleCertificateChain {
                    rule: "version 0.3 carries the leaf alone",
                });
            }
            let certificates = chain.certificates.unwrap_or_default();
            Exceeded::unless(
                certificates.len(),
                limits.certificates,
                "certificates in a bundle",
            )?;
            let mut certificates = certificates.into_iter().map(|c| c.raw_bytes.0);
            let Some(leaf) = certificates.next() else {
                return Err(Error::BundleCertificateChain {
                    rule: "the chain is empty",
                });
            };
            Material::Certificate {
                leaf,
                intermediates: certificates.collect(),
            }
        }
        (None, None, true) => Material::PublicKey,
        _ => {
            return Err(Error::BundleShape {
                rule: "exactly one of certificate, x509CertificateChain and publicKey",
            });
        }
    };
    if let Material::Certificate {
        leaf,
        intermediates,
    } = &material
    {
        for certificate in core::iter::once(leaf).chain(intermediates) {
            Exceeded::unless(
                certificate.len(),
                limits.certificate_bytes,
                "bytes in a certificate",
            )?;
        }
    }
    Ok(material)
}

// The protobuf JSON mapping: absent and null are the same, 64-bit integers are strings or numbers,
// bytes are base64, unknown members are an error (protojson, as cosign reads it).

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawBundle<'a> {
    #[serde(borrow)]
    media_type: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    verification_material: RawMaterial<'a>,
    #[serde(borrow)]
    dsse_envelope: Option<RawEnvelope<'a>>,
    message_signature: Option<RawMessage>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawMaterial<'a> {
    certificate: Option<RawCertificate>,
    x509_certificate_chain: Option<RawChain>,
    public_key: Option<RawPublicKey>,
    #[serde(borrow, default, deserialize_with = "few")]
    tlog_entries: Option<Vec<RawEntry<'a>>>,
    timestamp_verification_data: Option<RawTimestamps>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawCertificate {
    raw_bytes: Base64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawChain {
    #[serde(default, deserialize_with = "few")]
    certificates: Option<Vec<RawCertificate>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawPublicKey {
    #[serde(default, rename = "hint")]
    _hint: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawTimestamps {
    #[serde(default, deserialize_with = "few")]
    rfc3161_timestamps: Option<Vec<RawTimestamp>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawTimestamp {
    signed_timestamp: Base64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawEntry<'a> {
    log_index: Option<Integer>,
    log_id: RawLogId,
    #[serde(borrow)]
    kind_version: RawKindVersion<'a>,
    integrated_time: Option<Integer>,
    inclusion_promise: Option<RawPromise>,
    #[serde(borrow)]
    inclusion_proof: Option<RawProof<'a>>,
    canonicalized_body: Base64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawLogId {
    key_id: Base64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawKindVersion<'a> {
    #[serde(borrow)]
    kind: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    version: std::borrow::Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawPromise {
    signed_entry_timestamp: Option<Base64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawProof<'a> {
    log_index: Option<Integer>,
    root_hash: Option<Base64>,
    tree_size: Option<Integer>,
    #[serde(default, deserialize_with = "few")]
    hashes: Option<Vec<Base64>>,
    #[serde(borrow)]
    checkpoint: Option<RawCheckpoint<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawCheckpoint<'a> {
    #[serde(borrow)]
    envelope: Option<std::borrow::Cow<'a, str>>,
}

/// A DSSE envelope, inside of a bundle or as a layer of its own.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawEnvelope<'a> {
    payload: Base64,
    #[serde(borrow)]
    payload_type: std::borrow::Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "few")]
    signatures: Option<Vec<RawSignature<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawSignature<'a> {
    #[serde(borrow)]
    sig: Option<std::borrow::Cow<'a, str>>,
    #[serde(default, rename = "keyid")]
    _keyid: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawMessage {
    message_digest: Option<RawMessageDigest>,
    signature: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawMessageDigest {
    algorithm: String,
    digest: Base64,
}

impl RawEnvelope<'_> {
    /// Exactly one signature; several would let each check look at another one.
    pub(super) fn content(self) -> Result<Content, Error> {
        let signatures = self.signatures.unwrap_or_default();
        let [signature] = signatures.as_slice() else {
            return Err(Error::Envelope {
                rule: "exactly one signature",
            });
        };
        Ok(Content::Envelope {
            payload_type: self.payload_type.into_owned(),
            payload: Arc::new(self.payload.0),
            signature: decode_signature(signature.sig.as_deref())?,
            layer: None,
        })
    }
}

impl RawMessage {
    fn content(self) -> Result<Content, Error> {
        let digest = match self.message_digest {
            None => None,
            Some(digest) => Some((
                match digest.algorithm.as_str() {
                    "SHA2_256" => super::key::Hash::Sha256,
                    "SHA2_384" => super::key::Hash::Sha384,
                    "SHA2_512" => super::key::Hash::Sha512,
                    _ => {
                        return Err(Error::BundleShape {
                            rule: "a message digest by SHA2_256, SHA2_384 or SHA2_512",
                        });
                    }
                },
                digest.digest.0,
            )),
        };
        Ok(Content::Message {
            digest,
            signature: decode_signature(self.signature.as_deref())?,
        })
    }
}

pub(super) fn decode_signature(text: Option<&str>) -> Result<Vec<u8>, Error> {
    match text.and_then(encoding::decode) {
        Some(bytes) if !bytes.is_empty() => Ok(bytes),
        _ => Err(Error::SignatureEncoding),
    }
}

impl RawEntry<'_> {
    fn entry(self, limits: &Limits) -> Result<Entry, Error> {
        Exceeded::unless(
            self.canonicalized_body.0.len(),
            limits.log_body_bytes,
            "bytes in a log entry",
        )?;
        let proof = match self.inclusion_proof {
            None => None,
            Some(proof) => Some(proof.proof(limits)?),
        };
        let integrated_time = match self.integrated_time {
            None | Some(Integer(0)) => None,
            Some(Integer(seconds)) => Some(seconds),
        };
        Ok(Entry {
            log_id: self.log_id.key_id.0,
            index: unsigned(self.log_index, "a negative log index")?,
            kind: self.kind_version.kind.into_owned(),
            version: self.kind_version.version.into_owned(),
            integrated_time,
            promise: self
                .inclusion_promise
                .and_then(|promise| promise.signed_entry_timestamp)
                .map(|set| set.0),
            proof,
            body: self.canonicalized_body.0,
        })
    }
}

impl RawProof<'_> {
    fn proof(self, limits: &Limits) -> Result<Proof, Error> {
        let hashes = self.hashes.unwrap_or_default();
        Exceeded::unless(
            hashes.len(),
            limits.proof_hashes,
            "hashes in an inclusion proof",
        )?;
        let checkpoint = self.checkpoint.and_then(|checkpoint| checkpoint.envelope);
        if let Some(text) = &checkpoint {
            Exceeded::unless(text.len(), limits.checkpoint_bytes, "bytes in a checkpoint")?;
        }
        let root = self.root_hash.ok_or(Error::LogProofInvalid {
            rule: "it names no root hash",
        })?;
        Ok(Proof {
            index: unsigned(self.log_index, "a negative position in the tree")?,
            root: hash(root)?,
            size: unsigned(self.tree_size, "a negative tree size")?,
            hashes: hashes.into_iter().map(hash).collect::<Result<_, _>>()?,
            checkpoint: checkpoint.map(std::borrow::Cow::into_owned),
        })
    }
}

fn hash(bytes: Base64) -> Result<[u8; 32], Error> {
    bytes.0.try_into().map_err(|_| Error::LogProofInvalid {
        rule: "a hash that is not 32 bytes long",
    })
}

fn unsigned(integer: Option<Integer>, rule: &'static str) -> Result<u64, Error> {
    // protobuf JSON leaves out members that are zero: the first entry of a log has no index.
    let value = integer.map_or(0, |integer| integer.0);
    u64::try_from(value).map_err(|_| Error::LogEntryMalformed { rule })
}

/// Elements of a list beyond which no more are read: far above every limit, so that those give their
/// own reason, and far below what a document of empty elements could make of itself in memory.
const FEW: usize = 4096;

/// Reads a list, or null, of at most [`FEW`] elements.
fn few<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Visitor<T>(core::marker::PhantomData<T>);
    impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Visitor<T> {
        type Value = Option<Vec<T>>;

        fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            f.write_str("a list")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(
            self,
            mut items: A,
        ) -> Result<Self::Value, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = items.next_element()? {
                if list.len() == FEW {
                    return Err(A::Error::custom("a list that is too long"));
                }
                list.push(item);
            }
            Ok(Some(list))
        }
    }
    deserializer.deserialize_any(Visitor(core::marker::PhantomData))
}

/// Bytes in base64.
struct Base64(Vec<u8>);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Base64;

            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("base64 text")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Base64, E> {
                encoding::decode(text)
                    .map(Base64)
                    .ok_or_else(|| E::custom("text that is not base64"))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// A 64-bit integer, as a number or a decimal string. Fractions, exponents and plus signs are not
/// read: they would have to pass through a float.
#[derive(Clone, Copy)]
struct Integer(i64);

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Integer;

            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("a 64-bit integer")
            }

            fn visit_i64<E>(self, value: i64) -> Result<Integer, E> {
                Ok(Integer(value))
            }

            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Integer, E> {
                i64::try_from(value)
                    .map(Integer)
                    .map_err(|_| E::custom("an integer beyond 64 bits"))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Integer, E> {
                let digits = text.strip_prefix('-').unwrap_or(text);
                if digits.is_empty() || !digits.bytes().all(|c| c.is_ascii_digit()) {
                    return Err(E::custom("text that is not an integer"));
                }
                text.parse().map(Integer).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl<'de> RawEnvelope<'de> {
    /// Parses an envelope that is a document of its own.
    pub(super) fn parse(json: &'de [u8]) -> Result<Self, JsonError> {
        let envelope: Self = crate::model::read_json(json)?;
        if envelope.payload_type.is_empty() {
            return Err(serde_json::Error::custom("an empty payloadType").into());
        }
        Ok(envelope)
    }
}
