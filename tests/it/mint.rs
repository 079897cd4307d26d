//! The mint against independent judges: `sigstore-verify` decides whether what it makes is right.
//!
//! Here nothing of scgate's own verification is used, so that a mistake which both sides share
//! cannot hide.

mod flaws;
mod layouts;

use scgate::model::Digest;
use scgate::model::Identity;
use scgate::model::Timestamp;
use scgate::sandbox::mint::Content;
use scgate::sandbox::mint::EntryKind;
use scgate::sandbox::mint::GithubActions;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::Mint;
use scgate::sandbox::mint::Minted;
use scgate::sandbox::mint::Order;
use scgate::sandbox::mint::SigningKey;
use scgate::sandbox::mint::email;
use scgate::sandbox::mint::root::TrustedRoot;
use scgate::sandbox::mint::spiffe;
use sigstore_verify::PublicKeyVerificationPolicy;
use sigstore_verify::VerificationPolicy;
use sigstore_verify::types::Bundle;
use sigstore_verify::types::DerPublicKey;

const ARTIFACT: &[u8] = b"an image manifest";

fn now() -> Timestamp {
    Timestamp::parse("2026-06-01T12:00:00Z").unwrap()
}

fn identity() -> Identity {
    GithubActions::push("acme/shop", "release.yml").identity()
}

fn message() -> Content {
    Content::Message(ARTIFACT.to_vec())
}

fn statement() -> Content {
    Content::image(Digest::sha256(ARTIFACT))
}

/// What sigstore-rust says of a bundle by `identity`, or of a managed key.
fn judge(
    root: &TrustedRoot,
    minted: &Minted,
    version: &str,
    who: Option<&Identity>,
) -> Result<(), String> {
    let root = String::from_utf8(root.bytes()).unwrap();
    let root = sigstore_trust_root::TrustedRoot::from_json(&root).map_err(|e| e.to_string())?;
    let bundle = String::from_utf8(minted.bundle_bytes(version)).unwrap();
    let bundle = Bundle::from_json(&bundle).map_err(|e| e.to_string())?;
    let verdict = match who {
        Some(identity) => {
            let policy = VerificationPolicy::new(identity.san.value(), &identity.issuer);
            sigstore_verify::verify(ARTIFACT, &bundle, &policy, &root)
        }
        None => {
            let key = DerPublicKey::new(minted.key.spki().to_vec());
            let policy = PublicKeyVerificationPolicy::new(key);
            sigstore_verify::verify(ARTIFACT, &bundle, &policy, &root)
        }
    };
    verdict.map(|_| ()).map_err(|error| error.to_string())
}

#[test]
fn an_independent_verifier_accepts_every_default() {
    let mint = Mint::new(now()).unwrap();
    let root = mint.trusted_root();
    for (name, content, kind) in [
        ("message", message(), None),
        ("dsse", statement(), None),
        ("intoto", statement(), Some(EntryKind::Intoto2)),
    ] {
        let mut order = Order::keyless(now(), &identity(), content);
        order.entries[0].kind = kind;
        for (stamped, order) in [(true, order.clone()), (false, order.without_timestamps())] {
            let minted = mint.sign(&order).unwrap();
            for version in ["0.1", "0.2", "0.3"] {
                let verdict = judge(&root, &minted, version, Some(&identity()));
                assert_eq!(verdict, Ok(()), "{name} {version} stamped: {stamped}");
            }
        }
    }
    for content in [message(), statement()] {
        let order = Order::keyless(now(), &identity(), content).rekor2();
        let minted = mint.sign(&order).unwrap();
        assert_eq!(judge(&root, &minted, "0.3", Some(&identity())), Ok(()));
        let unstamped = mint.sign(&order.without_timestamps()).unwrap();
        let verdict = judge(&root, &unstamped, "0.3", Some(&identity()));
        assert!(verdict.unwrap_err().contains("time"));
    }
}

#[test]
fn an_independent_verifier_accepts_every_identity_and_key() {
    let mint = Mint::new(now()).unwrap();
    let root = mint.trusted_root();
    let mut reusable = GithubActions::push("acme/shop", "release.yml");
    reusable.reusable = Some("acme/ci/.github/workflows/sign.yml@refs/tags/v1".to_owned());
    reusable.environment = Some("prod".to_owned());
    for identity in [
        reusable.identity(),
        email("dev@acme.test", "https://accounts.acme.test"),
        spiffe("spiffe://acme.test/ci", "https://spire.acme.test"),
    ] {
        let order = Order::keyless(now(), &identity, statement());
        let minted = mint.sign(&order).unwrap();
        assert_eq!(judge(&root, &minted, "0.3", Some(&identity)), Ok(()));
    }
    for kind in [
        KeyKind::P256,
        KeyKind::P384,
        KeyKind::Ed25519,
        KeyKind::Rsa2048,
    ] {
        let key = SigningKey::generate(kind).unwrap();
        // The judge knows no other key on Rekor v2.
        if kind == KeyKind::P256 {
            let order = Order::keyed(now(), &key, message()).rekor2();
            let minted = mint.sign(&order).unwrap();
            assert_eq!(judge(&root, &minted, "0.3", None), Ok(()));
        }
        let order = Order::keyed(now(), &key, statement());
        let minted = mint.sign(&order).unwrap();
        assert_eq!(judge(&root, &minted, "0.3", None), Ok(()), "{kind:?}");
        let mut order = Order::keyless(now(), &identity(), statement());
        order.key = Some(key);
        let minted = mint.sign(&order).unwrap();
        assert_eq!(
            judge(&root, &minted, "0.3", Some(&identity())),
            Ok(()),
            "{kind:?}"
        );
    }
}
