//! From a payload to evidence that verifies: signature, timestamps, log entries, and the layout around
//! them.
//!
//! Nothing leaves here that `verify` does not take for a signature about the subject, by the signer
//! that signs. What a service answered is never believed for another reason.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::future::try_join;
use futures_util::future::try_join_all;
use futures_util::future::try_join3;

use crate::model::Digest;
use crate::model::media_type;
use crate::services::Client;
use crate::services::Endpoint;
use crate::services::rekor::Entry;
use crate::services::rekor::Version;
use crate::services::rekor::v1;
use crate::services::rekor::v2;
use crate::services::timestamp;
use crate::sign::Error;
use crate::sign::Format;
use crate::sign::Signer;
use crate::sign::bundle;
use crate::sign::certificate::Holder;
use crate::sign::key::Kind;
use crate::sign::payload;
use crate::transport::Deadline;
use crate::verify::Artifact;
use crate::verify::Bundle;
use crate::verify::Layout;
use crate::verify::LogTerm;
use crate::verify::TimeSource;
use crate::verify::Trust;
use crate::verify::VerifiedSignature;
use crate::verify::encoding;
use crate::verify::verify;

/// Evidence that verifies, not written anywhere yet.
#[derive(Clone, Debug)]
pub(super) struct Made {
    /// The bundle, or the layer of the legacy layout.
    pub(super) bytes: Bytes,
    /// The annotations of a legacy layer.
    pub(super) annotations: BTreeMap<String, String>,
    /// What `verify` found.
    pub(super) proof: VerifiedSignature,
}

/// How many of each must count in what was made.
#[derive(Clone, Copy)]
struct Parts {
    stamps: usize,
    entries: usize,
}

impl Parts {
    const fn of(stamps: &[Vec<u8>], entries: usize) -> Self {
        Self {
            stamps: stamps.len(),
            entries,
        }
    }
}

/// What was signed, as a log is told.
#[derive(Clone, Copy)]
struct Logged<'a> {
    /// The envelope around it, if there is one.
    envelope: Option<&'a str>,
    /// SHA-256 of what the signature is over.
    digest: Digest,
    /// The same by the hash of the key's kind.
    hash: &'a [u8],
    signature: &'a [u8],
}

impl Signer {
    /// Evidence with a statement about a manifest or file, in these layouts, which share signature
    /// and log entry.
    pub(super) async fn statement(
        &self,
        holder: &Holder,
        statement: &[u8],
        subject: Digest,
        formats: &[Format],
        deadline: Deadline,
    ) -> Result<Vec<(Format, Made)>, Error> {
        let client = self.client(deadline);
        let has = |format| formats.contains(&format);
        let (signature, digest, hash) = signed(holder, &payload::pae(statement))?;
        let envelope = payload::envelope(statement, &signature);
        let logged = Logged {
            envelope: Some(&envelope),
            digest,
            hash: &hash,
            signature: &signature,
        };
        let (stamps, entries, legacy) = try_join3(
            async {
                match has(Format::Bundle) {
                    true => self.stamps(&client, &signature).await,
                    false => Ok(Vec::new()),
                }
            },
            async {
                match has(Format::Bundle) {
                    true => self.entries(&client, holder, logged).await,
                    false => Ok(Vec::new()),
                }
            },
            async {
                // One of the entries of the bundle will do, where there is one.
                match has(Format::Legacy)
                    && !(has(Format::Bundle) && self.bundles_have_legacy_entry())
                {
                    true => self.legacy_entry(&client, holder, logged).await,
                    false => Ok(None),
                }
            },
        )
        .await?;
        let mut made = Vec::new();
        if has(Format::Bundle) {
            let content = bundle::Content::Envelope(&envelope);
            let json = bundle::json(holder.material(), &bundled(&entries), &stamps, content);
            let artifact = Artifact::Digest(subject);
            let parts = Parts::of(&stamps, entries.len());
            let bundle = self.bundle(holder, json, artifact, parts)?;
            made.push((Format::Bundle, bundle));
        }
        if has(Format::Legacy) {
            let shared = entries.iter().find(|entry| entry.promise.is_some());
            let layer =
                self.attestation_layer(holder, envelope, legacy.as_ref().or(shared), subject)?;
            made.push((Format::Legacy, layer));
        }
        Ok(made)
    }

    /// The layer of a legacy attestation. It has no timestamp: cosign 2 looks for one over the whole
    /// layer, cosign 3 for one over the signature, and the log's promise states the time anyway.
    fn attestation_layer(
        &self,
        holder: &Holder,
        envelope: String,
        entry: Option<&Entry>,
        subject: Digest,
    ) -> Result<Made, Error> {
        let mut annotations = legacy_annotations(holder, entry);
        annotate(&mut annotations, SIGNATURE, String::new());
        let bytes = Bytes::from(envelope);
        let parsed = Bundle::from_attestation_layer(&bytes, &annotations, &self.limits);
        let (artifact, layout) = (Artifact::Digest(subject), Layout::LegacyAttestation);
        let parts = Parts::of(&[], usize::from(entry.is_some()));
        let proof = self.proven(holder, parsed, artifact, layout, parts)?;
        if let Some(kind) = proof.predicate_type() {
            annotate(&mut annotations, "predicateType", kind.to_owned());
        }
        Ok(Made {
            bytes,
            annotations,
            proof,
        })
    }

    /// A bundle with a signature over a file itself.
    pub(super) async fn message(
        &self,
        holder: &Holder,
        file: &[u8],
        deadline: Deadline,
    ) -> Result<Made, Error> {
        let client = self.client(deadline);
        let (signature, digest, hash) = signed(holder, file)?;
        let logged = Logged {
            envelope: None,
            digest,
            hash: &hash,
            signature: &signature,
        };
        let (stamps, entries) = try_join(
            self.stamps(&client, &signature),
            self.entries(&client, holder, logged),
        )
        .await?;
        let content = bundle::Content::Message {
            digest: &digest,
            signature: &signature,
        };
        let json = bundle::json(holder.material(), &bundled(&entries), &stamps, content);
        let parts = Parts::of(&stamps, entries.len());
        self.bundle(holder, json, Artifact::Bytes(file), parts)
    }

    /// The layer of a legacy image signature.
    pub(super) async fn legacy_signature(
        &self,
        holder: &Holder,
        document: Vec<u8>,
        subject: Digest,
        deadline: Deadline,
    ) -> Result<Made, Error> {
        let client = self.client(deadline);
        let (signature, digest, hash) = signed(holder, &document)?;
        let logged = Logged {
            envelope: None,
            digest,
            hash: &hash,
            signature: &signature,
        };
        let (stamps, entry) = try_join(
            self.stamps(&client, &signature),
            self.legacy_entry(&client, holder, logged),
        )
        .await?;
        let mut annotations = legacy_annotations(holder, entry.as_ref());
        annotate(&mut annotations, SIGNATURE, STANDARD.encode(&signature));
        if let Some(stamp) = stamps.first() {
            let json = serde_json::json!({ "SignedRFC3161Timestamp": STANDARD.encode(stamp) });
            annotate(&mut annotations, TIMESTAMP, json.to_string());
        }
        let parsed = Bundle::from_signature_layer(&document, &annotations, &self.limits);
        let (artifact, layout) = (Artifact::Digest(subject), Layout::LegacySignature);
        let stamps = stamps.get(..1).unwrap_or_default();
        let parts = Parts::of(stamps, usize::from(entry.is_some()));
        let proof = self.proven(holder, parsed, artifact, layout, parts)?;
        Ok(Made {
            bytes: document.into(),
            annotations,
            proof,
        })
    }

    /// Parses and verifies a bundle that was put together.
    fn bundle(
        &self,
        holder: &Holder,
        json: Vec<u8>,
        artifact: Artifact<'_>,
        parts: Parts,
    ) -> Result<Made, Error> {
        let parsed = Bundle::parse(&json, &self.limits);
        let proof = self.proven(holder, parsed, artifact, Layout::BundleV03, parts)?;
        Ok(Made {
            bytes: json.into(),
            annotations: BTreeMap::new(),
            proof,
        })
    }

    /// Verifies what was made, as whoever reads it will. Its signer has to be the one that signs.
    fn proven(
        &self,
        holder: &Holder,
        parsed: Result<Bundle, crate::verify::Error>,
        artifact: Artifact<'_>,
        layout: Layout,
        parts: Parts,
    ) -> Result<VerifiedSignature, Error> {
        let subject = match artifact {
            Artifact::Bytes(bytes) => Digest::sha256(bytes),
            Artifact::Digest(digest) => digest,
        };
        let root = self.root.as_deref();
        let trust = match (holder.managed(), root) {
            (Some(key), root) => Trust::Key(key, root),
            (None, Some(root)) => Trust::Root(root),
            // A signer without a root has a managed key: `Signer::new` sees to it.
            (None, None) => return Err(Error::RootMissing),
        };
        let now = (self.clock)();
        let proof = parsed
            .and_then(|bundle| verify(&bundle, artifact, trust, self.terms, now, &self.limits))
            .map_err(|source| Error::Evidence {
                subject,
                layout: layout.name(),
                source,
            })?;
        // Whoever reads it may do without one of several; whoever makes it has asked for all.
        let counted = proof.times().iter();
        let counted = counted
            .filter(|time| time.source == TimeSource::Timestamp)
            .count();
        if counted < parts.stamps {
            return Err(Error::StampUnknown { subject });
        }
        if proof.logs().len() < parts.entries {
            return Err(Error::LogUnknown { subject });
        }
        // What was signed is known; a second copy of a large document serves nobody.
        Ok(proof.without_payload())
    }

    async fn stamps(&self, client: &Client<'_>, signature: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        let asked = self.services.tsa().iter().map(|url| async move {
            let _permit = self.permit().await;
            timestamp::stamp(client, url, signature).await
        });
        Ok(try_join_all(asked).await?)
    }

    /// One entry in each log of the signing configuration.
    async fn entries(
        &self,
        client: &Client<'_>,
        holder: &Holder,
        logged: Logged<'_>,
    ) -> Result<Vec<Entry>, Error> {
        let asked = self.services.rekor().iter().map(|log| async move {
            match log.version {
                Version::V1 => self.entry_v1(client, &log.url, holder, logged).await,
                Version::V2 => self.entry_v2(client, &log.url, holder, logged).await,
            }
        });
        try_join_all(asked).await
    }

    /// An entry in a log of Rekor v1, whose promise is all that the legacy layout has room for.
    async fn legacy_entry(
        &self,
        client: &Client<'_>,
        holder: &Holder,
        logged: Logged<'_>,
    ) -> Result<Option<Entry>, Error> {
        if self.terms.log == LogTerm::InsecureNone {
            return Ok(None);
        }
        let url = self.services.rekor_v1().ok_or(Error::LegacyLog)?;
        self.entry_v1(client, url, holder, logged).await.map(Some)
    }

    /// Whether the entries of a bundle have one that the legacy layout can use.
    fn bundles_have_legacy_entry(&self) -> bool {
        let mut logs = self.services.rekor().iter();
        logs.any(|log| log.version == Version::V1)
    }

    async fn entry_v1(
        &self,
        client: &Client<'_>,
        url: &Endpoint,
        holder: &Holder,
        logged: Logged<'_>,
    ) -> Result<Entry, Error> {
        let verifier = holder.verifier();
        let proposal = match logged.envelope {
            Some(envelope) => v1::Proposal::Dsse { envelope, verifier },
            None => {
                hashable(holder)?;
                v1::Proposal::HashedRekord {
                    digest: logged.digest,
                    signature: logged.signature,
                    verifier,
                }
            }
        };
        let _permit = self.permit().await;
        Ok(v1::propose(client, url, &proposal).await?)
    }

    async fn entry_v2(
        &self,
        client: &Client<'_>,
        url: &Endpoint,
        holder: &Holder,
        logged: Logged<'_>,
    ) -> Result<Entry, Error> {
        hashable(holder)?;
        let kind = holder.key().kind();
        let proposal = v2::Proposal {
            digest: logged.hash,
            signature: logged.signature,
            verifier: holder.verifier(),
            details: kind.details(),
        };
        let root = self.root.as_deref().ok_or(Error::RootMissing)?;
        let _permit = self.permit().await;
        Ok(v2::propose(client, url, &proposal, root).await?)
    }
}

/// The signature over bytes, with their SHA-256 and their hash by the key's kind: all that anybody asks
/// of the bytes afterwards, which may be many megabytes.
fn signed(holder: &Holder, bytes: &[u8]) -> Result<(Vec<u8>, Digest, Vec<u8>), Error> {
    let signature = holder.key().sign(bytes)?;
    let hash = holder.key().kind().hash(bytes);
    Ok((signature, Digest::sha256(bytes), hash))
}

/// What every legacy layer says about its signer and its log entry.
fn legacy_annotations(holder: &Holder, entry: Option<&Entry>) -> BTreeMap<String, String> {
    let mut annotations = BTreeMap::new();
    if let Some(certificate) = holder.certificate() {
        let chain: String = certificate.chain.iter().map(|der| pem(der)).collect();
        annotate(&mut annotations, CERTIFICATE, pem(&certificate.leaf));
        // cosign writes no newline after the last one.
        annotate(&mut annotations, CHAIN, chain.trim_end().to_owned());
    }
    if let Some(entry) = entry.and_then(Entry::to_legacy_annotation) {
        annotate(&mut annotations, LOG, entry);
    }
    annotations
}

/// Logs know a signature by the hash that it is over, which plain Ed25519 has not.
fn hashable(holder: &Holder) -> Result<(), Error> {
    match holder.key().kind() {
        Kind::Ed25519 => Err(Error::KeyKind {
            rule: "Rekor takes no plain Ed25519 signature over a hash",
        }),
        _ => Ok(()),
    }
}

const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const CHAIN: &str = "dev.sigstore.cosign/chain";
const LOG: &str = "dev.sigstore.cosign/bundle";
const TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";

fn annotate(annotations: &mut BTreeMap<String, String>, name: &str, value: String) {
    annotations.insert(name.to_owned(), value);
}

fn pem(der: &[u8]) -> String {
    encoding::pem_of("CERTIFICATE", der)
}

fn bundled(entries: &[Entry]) -> Vec<serde_json::Value> {
    entries.iter().map(Entry::to_bundle_json).collect()
}

/// The media type of the layer that evidence becomes.
pub(super) const fn layer_type(layout: Layout) -> &'static str {
    match layout {
        Layout::LegacyAttestation => media_type::DSSE,
        Layout::LegacySignature => media_type::SIMPLE_SIGNING,
        _ => bundle::MEDIA_TYPE,
    }
}
