//! What people and scripts read, about real reports.
//!
//! The same report is written as text and as JSON, and both are compared with files under
//! `snapshots/`. Keys are random, so digests are replaced by the order in which they come; times are
//! fixed. `BLESS=1` writes the files anew.

mod schema;
mod tree;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use regex::Captures;
use regex::Regex;
use scgate::admit::FileEvidence;
use scgate::admit::Gate;
use scgate::admit::Report;
use scgate::admit::Scope;
use scgate::admit::Thoroughness;
use scgate::admit::Trusted;
use scgate::model::DenyCode;
use scgate::model::Digest;
use scgate::model::Limits;
use scgate::model::Outcome;
use scgate::model::Platform;
use scgate::model::media_type;
use scgate::output::Colour;
use scgate::output::Format;
use scgate::output::Look;
use scgate::output::cause;
use scgate::output::meaning;
use scgate::output::remedy;
use scgate::output::render;
use scgate::policy::Covers;
use scgate::policy::Demand;
use scgate::policy::Pattern;
use scgate::policy::Policy;
use scgate::policy::Rules;
use scgate::policy::SignedTimestamp;
use scgate::policy::Signer;
use scgate::policy::Who;
use scgate::sandbox::mint::Content;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::LegacyChain;
use scgate::sandbox::mint::Mint;
use scgate::sandbox::mint::Order;
use scgate::sandbox::mint::SigningKey;
use scgate::sandbox::mint::email;
use scgate::sandbox::mint::legacy_manifest;
use scgate::sandbox::mint::pem;
use scgate::sandbox::registry::Config;
use scgate::sandbox::server::Fault;
use scgate::sandbox::server::FaultKind;
use scgate::verify::Artifact;
use scgate::verify::Bundle;
use scgate::verify::LogTerm;
use scgate::verify::ManagedKey;
use scgate::verify::Terms;
use scgate::verify::TrustRoot;
use serde_json::Value;

use self::schema::Schema;
use crate::admit::shop::REPO;
use crate::admit::shop::Shop;
use crate::admit::shop::now;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn written(reports: &[Report], format: Format, look: Look) -> String {
    let mut out = Vec::new();
    render(reports, format, look, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn text(reports: &[Report]) -> String {
    written(reports, Format::Text, Look::default())
}

fn json(reports: &[Report]) -> Value {
    serde_json::from_str(&written(reports, Format::Json, Look::default())).unwrap()
}

fn schema() -> Schema {
    Schema::read(&root().join("docs/json-v1.schema.json"))
}

fn compare(path: &Path, actual: &str) {
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, actual).unwrap();
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        actual,
        expected,
        "{} differs (BLESS=1 writes it)",
        path.display()
    );
}

/// Replaces every run of twelve or more hexadecimal digits: by how it begins, so that a short digest
/// has the number of the long one, and in its own length, so that lines break where they did.
fn masked(text: &str, host: &str) -> String {
    let text = text.replace(host, "registry.test");
    let base64 = Regex::new("\"[A-Za-z0-9+/]{90,}=*\"").unwrap();
    let text = base64.replace_all(&text, "\"<base64>\"").into_owned();
    let digits = Regex::new("[0-9a-f]{12,}").unwrap();
    let mut seen: Vec<String> = Vec::new();
    let number = |run: &Captures<'_>| {
        let begin: String = run[0].chars().take(12).collect();
        let known = seen.iter().position(|other| *other == begin);
        let number = known.unwrap_or_else(|| {
            seen.push(begin);
            seen.len() - 1
        });
        format!("<{}{number:02}>", "#".repeat(run[0].len() - 4))
    };
    digits.replace_all(&text, number).into_owned()
}

/// Compares a report in all three forms.
fn snapshot(name: &str, reports: &[Report], host: &str) {
    let dir = root().join("tests/it/snapshots");
    for (suffix, format) in [
        ("txt", Format::Text),
        ("json", Format::Json),
        ("cosign.json", Format::CosignJson),
    ] {
        let out = written(reports, format, Look::default());
        match format {
            Format::Json => schema().hold(&serde_json::from_str(&out).unwrap()),
            Format::Text => narrow(&out),
            _ => {}
        }
        compare(&dir.join(format!("{name}.{suffix}")), &masked(&out, host));
    }
}

/// No line is wider than the page, but for a name that can't be broken.
fn narrow(text: &str) {
    for line in text.lines().filter(|line| line.chars().count() > 80) {
        let words: Vec<_> = line.split_whitespace().collect();
        let longest = words.iter().map(|word| word.chars().count()).max().unwrap();
        assert!(words.len() <= 3 && longest > 60, "too wide: {line}");
    }
}

/// The shop with every manifest looked at.
async fn shop(covers: Covers) -> Shop {
    let mut shop = Shop::open(Config::default()).await;
    shop.covers = covers;
    shop
}

#[tokio::test]
async fn an_allowed_index_with_everything_signed() {
    let mut shop = shop(Covers::IndexAndPlatforms).await;
    shop.sign(shop.index);
    shop.sign_legacy(shop.amd64, 1, true);
    shop.sign(shop.arm64);
    shop.scope.thoroughness = Thoroughness::Everything;
    let report = shop.ask_for(":1.0", None).await;
    snapshot("allowed-index", &[report], &shop.registry.host());
}

#[tokio::test]
async fn an_allowed_index_that_is_odd() {
    let mut shop = shop(Covers::Index).await;
    shop.scope.thoroughness = Thoroughness::Everything;
    let entries = [shop.amd64, shop.arm64].map(|image| shop.entry(image, "linux", "arm64"));
    let index = shop.put_index(&entries);
    shop.sign(index);
    let report = shop.ask(index).await;
    snapshot("odd-index", &[report], &shop.registry.host());
}

#[tokio::test]
async fn an_allowed_attestation_is_an_envelope_to_scripts_of_cosign() {
    let mut shop = shop(Covers::Index).await;
    let kind = "https://spdx.dev/Document";
    shop.demand = Demand::Attestation {
        predicate_types: vec![kind.to_owned()],
    };
    let content = Content::attestation(REPO, shop.index, kind, &serde_json::json!({"a": 1}));
    let minted = shop.minted(content.clone());
    shop.attach(shop.index, &minted);
    // Of another type, so it is not what was asked for.
    shop.attest(shop.index, "https://slsa.dev/provenance/v1");
    shop.scope.thoroughness = Thoroughness::Everything;
    let reports = [shop.ask(shop.index).await];
    let out = written(&reports, Format::CosignJson, Look::default());
    let lines: Vec<Value> = out
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(lines, [minted.bundle_json("0.3")["dsseEnvelope"].clone()]);
}

#[tokio::test]
async fn a_denied_index_whose_platforms_nobody_signed() {
    let shop = shop(Covers::IndexAndPlatforms).await;
    shop.sign(shop.index);
    shop.sign_legacy(shop.amd64, 1, false);
    let report = shop.ask(shop.index).await;
    snapshot("denied-index", &[report], &shop.registry.host());
}

#[tokio::test]
async fn a_tampered_signature_says_of_itself_whose_it_is() {
    let shop = shop(Covers::Index).await;
    let mut bundle = shop.minted(Content::image(shop.index)).bundle_json("0.3");
    let other = shop.minted(Content::image(shop.index)).bundle_json("0.3");
    bundle["dsseEnvelope"]["signatures"] = other["dsseEnvelope"]["signatures"].clone();
    shop.attach_bytes(shop.index, bundle.to_string().as_bytes());
    let report = shop.ask(shop.index).await;
    snapshot("tampered", &[report], &shop.registry.host());
}

#[tokio::test]
async fn a_registry_that_fails_is_neither_yes_nor_no() {
    let shop = shop(Covers::Index).await;
    let look_up = Fault::new(FaultKind::status(503)).path("/referrers/");
    shop.registry.inject(look_up);
    let report = shop.ask(shop.index).await;
    snapshot("undecided", &[report], &shop.registry.host());
}

#[tokio::test]
async fn an_image_that_is_not_there_has_no_digest() {
    let shop = shop(Covers::Index).await;
    let report = shop.ask_for(":2.0", None).await;
    snapshot("not-found", &[report], &shop.registry.host());
}

#[tokio::test]
async fn a_platform_covered_by_the_index_that_was_named() {
    let shop = shop(Covers::Index).await;
    let notes = BTreeMap::from([("env".to_owned(), "prod".to_owned())]);
    let content = Content::image_with(shop.index, &notes);
    shop.attach(shop.index, &shop.minted(content));
    let child = format!("@{}", shop.amd64);
    let report = shop.ask_for(&child, Some(shop.index)).await;
    snapshot("through-parent", &[report], &shop.registry.host());
}

#[tokio::test]
async fn a_legacy_signature_has_the_members_that_cosign_gives_it() {
    let shop = shop(Covers::Index).await;
    let notes = BTreeMap::from([("env".to_owned(), "prod".to_owned())]);
    let content = Content::simple_signing(REPO, shop.index, &notes);
    let payload: Value = serde_json::from_slice(content.payload()).unwrap();
    let layer = shop.minted(content).legacy_layer(LegacyChain::Full);
    let manifest = legacy_manifest(std::slice::from_ref(&layer));
    for blob in &manifest.blobs {
        shop.registry.put_blob(REPO, blob.clone());
    }
    let tag = format!("sha256-{}.sig", shop.index.hex());
    shop.registry
        .put_manifest(REPO, media_type::IMAGE, manifest.bytes(), Some(&tag));
    let reports = [shop.ask(shop.index).await];
    let out = written(&reports, Format::CosignJson, Look::default());
    let out: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(out[0]["critical"], payload["critical"]);
    let optional = &out[0]["optional"];
    assert_eq!(optional["env"], "prod");
    assert_eq!(optional["Subject"], shop.identity.san.value());
    assert_eq!(optional["githubWorkflowRepository"], REPO);
    for (member, annotation) in [
        ("Bundle", "dev.sigstore.cosign/bundle"),
        ("RFC3161Timestamp", "dev.sigstore.cosign/rfc3161timestamp"),
    ] {
        let own: Value = serde_json::from_str(&layer.annotations[annotation]).unwrap();
        assert_eq!(optional[member], own, "{member}");
    }
}

/// A gate over files.
struct Files {
    mint: Mint,
    key: SigningKey,
    rules: Rules,
    terms: Terms,
}

impl Files {
    fn new(who: &str) -> Self {
        let mint = Mint::new(now()).unwrap();
        let key = SigningKey::generate(KeyKind::P256).unwrap();
        let root = TrustRoot::parse(&mint.trusted_root().bytes(), &Limits::default()).unwrap();
        let mut terms = Terms::default();
        terms.log = LogTerm::Required;
        Self {
            rules: Rules {
                name: "command line".into(),
                signers: vec![
                    Signer {
                        name: "release".into(),
                        who: Who::Keyless {
                            root: root.id(),
                            issuer: Pattern::exact("https://accounts.acme.test").unwrap(),
                            subject: Pattern::exact(who).unwrap(),
                            claims: Vec::new(),
                        },
                    },
                    Signer {
                        name: "key".into(),
                        who: Who::Key(Digest::sha256(key.spki())),
                    },
                ],
                demand: Demand::FileSignature,
                annotations: Vec::new(),
                covers: Covers::Index,
                platforms: Vec::new(),
                signed_timestamp: SignedTimestamp::Optional,
                at: None,
            },
            mint,
            key,
            terms,
        }
    }

    fn ask(&self, name: &str, artifact: Artifact<'_>, orders: &[Order]) -> Report {
        let limits = Limits::default();
        let root = TrustRoot::parse(&self.mint.trusted_root().bytes(), &limits).unwrap();
        let key = pem("PUBLIC KEY", self.key.spki());
        let key = ManagedKey::parse(key.as_bytes(), &limits).unwrap();
        let evidence: Vec<_> = orders
            .iter()
            .map(|order| self.mint.sign(order).unwrap())
            .map(|minted| minted.bundle_bytes("0.3"))
            .map(|bytes| FileEvidence {
                digest: Digest::sha256(&bytes),
                bundle: Bundle::parse(&bytes, &limits),
            })
            .collect();
        let trusted = Trusted {
            root: Some(Arc::new(root)),
            keys: vec![Arc::new(key)],
        };
        let policy = Policy::new(self.rules.clone()).unwrap();
        Gate::new(policy, trusted, self.terms, Scope::default(), limits).admit_file(
            name,
            artifact,
            &evidence,
            now(),
        )
    }
}

const BYTES: &[u8] = b"a release";

fn message() -> Content {
    Content::Message(BYTES.to_vec())
}

#[test]
fn a_file_signed_with_a_key_under_relaxed_terms() {
    let mut files = Files::new("dev@acme.test");
    files.terms.log = LogTerm::InsecureNone;
    files.terms.clock_skew = 5;
    let mut order = Order::keyed(now(), &files.key, message());
    order.entries.clear();
    let report = files.ask("shop.tar.gz", Artifact::Bytes(BYTES), &[order]);
    snapshot("file-by-key", &[report], "no.host");
}

#[test]
fn a_file_as_of_a_time_before_it_was_signed() {
    let mut files = Files::new("dev@acme.test");
    files.rules.at = Some(now().plus_seconds(-60));
    let dev = email("dev@acme.test", "https://accounts.acme.test");
    let order = Order::keyless(now(), &dev, message());
    let report = files.ask("shop.tar.gz", Artifact::Bytes(BYTES), &[order]);
    assert!(text(std::slice::from_ref(&report)).contains("AS OF 2026-06-01T11:59:00Z"));
    snapshot("file-as-of", &[report], "no.host");
}

/// What a terminal obeys, what hides, and what looks like something else.
const HOSTILE: &str =
    "a\u{1b}[2Jb\nALLOW c\u{202e}d\u{9b}e\u{200b}f\u{430}g\u{e0041}h\u{61c}i\r\u{2028}j";

/// The part of it that a certificate may hold: control characters are refused there.
const DISGUISED: &str = "c\u{202e}d\u{200b}f\u{430}g\u{e0041}h\u{61c}\u{2028}j";

#[test]
fn hostile_text_never_reaches_a_terminal() {
    let mut files = Files::new("dev@acme.test");
    files.rules.demand = Demand::Signature;
    let notes = BTreeMap::from([(HOSTILE.to_owned(), HOSTILE.to_owned())]);
    let content = Content::image_with(Digest::sha256(BYTES), &notes);
    let mut stranger = email("x@acme.test", "https://accounts.acme.test");
    stranger.issuer = format!("https://accounts.acme.test/{DISGUISED}");
    let mut named = email("dev@acme.test", "https://accounts.acme.test");
    assert!(
        named
            .claims
            .insert(scgate::model::Claim::SourceRepositoryUri, DISGUISED.into())
    );
    let orders = [
        Order::keyless(now(), &stranger, content.clone()),
        Order::keyless(now(), &named, content),
    ];
    let artifact = Artifact::Digest(Digest::sha256(BYTES));
    let report = files.ask(HOSTILE, artifact, &orders);
    assert_eq!(
        report.decision.outcome().name(),
        "allow",
        "{:?}",
        report.decision
    );
    let reports = [report];
    for format in [Format::Text, Format::Json, Format::CosignJson] {
        let out = written(&reports, format, Look::default());
        for bad in [
            '\u{1b}',
            '\u{202e}',
            '\u{9b}',
            '\u{200b}',
            '\u{e0041}',
            '\u{61c}',
            '\r',
            '\u{2028}',
        ] {
            assert!(!out.contains(bad), "{bad:?} in {format:?}");
        }
        assert!(!out.contains("\nALLOW c"), "{out}");
    }
    // Machines still get every character, people see each that is not ASCII.
    let document = json(&reports);
    let findings = &document["reports"][0]["subjects"][0]["findings"];
    assert_eq!(
        findings[0]["signer"]["issuer"],
        Value::from(stranger.issuer)
    );
    assert_eq!(findings[1]["annotations"][HOSTILE], HOSTILE);
    assert!(text(&reports).contains("f\\u{430}g"));
}

#[test]
fn names_that_are_longer_than_a_line_stand_whole() {
    let one = format!("{}@acme.test", "long.".repeat(60));
    let other = one.replace("@acme", "@acmf");
    let files = Files::new(&one);
    let orders = [&one, &other]
        .map(|who| Order::keyless(now(), &email(who, "https://accounts.acme.test"), message()));
    let report = files.ask("file", Artifact::Bytes(BYTES), &orders);
    let out = text(&[report]);
    assert!(out.contains(&format!(" {one}\n")) && out.contains(&format!(" {other}\n")));
}

#[tokio::test]
async fn colour_changes_nothing_but_colour() {
    let shop = shop(Covers::IndexAndPlatforms).await;
    shop.sign(shop.index);
    let reports = [shop.ask(shop.index).await, shop.ask(shop.amd64).await];
    let plain = text(&reports);
    let mut bare = written(&reports, Format::Text, Look::new(80, Colour::Always));
    assert!(bare.contains("\u{1b}[1;31mDENY\u{1b}[0m"));
    for code in ["1;31", "1;32", "1;33", "1", "0"] {
        bare = bare.replace(&format!("\u{1b}[{code}m"), "");
    }
    assert_eq!(bare, plain);
    assert!(plain.ends_with("2 references: 0 allowed, 2 denied, 0 undecided\n"));
    let wide = written(&reports, Format::Text, Look::new(200, Colour::Never));
    assert!(wide.lines().count() < plain.lines().count());
}

#[tokio::test]
async fn attestations_for_platforms_of_which_one_is_gone() {
    let mut shop = shop(Covers::Platforms).await;
    let predicate_types = vec!["https://spdx.dev/Document".to_owned()];
    shop.demand = Demand::Attestation { predicate_types };
    shop.attest(shop.amd64, "https://spdx.dev/Document");
    let mut gone = shop.entry(shop.arm64, "linux", "arm64");
    gone["digest"] = Digest::sha256(b"gone").to_string().into();
    let index = shop.put_index(&[shop.entry(shop.amd64, "linux", "amd64"), gone]);
    shop.platforms = ["linux/amd64", "linux/arm64", "linux/riscv64"]
        .iter()
        .filter_map(|platform| Platform::parse(platform))
        .collect();
    let report = shop.ask(index).await;
    snapshot("attestations", &[report], &shop.registry.host());
}

#[tokio::test]
async fn more_manifests_than_a_decision_may_have() {
    let mut shop = shop(Covers::IndexAndPlatforms).await;
    shop.sign_legacy(shop.amd64, 0, true);
    shop.limits.manifests = 2;
    let report = shop.ask(shop.index).await;
    snapshot("too-many", &[report], &shop.registry.host());
}

#[test]
fn the_schema_has_no_member_that_nothing_writes() {
    let mut schema = schema();
    let masks = Regex::new("<#+[0-9]{2}>").unwrap();
    for file in fs::read_dir(root().join("tests/it/snapshots")).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.ends_with(".json") || name.ends_with(".cosign.json") {
            continue;
        }
        // Digests are masked there: of their members only the names are of interest.
        let text = fs::read_to_string(&path).unwrap();
        let text = masks.replace_all(&text, |mask: &Captures<'_>| "0".repeat(mask[0].len()));
        schema.hold(&serde_json::from_str(&text).unwrap());
    }
    // What an unread or nested parent would have, every subject has.
    let unmet = schema.unmet();
    let expected = ["parent/gaps", "parent/platform", "parent/unread"];
    assert_eq!(unmet, expected);
}

#[test]
fn every_code_has_words_and_the_page_says_the_same() {
    let mut page = fs::read_to_string(root().join("docs/deny-codes.md")).unwrap();
    page.truncate(page.find("\n## ").unwrap());
    for code in DenyCode::ALL {
        for words in [meaning(*code), cause(*code), remedy(*code)] {
            assert!(words.ends_with('.') && !words.contains("  "), "{words}");
        }
        let outcome = match code.outcome() {
            Outcome::Deny => "deny",
            Outcome::Undecided => "undecided",
        };
        page.push_str(&format!(
            "\n## {code}\n\n{}\n\n- Outcome: {outcome}\n- Usual cause: {}\n- Remedy: {}\n",
            meaning(*code),
            cause(*code),
            remedy(*code)
        ));
    }
    compare(&root().join("docs/deny-codes.md"), &page);
}
