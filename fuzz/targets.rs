//! One function for each way that foreign bytes come in: the fuzzer calls it with what it invents,
//! `tests/it/fuzz_corpus.rs` with the files of `corpus/`.
//!
//! A target may not panic, hang or use memory without bound, whatever it is given. It says whether the
//! bytes were taken, so that a seed can state what it expects. Targets of the first part read what
//! real cosign wrote, unchanged. Those of the second put the bytes into a place that is signed *after*
//! it was filled, so that the fuzzer gets behind the signature checks. Those of the last speak to a
//! server on loopback and to nobody else.

use std::collections::BTreeMap;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::LazyLock;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use scgate::model::Digest;
use scgate::model::Limits;
use scgate::model::Manifest;
use scgate::model::Pinned;
use scgate::model::Platform;
use scgate::model::Reference;
use scgate::model::Repository;
use scgate::model::Timestamp;
use scgate::model::media_type;
use scgate::model::strict_json;
use scgate::policy::Pattern;
use scgate::registry::Helpers;
use scgate::registry::Keyring;
use scgate::registry::Layout;
use scgate::registry::Remote;
use scgate::registry::RemoteSettings;
use scgate::registry::Search;
use scgate::registry::Source;
use scgate::registry::Way;
use scgate::sandbox::mint::CertificateOrder;
use scgate::sandbox::mint::Content;
use scgate::sandbox::mint::EntryOrder;
use scgate::sandbox::mint::GithubActions;
use scgate::sandbox::mint::Hook;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::LegacyChain;
use scgate::sandbox::mint::Mint;
use scgate::sandbox::mint::Order;
use scgate::sandbox::mint::SigningKey;
use scgate::sandbox::mint::der;
use scgate::services::oidc::Rules;
use scgate::services::oidc::Token;
use scgate::services::signing_config::SigningConfig;
use scgate::transport::Deadline;
use scgate::transport::Settings;
use scgate::transport::Transport;
use scgate::verify::Artifact;
use scgate::verify::Bundle;
use scgate::verify::LogTerm;
use scgate::verify::ManagedKey;
use scgate::verify::SctTerm;
use scgate::verify::Terms;
use scgate::verify::Trust;
use scgate::verify::TrustRoot;
use scgate::verify::verify;

/// A target: gives whether the bytes were taken.
pub(crate) type Target = fn(&[u8]) -> bool;

/// All of them, by name.
pub(crate) const TARGETS: &[(&str, Target)] = &[
    ("bundle", bundle),
    ("certificate", certificate),
    ("certificate_extensions", certificate_extensions),
    ("challenge", challenge),
    ("checkpoint", checkpoint),
    ("checkpoint_text", checkpoint_text),
    ("detached", detached),
    ("digest", digest),
    ("docker_config", docker_config),
    ("identity_token", identity_token),
    ("index", index),
    ("layout_archive", layout_archive),
    ("layout_index", layout_index),
    ("legacy_attestation", legacy_attestation),
    ("legacy_blob", legacy_blob),
    ("legacy_signature", legacy_signature),
    ("log_body", log_body),
    ("managed_key", managed_key),
    ("manifest", manifest),
    ("pattern", pattern),
    ("platform", platform),
    ("proof", proof),
    ("reference", reference),
    ("referrers", referrers),
    ("sct_list", sct_list),
    ("signing_config", signing_config),
    ("simple_signing", simple_signing),
    ("statement", statement),
    ("strict_json", json),
    ("time", time),
    ("timestamp", timestamp),
    ("timestamp_info", timestamp_info),
    ("trusted_root", trusted_root),
];

// What real cosign wrote, and what trusts it.

const LAB_ROOT: &[u8] = include_bytes!("../testdata/cosign-lab/trusted_root.json");
const LAB_KEY: &[u8] = include_bytes!("../testdata/cosign-lab/cosign.pub");
const LAB_BLOB: &[u8] = include_bytes!("../testdata/cosign-lab/blob/blob.txt");
const LAB_BUNDLE: &str = include_str!("../testdata/cosign-lab/blob/rekor2.sigstore.json");
/// The image of the lab: an index, and its first child.
const LAB_IMAGES: [&str; 2] = [
    "sha256:ece27c5cee9b6b8e9f0b7e48146b5096b7b9f7077268ba98148924b29c84c47e",
    "sha256:63dc09bd56851863a59b8069fe67008b07987c746c975be0b82c88dc485203f7",
];

struct Lab {
    root: TrustRoot,
    key: ManagedKey,
    images: Vec<Digest>,
    now: Timestamp,
    limits: Limits,
}

static LAB: LazyLock<Lab> = LazyLock::new(|| {
    let limits = Limits::default();
    Lab {
        root: TrustRoot::parse(LAB_ROOT, &limits).expect("the lab's root"),
        key: ManagedKey::parse(LAB_KEY, &limits).expect("the lab's key"),
        images: LAB_IMAGES
            .map(|image| Digest::parse(image).expect("a digest"))
            .to_vec(),
        now: Timestamp::parse("2026-12-01T00:00:00Z").expect("a time"),
        limits,
    }
});

fn lax() -> Terms {
    let mut terms = Terms::default();
    terms.log = LogTerm::InsecureNone;
    terms.sct = SctTerm::InsecureNone;
    terms
}

impl Lab {
    /// Verifies in every way there is; gives whether one of the demanding ways took it.
    fn takes(&self, bundle: &Bundle) -> bool {
        let trust = match bundle.has_certificate() {
            true => Trust::Root(&self.root),
            false => Trust::Key(&self.key, Some(&self.root)),
        };
        let images = self.images.iter().map(|image| Artifact::Digest(*image));
        let mut taken = false;
        for artifact in [Artifact::Bytes(LAB_BLOB)].into_iter().chain(images) {
            for (terms, demanding) in [(Terms::default(), true), (lax(), false)] {
                let verdict = verify(bundle, artifact, trust, terms, self.now, &self.limits);
                match verdict {
                    Ok(signature) => {
                        let asked = match artifact {
                            Artifact::Bytes(bytes) => Digest::sha256(bytes),
                            Artifact::Digest(digest) => digest,
                        };
                        assert_eq!(signature.artifact(), asked);
                        assert_eq!(signature.evidence(), bundle.evidence());
                        taken |= demanding;
                    }
                    Err(error) => assert!(!error.to_string().is_empty()),
                }
            }
        }
        taken
    }
}

fn bundle(data: &[u8]) -> bool {
    Bundle::parse(data, &LAB.limits).is_ok_and(|bundle| LAB.takes(&bundle))
}

/// A line with the annotations of the layer's descriptor as a JSON object, then the layer.
fn layer(data: &[u8]) -> Option<(BTreeMap<String, String>, &[u8])> {
    let end = data.iter().position(|byte| *byte == b'\n')?;
    let (head, layer) = data.split_at(end);
    let annotations = serde_json::from_slice(head).ok()?;
    Some((annotations, &layer[1..]))
}

fn legacy_signature(data: &[u8]) -> bool {
    layer(data).is_some_and(|(annotations, layer)| {
        Bundle::from_signature_layer(layer, &annotations, &LAB.limits)
            .is_ok_and(|bundle| LAB.takes(&bundle))
    })
}

fn legacy_attestation(data: &[u8]) -> bool {
    layer(data).is_some_and(|(annotations, layer)| {
        Bundle::from_attestation_layer(layer, &annotations, &LAB.limits)
            .is_ok_and(|bundle| LAB.takes(&bundle))
    })
}

fn legacy_blob(data: &[u8]) -> bool {
    Bundle::from_legacy_blob(data, &LAB.limits).is_ok_and(|bundle| LAB.takes(&bundle))
}

/// Signature, certificate and timestamp with an empty line between them. Taken means parsed: without
/// a log entry none of them is enough.
fn detached(data: &[u8]) -> bool {
    let mut parts = Vec::new();
    let mut rest = data;
    while let Some(at) = rest.windows(2).position(|two| two == b"\n\n") {
        parts.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
    parts.push(rest);
    let part = |place: usize| parts.get(place).copied().filter(|part| !part.is_empty());
    let signature = part(0).unwrap_or_default();
    match Bundle::from_detached(signature, part(1), part(2), &LAB.limits) {
        Ok(bundle) => {
            LAB.takes(&bundle);
            true
        }
        Err(_) => false,
    }
}

/// The lab's bundle with the JSON value under `pointer` replaced.
struct Template {
    before: String,
    after: String,
}

impl Template {
    fn new(pointer: &str) -> Self {
        const MARK: &str = "here it goes";
        let mut bundle: serde_json::Value = serde_json::from_str(LAB_BUNDLE).expect("JSON");
        *bundle.pointer_mut(pointer).expect("the member") = MARK.into();
        let text = bundle.to_string();
        let (before, after) = text.split_once(&format!("\"{MARK}\"")).expect("the mark");
        Self {
            before: before.to_owned(),
            after: after.to_owned(),
        }
    }

    fn takes(&self, value: &[u8]) -> bool {
        bundle(&[self.before.as_bytes(), value, self.after.as_bytes()].concat())
    }

    fn takes_base64(&self, bytes: &[u8]) -> bool {
        self.takes(format!("\"{}\"", base64(bytes)).as_bytes())
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn certificate(data: &[u8]) -> bool {
    static TEMPLATE: LazyLock<Template> =
        LazyLock::new(|| Template::new("/verificationMaterial/certificate/rawBytes"));
    TEMPLATE.takes_base64(data)
}

fn timestamp(data: &[u8]) -> bool {
    static TEMPLATE: LazyLock<Template> = LazyLock::new(|| {
        let stamps = "/verificationMaterial/timestampVerificationData/rfc3161Timestamps";
        Template::new(&format!("{stamps}/0/signedTimestamp"))
    });
    TEMPLATE.takes_base64(data)
}

fn proof(data: &[u8]) -> bool {
    static TEMPLATE: LazyLock<Template> =
        LazyLock::new(|| Template::new("/verificationMaterial/tlogEntries/0/inclusionProof"));
    TEMPLATE.takes(data)
}

fn checkpoint(data: &[u8]) -> bool {
    static TEMPLATE: LazyLock<Template> = LazyLock::new(|| {
        let proof = "/verificationMaterial/tlogEntries/0/inclusionProof";
        Template::new(&format!("{proof}/checkpoint/envelope"))
    });
    let text = String::from_utf8_lossy(data);
    TEMPLATE.takes(serde_json::json!(text).to_string().as_bytes())
}

fn trusted_root(data: &[u8]) -> bool {
    TrustRoot::parse(data, &LAB.limits).is_ok()
}

fn managed_key(data: &[u8]) -> bool {
    ManagedKey::parse(data, &LAB.limits).is_ok()
}

// Bytes that are signed after they were put in place.

struct World {
    mint: Mint,
    root: TrustRoot,
    key: SigningKey,
    managed: ManagedKey,
    now: Timestamp,
    artifact: Digest,
    limits: Limits,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let limits = Limits::default();
    let now = Timestamp::parse("2026-06-01T12:00:00Z").expect("a time");
    let mint = Mint::new(now).expect("keys");
    let key = SigningKey::generate(KeyKind::P256).expect("a key");
    World {
        root: TrustRoot::parse(&mint.trusted_root().bytes(), &limits).expect("the mint's root"),
        managed: ManagedKey::parse(key.public_pem().as_bytes(), &limits).expect("its key"),
        mint,
        key,
        now,
        artifact: LAB.images[0],
        limits,
    }
});

impl World {
    /// A certificate order, with nothing logged that could notice a change of the certificate.
    fn keyless(&self) -> Order {
        let identity = GithubActions::push("acme/shop", "release.yml").identity();
        let mut order = Order::keyless(self.now, &identity, Content::image(self.artifact));
        order.key = Some(self.key.clone());
        order
    }

    fn takes(&self, order: &Order, terms: Terms) -> bool {
        let minted = self.mint.sign(order).expect("the crypto library works");
        let bundle = match &order.content {
            Content::SimpleSigning(_) => {
                let layer = minted.legacy_layer(LegacyChain::Full);
                Bundle::from_signature_layer(&layer.bytes, &layer.annotations, &self.limits)
            }
            Content::Message(_) | Content::Statement(_) => {
                Bundle::parse(&minted.bundle_bytes("0.3"), &self.limits)
            }
        };
        let Ok(bundle) = bundle else {
            return false;
        };
        let trust = match order.certificate {
            Some(_) => Trust::Root(&self.root),
            None => Trust::Key(&self.managed, Some(&self.root)),
        };
        let artifact = Artifact::Digest(self.artifact);
        verify(&bundle, artifact, trust, terms, self.now, &self.limits).is_ok()
    }

    fn takes_content(&self, content: Content) -> bool {
        let mut order = Order::keyed(self.now, &self.key, content);
        order.entries.clear();
        order.timestamps.clear();
        self.takes(&order, lax())
    }
}

/// The content of the `extensions` of a leaf. The authority signs it, so that profile, names, claims
/// and SCTs are read.
fn certificate_extensions(data: &[u8]) -> bool {
    let mut order = WORLD.keyless();
    order.entries.clear();
    let mut certificate = CertificateOrder::bare(WORLD.now, WORLD.now.plus_seconds(600));
    certificate.version = None;
    let extensions = data.to_vec();
    certificate.tbs = Hook::new(move |tbs: &mut Vec<u8>| {
        // The header of a sequence between 128 and 65535 bytes is three or four bytes long.
        let header = match tbs.get(1) {
            Some(0x81) => 3,
            Some(0x82) => 4,
            _ => 2,
        };
        *tbs = der::sequence(&[
            der::explicit(0, &der::integer(2)),
            tbs[header..].to_vec(),
            der::explicit(3, &der::sequence(std::slice::from_ref(&extensions))),
        ]);
    });
    order.certificate = Some(certificate);
    let mut terms = lax();
    let lax = WORLD.takes(&order, terms);
    terms.sct = SctTerm::Required;
    WORLD.takes(&order, terms);
    lax
}

/// The list of SCTs as TLS encodes it. No seed can be taken: the mint's keys are new each time.
fn sct_list(data: &[u8]) -> bool {
    let mut order = WORLD.keyless();
    order.entries.clear();
    let list = data.to_vec();
    if let Some(certificate) = &mut order.certificate {
        certificate.sct_list = Hook::new(move |all: &mut Vec<u8>| all.clone_from(&list));
    }
    let mut terms = lax();
    terms.sct = SctTerm::Required;
    WORLD.takes(&order, terms)
}

/// A `TSTInfo`, signed by the timestamp authority.
fn timestamp_info(data: &[u8]) -> bool {
    let mut order = WORLD.keyless();
    let info = data.to_vec();
    order.timestamps[0].info = Hook::new(move |bytes: &mut Vec<u8>| bytes.clone_from(&info));
    WORLD.takes(&order, Terms::default())
}

/// The body of a log entry, of either log, with promise, proof and checkpoint over it.
fn log_body(data: &[u8]) -> bool {
    let mut taken = false;
    for mut entry in [EntryOrder::v1(WORLD.now.unix_seconds()), EntryOrder::v2()] {
        let mut order = WORLD.keyless();
        let body = data.to_vec();
        entry.body_bytes = Hook::new(move |bytes: &mut Vec<u8>| bytes.clone_from(&body));
        order.entries = vec![entry];
        taken |= WORLD.takes(&order, Terms::default());
    }
    taken
}

/// The text of a checkpoint, signed by the log. `ROOT` in it is the root of the tree.
fn checkpoint_text(data: &[u8]) -> bool {
    let mut order = WORLD.keyless();
    let text = String::from_utf8_lossy(data).into_owned();
    if let Some(entry) = order.entries.first_mut()
        && let Some(checkpoint) = entry.checkpoint_mut()
    {
        checkpoint.text = Hook::new(move |own: &mut String| {
            let root = own.lines().nth(2).unwrap_or_default().to_owned();
            let origin = own.lines().next().unwrap_or_default().to_owned();
            *own = text.replace("ROOT", &root).replace("ORIGIN", &origin);
        });
    }
    WORLD.takes(&order, Terms::default())
}

/// An in-toto statement, signed by a managed key.
fn statement(data: &[u8]) -> bool {
    std::str::from_utf8(data)
        .is_ok_and(|text| WORLD.takes_content(Content::Statement(text.to_owned())))
}

/// A simple-signing document, signed by a managed key.
fn simple_signing(data: &[u8]) -> bool {
    std::str::from_utf8(data)
        .is_ok_and(|text| WORLD.takes_content(Content::SimpleSigning(text.to_owned())))
}

// Documents and texts.

fn json(data: &[u8]) -> bool {
    let strict = strict_json(data).is_ok();
    if strict {
        // What is strict is JSON; numbers beyond a float are the one thing that only a tree refuses.
        let tree = serde_json::from_slice::<serde_json::Value>(data);
        assert!(tree.is_ok() || tree.is_err_and(|e| e.to_string().contains("out of range")));
    }
    strict
}

fn manifest(data: &[u8]) -> bool {
    let limits = &LAB.limits;
    let types = [None, Some(media_type::IMAGE), Some(media_type::INDEX)];
    let parsed = types.map(|kind| Manifest::parse(data, kind, limits.index_entries, limits));
    matches!(parsed[0], Ok(Manifest::Image(_)))
}

fn index(data: &[u8]) -> bool {
    let limits = &LAB.limits;
    let parsed = Manifest::parse(data, Some(media_type::INDEX), limits.index_entries, limits);
    let Ok(Manifest::Index(index)) = parsed else {
        return false;
    };
    assert!(index.manifests.len() <= limits.index_entries);
    let asked = Platform::parse("linux/arm64/v8").expect("a platform");
    for entry in &index.manifests {
        if let Some(platform) = &entry.platform {
            let _ = (
                platform.is_unknown(),
                platform.answers(&asked),
                platform.to_string(),
            );
        }
    }
    true
}

fn reference(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let repository = Repository::parse(text);
    let Ok(reference) = Reference::parse(text) else {
        assert!(repository.is_err());
        return false;
    };
    // The normal form is one, and means the same.
    let normal = reference.to_string();
    assert_eq!(
        Reference::parse(&normal).as_ref(),
        Ok(&reference),
        "{normal}"
    );
    assert_eq!(
        repository.is_ok(),
        reference.tag().is_none() && reference.digest().is_none()
    );
    true
}

fn digest(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let digest = Digest::parse(text);
    if let Ok(digest) = digest {
        assert_eq!(digest.to_string(), text);
    }
    digest.is_ok()
}

fn platform(data: &[u8]) -> bool {
    let parsed = std::str::from_utf8(data).ok().and_then(Platform::parse);
    parsed.is_some_and(|platform| platform.answers(&platform))
}

fn time(data: &[u8]) -> bool {
    let parsed = std::str::from_utf8(data).ok().map(Timestamp::parse);
    let Some(Ok(time)) = parsed else {
        return false;
    };
    let _ = (time.plus_seconds(i64::MAX), time.plus_seconds(i64::MIN));
    assert_eq!(Timestamp::parse(&time.to_string()).ok(), Some(time));
    true
}

fn pattern(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let exact = Pattern::exact(text);
    assert!(exact.is_ok_and(|exact| exact.matches(text)) || text.is_empty());
    let Ok(pattern) = Pattern::regexp(text) else {
        return false;
    };
    let long = "a".repeat(8 * 1024);
    for value in [
        "",
        "https://github.com/acme/shop/.github/workflows/release.yml@refs/heads/main",
        &long,
    ] {
        let whole = pattern.matches(value);
        assert!(!whole || pattern.matches_a_part(value), "{text}");
    }
    true
}

fn docker_config(data: &[u8]) -> bool {
    static REPOSITORIES: LazyLock<Vec<Repository>> = LazyLock::new(|| {
        [
            "docker.io/library/a",
            "a.test/b/c",
            "localhost:5000/x",
            "[::1]:5000/x",
        ]
        .map(|text| Repository::parse(text).expect("a repository"))
        .to_vec()
    });
    let ignored = Keyring::from_docker_config("config.json", data, Helpers::Ignore);
    // Looking up starts no helper; only a demand of a registry does.
    let Ok(keyring) = Keyring::from_docker_config("config.json", data, Helpers::Run) else {
        return false;
    };
    assert!(ignored.is_ok());
    for repository in REPOSITORIES.iter() {
        for credential in keyring.lookup(repository) {
            assert!(!credential.origin().is_empty());
        }
    }
    true
}

fn identity_token(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let Ok(token) = Token::parse(text) else {
        return false;
    };
    // An address that was not verified is refused in the one as in the other.
    assert_eq!(token.claimed().is_err(), token.subject_to_prove().is_err());
    assert!(token.current(token.expires()).is_err());
    assert!(
        token
            .audience()
            .iter()
            .all(|one| token.for_audience(one).is_ok())
    );
    // Only a claim that is there can be the reason to let somebody sign.
    if token.issuer() == "https://token.actions.githubusercontent.com" {
        let permitted = Rules::default().permit(&token).is_ok();
        assert!(!permitted || token.claim("event_name").zip(token.claim("ref")).is_some());
    }
    true
}

fn signing_config(data: &[u8]) -> bool {
    let Ok(config) = SigningConfig::parse(data, &LAB.limits) else {
        return false;
    };
    if let Ok(services) = config.select(LAB.now) {
        let logs = services.rekor();
        assert!(logs.iter().all(|log| log.version == logs[0].version));
    }
    true
}

// What lies on disk.

static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
});

fn deadline() -> Deadline {
    Deadline::after(Duration::from_secs(5))
}

/// Reads everything that the layout offers about one image.
fn read_layout(path: &std::path::Path) -> bool {
    let Ok(layout) = Layout::open(path, &LAB.limits) else {
        return false;
    };
    let source = Source::Layout(layout);
    RUNTIME.block_on(async {
        let any = Reference::in_layout(None, None);
        let tagged = Reference::in_layout(Some("1.0".to_owned()), None);
        let mut images: Vec<Pinned> = LAB.images.iter().map(|image| any.pin(*image)).collect();
        for reference in [&any, &tagged] {
            if let Ok(resolved) = source.resolve(reference, deadline()).await {
                images.push(resolved.pinned);
            }
        }
        for image in images {
            let (repository, digest) = (image.repository(), image.digest());
            if let Ok(raw) = source.manifest(repository, &digest, deadline()).await {
                assert!(digest.matches(&raw.bytes));
            }
            let listing = source
                .list(&image, repository, &Search::default(), deadline())
                .await;
            assert!(listing.candidates.len() <= LAB.limits.referrers);
            for candidate in listing.candidates {
                let descriptor = &candidate.descriptor;
                if let Ok(blob) = source
                    .blob(repository, descriptor, 1 << 20, deadline())
                    .await
                {
                    assert!(descriptor.digest.matches(&blob));
                }
            }
        }
    });
    true
}

fn layout_archive(data: &[u8]) -> bool {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(data).expect("written");
    read_layout(file.path())
}

fn layout_index(data: &[u8]) -> bool {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    std::fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("written");
    std::fs::write(path.join("index.json"), data).expect("written");
    let blobs = path.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).expect("made");
    // So that an index which names itself is one.
    std::fs::write(blobs.join(Digest::sha256(data).hex()), data).expect("written");
    read_layout(path)
}

// What a registry answers. It is the proxy for everything, so that whatever host a target names,
// nobody else is asked.

struct Wire {
    proxy: String,
    answer: &'static Mutex<Answer>,
}

#[derive(Default)]
struct Answer {
    /// What is said to a request whose path holds this.
    path: &'static str,
    status: &'static str,
    headers: Vec<u8>,
    body: Vec<u8>,
}

static WIRE: LazyLock<Wire> = LazyLock::new(|| {
    static ANSWER: Mutex<Answer> = Mutex::new(Answer {
        path: "",
        status: "404 Not Found",
        headers: Vec::new(),
        body: Vec::new(),
    });
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            serve(stream, &ANSWER).unwrap_or_default();
        }
    });
    Wire {
        proxy: format!("http://{address}"),
        answer: &ANSWER,
    }
});

fn serve(mut stream: TcpStream, answer: &Mutex<Answer>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        match stream.read(&mut piece)? {
            0 => return Ok(()),
            count => request.extend(&piece[..count]),
        }
    }
    let line = request
        .split(|byte| *byte == b'\r')
        .next()
        .unwrap_or_default();
    let line = String::from_utf8_lossy(line).into_owned();
    let head = |status: &str, length: usize| {
        format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n")
            .into_bytes()
    };
    let mut bytes;
    {
        let answer = answer.lock().unwrap_or_else(PoisonError::into_inner);
        if line.starts_with("GET ") && line.contains(answer.path) {
            bytes = head(answer.status, answer.body.len());
            bytes.extend(&answer.headers);
            bytes.extend(b"\r\n");
            bytes.extend(&answer.body);
        } else {
            bytes = head("404 Not Found", 0);
            bytes.extend(b"\r\n");
        }
    }
    stream.write_all(&bytes)
}

impl Wire {
    /// Asks for all evidence about an image when the registry answers like this.
    fn ask(&self, answer: Answer) -> scgate::registry::Listing {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
        let mut settings = Settings::default();
        settings.proxy = Some(self.proxy.clone());
        settings.tries = 1;
        settings.pause = Duration::from_millis(1);
        let source = Source::Remote(Remote::new(
            Transport::new(settings).expect("a transport"),
            Keyring::default(),
            RemoteSettings::default(),
            LAB.limits.clone(),
        ));
        let repository = Repository::parse("127.0.0.1:5000/acme/shop").expect("a repository");
        let image = Reference::parse(&format!("{repository}@{}", LAB.images[0]))
            .ok()
            .and_then(|reference| reference.pinned())
            .expect("an image");
        let mut search = Search::default();
        search.ways = [Way::ReferrersApi].into();
        RUNTIME.block_on(source.list(&image, &repository, &search, deadline()))
    }
}

/// The bytes that may stand in the value of a header.
fn header_value(bytes: &[u8]) -> Vec<u8> {
    let allowed = |byte: &&u8| !matches!(byte, b'\r' | b'\n' | 0);
    bytes.iter().filter(allowed).copied().take(4096).collect()
}

/// The value of `WWW-Authenticate`. Taken means that the registry could be asked in the end, which
/// this one never allows.
fn challenge(data: &[u8]) -> bool {
    let mut headers = b"WWW-Authenticate: ".to_vec();
    headers.extend(header_value(data));
    headers.extend(b"\r\n");
    let listing = WIRE.ask(Answer {
        path: "",
        status: "401 Unauthorized",
        headers,
        body: Vec::new(),
    });
    assert!(listing.candidates.is_empty());
    assert!(
        !listing.gaps.is_empty(),
        "a refused request must not read as unsigned"
    );
    false
}

/// A line with the value of `Link`, then the page.
fn referrers(data: &[u8]) -> bool {
    let end = data.iter().position(|byte| *byte == b'\n');
    let (link, page) = match end {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (&[][..], data),
    };
    let mut headers = b"Content-Type: application/vnd.oci.image.index.v1+json\r\n".to_vec();
    if !link.is_empty() {
        headers.extend(b"Link: ");
        headers.extend(header_value(link));
        headers.extend(b"\r\n");
    }
    let listing = WIRE.ask(Answer {
        path: "/referrers/",
        status: "200 OK",
        headers,
        body: page.to_vec(),
    });
    assert!(listing.candidates.len() <= LAB.limits.referrers);
    listing.gaps.is_empty()
}
