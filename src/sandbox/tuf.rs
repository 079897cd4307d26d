//! A TUF repository as a map from path to bytes: any version, any time, any flaw, and no server.
//!
//! [`Repository`] is what `cosign initialize --mirror` and `scgate trust fetch` read, in the layout
//! of the public-good instance: ECDSA P-256 keys in PEM, key ids as go-tuf computes them, signatures
//! over OLPC canonical JSON, consistent snapshots.
//!
//! A flaw is made in one of two places. [`RoleOrder::overrides`] and [`RoleOrder::signer`] change a
//! role *before* it is signed, so that only the check of that value can notice; what is changed in
//! the map that [`Repository::files`] gives is changed *after* signing.

use std::collections::BTreeMap;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use sigstore_tuf::canonical_json::to_canonical_bytes;

use crate::model::Digest;
use crate::model::Timestamp;
use crate::sandbox::mint::KeyKind;
use crate::sandbox::mint::Mint;
use crate::sandbox::mint::MintError;
use crate::sandbox::mint::SigningKey;
use crate::sandbox::mint::hex;
use crate::sandbox::mint::pem;
use crate::services::tuf::SIGNING_CONFIG;
use crate::services::tuf::TRUSTED_ROOT;

const DAY: i64 = 24 * 60 * 60;

/// A file that the repository distributes.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// What clients may want to know beside it.
    pub custom: Option<Value>,
}

impl Target {
    /// A file of this name.
    #[must_use]
    pub fn new(name: &str, bytes: Vec<u8>) -> Self {
        Self {
            name: name.to_owned(),
            bytes,
            custom: None,
        }
    }

    /// A file as cosign v2 looks it up: by its `usage`, one of `Fulcio`, `CTFE`, `Rekor` and `TSA`.
    #[must_use]
    pub fn legacy(name: &str, bytes: Vec<u8>, usage: &str, uri: &str) -> Self {
        let custom = json!({"sigstore": {"status": "Active", "usage": usage, "uri": uri}});
        Self {
            custom: Some(custom),
            ..Self::new(name, bytes)
        }
    }
}

/// What the repository of an instance distributes: its trusted root and signing configuration for
/// cosign v3, which are all that v2.6 reads where they are there, and the single keys and certificates
/// that older ones look up by usage (and v2.6 after it signed with a managed key).
#[must_use]
pub fn distributed(mint: &Mint, services: &Services) -> Vec<Target> {
    let certificate = |der: &[u8]| pem("CERTIFICATE", der).into_bytes();
    let (fulcio, tsa) = (&mint.fulcio, &mint.tsa);
    let rekor = services.rekor.first().map_or("", |(url, _)| url);
    let stamps = services.tsa.first().map_or("", String::as_str);
    let ca = &services.fulcio;
    let legacy = [
        (
            "fulcio.crt.pem",
            certificate(&fulcio.root.certificate),
            "Fulcio",
            ca.as_str(),
        ),
        (
            "fulcio_intermediate.crt.pem",
            certificate(&fulcio.intermediate.certificate),
            "Fulcio",
            ca,
        ),
        (
            "ctfe.pub",
            mint.ct.key.public_pem().into_bytes(),
            "CTFE",
            &mint.ct.base_url,
        ),
        (
            "rekor.pub",
            mint.rekor1.key.public_pem().into_bytes(),
            "Rekor",
            rekor,
        ),
        (
            "tsa_leaf.crt.pem",
            certificate(&tsa.leaf.certificate),
            "TSA",
            stamps,
        ),
        (
            "tsa_root.crt.pem",
            certificate(&tsa.root.certificate),
            "TSA",
            stamps,
        ),
    ];
    let legacy = legacy
        .into_iter()
        .map(|(name, bytes, usage, uri)| Target::legacy(name, bytes, usage, uri));
    [
        Target::new(TRUSTED_ROOT, mint.trusted_root().bytes()),
        Target::new(SIGNING_CONFIG, services.signing_config()),
    ]
    .into_iter()
    .chain(legacy)
    .collect()
}

/// One version of the root role: which keys count, and who signs it.
#[derive(Clone, Debug)]
pub struct RootOrder {
    /// Until when it counts.
    pub expires: Timestamp,
    /// The keys of the root role.
    pub root: Vec<SigningKey>,
    /// How many of them must sign.
    pub threshold: u64,
    /// The key of the timestamp role.
    pub timestamp: SigningKey,
    /// The key of the snapshot role.
    pub snapshot: SigningKey,
    /// The key of the targets role.
    pub targets: SigningKey,
    /// Who signs; none for its own root keys and those of the version before.
    pub signers: Option<Vec<SigningKey>>,
    /// Members of the signed part that are other than they should be.
    pub overrides: Map<String, Value>,
}

impl RootOrder {
    /// A root with fresh keys, one for each role.
    ///
    /// # Errors
    ///
    /// [`MintError`] when the crypto library fails.
    pub fn new(expires: Timestamp) -> Result<Self, MintError> {
        let key = || SigningKey::generate(KeyKind::P256);
        Ok(Self {
            expires,
            root: vec![key()?],
            threshold: 1,
            timestamp: key()?,
            snapshot: key()?,
            targets: key()?,
            signers: None,
            overrides: Map::new(),
        })
    }

    fn signed(&self, version: usize, consistent_snapshot: bool) -> Result<Value, MintError> {
        let online = [&self.timestamp, &self.snapshot, &self.targets];
        let mut keys = Map::new();
        for key in self.root.iter().chain(online) {
            keys.insert(key_id(key)?, public(key));
        }
        let role = |key: &SigningKey| key_id(key).map(|id| json!({"keyids": [id], "threshold": 1}));
        let ids: Vec<_> = self.root.iter().map(key_id).collect::<Result<_, _>>()?;
        let signed = json!({
            "_type": "root",
            "consistent_snapshot": consistent_snapshot,
            "expires": whole(self.expires),
            "keys": keys,
            "roles": {
                "root": {"keyids": ids, "threshold": self.threshold},
                "snapshot": role(&self.snapshot)?,
                "targets": role(&self.targets)?,
                "timestamp": role(&self.timestamp)?,
            },
            "spec_version": SPEC_VERSION,
            "version": version,
        });
        Ok(overridden(signed, &self.overrides))
    }
}

/// The other roles.
#[derive(Clone, Debug)]
pub struct RoleOrder {
    /// Its version.
    pub version: u64,
    /// Until when it counts.
    pub expires: Timestamp,
    /// Who signs; none for the key that the newest root names.
    pub signer: Option<SigningKey>,
    /// Members of the signed part that are other than they should be.
    pub overrides: Map<String, Value>,
}

impl RoleOrder {
    /// The first version.
    #[must_use]
    pub fn new(expires: Timestamp) -> Self {
        Self {
            version: 1,
            expires,
            signer: None,
            overrides: Map::new(),
        }
    }

    fn file(&self, kind: &str, own: Value, key: &SigningKey) -> Result<Vec<u8>, MintError> {
        let mut signed = json!({
            "_type": kind,
            "expires": whole(self.expires),
            "spec_version": SPEC_VERSION,
            "version": self.version,
        });
        if let (Some(signed), Value::Object(own)) = (signed.as_object_mut(), own) {
            signed.extend(own);
        }
        let signer = self.signer.as_ref().unwrap_or(key);
        envelope(overridden(signed, &self.overrides), &[signer])
    }
}

/// A repository, with every version and time open to change.
#[derive(Clone, Debug)]
pub struct Repository {
    /// The versions of the root role, from 1 on.
    pub roots: Vec<RootOrder>,
    /// The timestamp role.
    pub timestamp: RoleOrder,
    /// The snapshot role.
    pub snapshot: RoleOrder,
    /// The targets role.
    pub targets: RoleOrder,
    /// What it distributes.
    pub distributed: Vec<Target>,
    /// Whether the names of files say their version or hash.
    pub consistent_snapshot: bool,
}

impl Repository {
    /// The first version of everything, as of `now`: the root for a year, the others for a week.
    ///
    /// # Errors
    ///
    /// [`MintError`] when the crypto library fails.
    pub fn new(now: Timestamp, distributed: Vec<Target>) -> Result<Self, MintError> {
        let week = || RoleOrder::new(now.plus_seconds(7 * DAY));
        Ok(Self {
            roots: vec![RootOrder::new(now.plus_seconds(365 * DAY))?],
            timestamp: week(),
            snapshot: week(),
            targets: week(),
            distributed,
            consistent_snapshot: true,
        })
    }

    /// A next version of all but the root.
    pub const fn publish(&mut self) {
        self.timestamp.version += 1;
        self.snapshot.version += 1;
        self.targets.version += 1;
    }

    /// A next version of the root, with fresh keys for all roles, until `expires`.
    ///
    /// # Errors
    ///
    /// [`MintError`] when the crypto library fails.
    pub fn rotate(&mut self, expires: Timestamp) -> Result<(), MintError> {
        self.roots.push(RootOrder::new(expires)?);
        Ok(())
    }

    /// Every file, by its path below the URL of the mirror. Each call signs anew, with other bytes.
    ///
    /// # Errors
    ///
    /// [`MintError`] when the crypto library fails.
    pub fn files(&self) -> Result<BTreeMap<String, Vec<u8>>, MintError> {
        let mut files = BTreeMap::new();
        let mut before: &[SigningKey] = &[];
        for (at, root) in self.roots.iter().enumerate() {
            let version = at + 1;
            let usual: Vec<_> = before.iter().chain(&root.root).collect();
            let signers = match &root.signers {
                Some(signers) => signers.iter().collect(),
                None => usual,
            };
            let bytes = envelope(root.signed(version, self.consistent_snapshot)?, &signers)?;
            files.insert(format!("{version}.root.json"), bytes.clone());
            // What the public-good mirror serves by that name is its first root.
            files.entry("root.json".to_owned()).or_insert(bytes);
            before = &root.root;
        }
        let Some(root) = self.roots.last() else {
            return Ok(files);
        };
        let targets = self.list(&mut files);
        let targets = self
            .targets
            .file("targets", json!({"targets": targets}), &root.targets)?;
        let meta = json!({"meta": {"targets.json": pin(self.targets.version, &targets)}});
        let snapshot = self.snapshot.file("snapshot", meta, &root.snapshot)?;
        let meta = json!({"meta": {"snapshot.json": pin(self.snapshot.version, &snapshot)}});
        let timestamp = self.timestamp.file("timestamp", meta, &root.timestamp)?;
        let mut put = |name: &str, version: u64, bytes: Vec<u8>| {
            let path = match self.consistent_snapshot {
                true => format!("{version}.{name}"),
                false => name.to_owned(),
            };
            files.insert(path, bytes);
        };
        put("targets.json", self.targets.version, targets);
        put("snapshot.json", self.snapshot.version, snapshot);
        files.insert("timestamp.json".to_owned(), timestamp);
        Ok(files)
    }

    /// The entries of the targets role, and the files that they are about.
    fn list(&self, files: &mut BTreeMap<String, Vec<u8>>) -> Map<String, Value> {
        let mut list = Map::new();
        for target in &self.distributed {
            let digest = Digest::sha256(&target.bytes).hex();
            let mut entry = json!({"hashes": {"sha256": digest}, "length": target.bytes.len()});
            if let (Some(entry), Some(custom)) = (entry.as_object_mut(), &target.custom) {
                entry.insert("custom".to_owned(), custom.clone());
            }
            list.insert(target.name.clone(), entry);
            for path in [target.name.clone(), format!("{digest}.{}", target.name)] {
                files.insert(format!("targets/{path}"), target.bytes.clone());
            }
        }
        list
    }
}

/// Where the services of an instance are, for its signing configuration.
#[derive(Clone, Debug)]
pub struct Services {
    /// The certificate authority; empty for none.
    pub fulcio: String,
    /// The issuer of identity tokens; empty for none.
    pub oidc: String,
    /// The transparency logs, each with the major version of its interface.
    pub rekor: Vec<(String, u32)>,
    /// The timestamp authorities.
    pub tsa: Vec<String>,
    /// Since when they are in use.
    pub start: Timestamp,
}

impl Services {
    /// The signing configuration (`SigningConfig` v0.2 of the Sigstore protobuf specifications).
    #[must_use]
    pub fn signing_config(&self) -> Vec<u8> {
        let service = |url: &str, version: u32| {
            json!({
                "url": url,
                "majorApiVersion": version,
                "validFor": {"start": whole(self.start)},
                "operator": "sandbox.test",
            })
        };
        let logs: Vec<_> = self
            .rekor
            .iter()
            .map(|(url, version)| service(url, *version))
            .collect();
        let known = |url: &str| match url {
            "" => json!([]),
            url => json!([service(url, 1)]),
        };
        let stamps: Vec<_> = self.tsa.iter().map(|url| service(url, 1)).collect();
        let json = json!({
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": known(&self.fulcio),
            "oidcUrls": known(&self.oidc),
            "rekorTlogUrls": logs,
            "tsaUrls": stamps,
            "rekorTlogConfig": {"selector": "ANY"},
            "tsaConfig": {"selector": "ANY"},
        });
        serde_json::to_vec(&json).unwrap_or_default()
    }
}

const SPEC_VERSION: &str = "1.0.31";

/// The key as it stands in a root, and as its id is computed over.
fn public(key: &SigningKey) -> Value {
    json!({
        "keytype": "ecdsa",
        "keyval": {"public": key.public_pem()},
        "scheme": "ecdsa-sha2-nistp256",
    })
}

/// The id of a key, as go-tuf computes it: SHA-256 of its canonical JSON.
///
/// # Errors
///
/// Never for the keys of this crate.
pub fn key_id(key: &SigningKey) -> Result<String, MintError> {
    canonical(&public(key)).map(|bytes| Digest::sha256(&bytes).hex())
}

fn pin(version: u64, bytes: &[u8]) -> Value {
    json!({
        "hashes": {"sha256": Digest::sha256(bytes).hex()},
        "length": bytes.len(),
        "version": version,
    })
}

fn overridden(mut signed: Value, overrides: &Map<String, Value>) -> Value {
    if let Some(signed) = signed.as_object_mut() {
        signed.extend(overrides.clone());
    }
    signed
}

fn envelope(signed: Value, signers: &[&SigningKey]) -> Result<Vec<u8>, MintError> {
    let bytes = canonical(&signed)?;
    let mut signatures = BTreeMap::new();
    for key in signers {
        let signature = key.sign(&bytes)?;
        signatures.insert(key_id(key)?, hex(&signature));
    }
    let signatures: Vec<_> = signatures
        .into_iter()
        .map(|(keyid, sig)| json!({"keyid": keyid, "sig": sig}))
        .collect();
    let envelope = json!({"signatures": signatures, "signed": signed});
    Ok(serde_json::to_vec(&envelope).unwrap_or_default())
}

fn canonical(value: &Value) -> Result<Vec<u8>, MintError> {
    to_canonical_bytes(value).map_err(|_| MintError::Crypto)
}

/// Without a fraction of a second, which TUF has none of.
fn whole(time: Timestamp) -> Timestamp {
    Timestamp::from_unix_seconds(time.unix_seconds()).unwrap_or(time)
}
