//! The layouts that `sigstore-verify` does not read, judged part by part: by the `p256` crate, by
//! `sigstore-merkle`, and by the model's own manifest parser.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::Signature;
use p256::ecdsa::VerifyingKey;
use p256::ecdsa::signature::Verifier;
use scgate::model::Descriptor;
use scgate::model::Digest;
use scgate::model::ImageManifest;
use scgate::model::Limits;
use scgate::model::Manifest;
use scgate::model::media_type;
use scgate::sandbox::mint::Content;
use scgate::sandbox::mint::EntryOrder;
use scgate::sandbox::mint::Hook;
use scgate::sandbox::mint::Imprint;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::LegacyChain;
use scgate::sandbox::mint::Mint;
use scgate::sandbox::mint::Order;
use scgate::sandbox::mint::SigningKey;
use scgate::sandbox::mint::bundle_referrer;
use scgate::sandbox::mint::experimental_manifest;
use scgate::sandbox::mint::leaf;
use scgate::sandbox::mint::legacy_manifest;
use scgate::sandbox::mint::pae;
use serde_json::Value;

use super::ARTIFACT;
use super::identity;
use super::message;
use super::now;
use super::statement;

fn decode(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

fn p256_accepts(key: &SigningKey, message: &[u8], signature: &[u8]) -> bool {
    let key = VerifyingKey::from_sec1_bytes(key.raw()).unwrap();
    key.verify(message, &Signature::from_der(signature).unwrap())
        .is_ok()
}

fn simple_signing() -> Content {
    let digest = Digest::sha256(ARTIFACT);
    Content::simple_signing("registry.test/acme/shop", digest, &BTreeMap::new())
}

/// The members of a Rekor bundle, after its promise was verified over what cosign rebuilds.
fn promised(mint: &Mint, bundle: &Value) -> Value {
    let payload = &bundle["Payload"];
    let text = format!(
        r#"{{"body":{},"integratedTime":{},"logID":{},"logIndex":{}}}"#,
        payload["body"], payload["integratedTime"], payload["logID"], payload["logIndex"],
    );
    let promise = decode(&bundle["SignedEntryTimestamp"]);
    assert!(p256_accepts(&mint.rekor1.key, text.as_bytes(), &promise));
    serde_json::from_slice(&decode(&payload["body"])).unwrap()
}

#[test]
fn a_legacy_signature_holds_together() {
    let mint = Mint::new(now()).unwrap();
    let minted = mint
        .sign(&Order::keyless(now(), &identity(), simple_signing()))
        .unwrap();
    let layer = minted.legacy_layer(LegacyChain::Full);
    let note = |key: &str| layer.annotations[key].as_str();
    let signature = note("dev.cosignproject.cosign/signature");
    assert!(p256_accepts(
        &minted.key,
        &layer.bytes,
        &decode(&signature.into())
    ));

    let bundle: Value = serde_json::from_str(note("dev.sigstore.cosign/bundle")).unwrap();
    let body = promised(&mint, &bundle);
    let hash = Digest::sha256(&layer.bytes).hex();
    assert_eq!(body["spec"]["data"]["hash"]["value"], hash);
    assert_eq!(body["spec"]["signature"]["content"], signature);
    let certificate = decode(&body["spec"]["signature"]["publicKey"]["content"]);
    assert_eq!(
        certificate,
        note("dev.sigstore.cosign/certificate").as_bytes()
    );
    assert_eq!(
        note("dev.sigstore.cosign/chain").matches("BEGIN").count(),
        2
    );
    assert_eq!(
        minted.legacy_layer(LegacyChain::Empty).annotations["dev.sigstore.cosign/chain"],
        ""
    );
}

#[test]
fn a_legacy_attestation_is_logged_as_it_is_stored() {
    let mint = Mint::new(now()).unwrap();
    let mut order = Order::keyless(now(), &identity(), statement());
    order.timestamps[0].imprint = Imprint::Envelope;
    let minted = mint.sign(&order).unwrap();
    let layer = minted.legacy_layer(LegacyChain::Full);
    let envelope: Value = serde_json::from_slice(&layer.bytes).unwrap();
    let pae = pae(media_type::IN_TOTO, &decode(&envelope["payload"]));
    let signature = decode(&envelope["signatures"][0]["sig"]);
    assert!(p256_accepts(&minted.key, &pae, &signature));

    let bundle = serde_json::from_str(&layer.annotations["dev.sigstore.cosign/bundle"]).unwrap();
    let body = promised(&mint, &bundle);
    let hash = Digest::sha256(&layer.bytes).hex();
    assert_eq!(body["spec"]["envelopeHash"]["value"], hash);
    assert_eq!(layer.annotations["dev.cosignproject.cosign/signature"], "");
    assert_eq!(
        layer.annotations["predicateType"],
        "https://sigstore.dev/cosign/sign/v1"
    );
}

#[test]
fn a_legacy_blob_bundle_holds_together() {
    let mint = Mint::new(now()).unwrap();
    let key = SigningKey::generate(KeyKind::P256).unwrap();
    let minted = mint.sign(&Order::keyed(now(), &key, message())).unwrap();
    let bundle = minted.legacy_blob_bundle();
    assert!(p256_accepts(
        &key,
        ARTIFACT,
        &decode(&bundle["base64Signature"])
    ));
    assert_eq!(decode(&bundle["cert"]), key.public_pem().as_bytes());
    promised(&mint, &bundle["rekorBundle"]);
}

/// The manifest as the gate parses it, after every blob was found under its digest.
fn parsed(artifact: &scgate::sandbox::mint::Artifact) -> ImageManifest {
    let limits = Limits::default();
    let served_as = Some(media_type::IMAGE);
    let bytes = artifact.bytes();
    let parsed = Manifest::parse(&bytes, served_as, limits.index_entries, &limits);
    let Ok(Manifest::Image(manifest)) = parsed else {
        panic!("not an image manifest: {}", artifact.manifest);
    };
    let descriptors = core::iter::once(&manifest.config).chain(&manifest.layers);
    for (descriptor, blob) in descriptors.zip(&artifact.blobs) {
        assert!(descriptor.digest.matches(blob));
        assert_eq!(descriptor.size, u64::try_from(blob.len()).unwrap());
    }
    assert_eq!(manifest.layers.len() + 1, artifact.blobs.len());
    manifest
}

#[test]
fn manifests_name_what_they_hold() {
    let mint = Mint::new(now()).unwrap();
    let subject = Descriptor::new(media_type::IMAGE.into(), Digest::sha256(ARTIFACT), 17);
    let minted = mint
        .sign(&Order::keyless(now(), &identity(), simple_signing()))
        .unwrap();
    let layers = [
        minted.legacy_layer(LegacyChain::Full),
        minted.legacy_layer(LegacyChain::Empty),
    ];
    let manifest = parsed(&legacy_manifest(&layers));
    assert_eq!(manifest.layers[0].media_type, media_type::SIMPLE_SIGNING);
    assert_eq!(manifest.layers[0].annotations, layers[0].annotations);
    assert!(manifest.subject.is_none());

    let manifest = parsed(&experimental_manifest(&layers, &subject));
    assert_eq!(
        manifest.artifact_type.as_deref(),
        Some(media_type::COSIGN_OCI11)
    );
    assert_eq!(manifest.subject.unwrap().digest, subject.digest);

    let minted = mint
        .sign(&Order::keyless(now(), &identity(), statement()))
        .unwrap();
    let bundle = minted.bundle_bytes("0.3");
    let manifest = parsed(&bundle_referrer(&bundle, &subject, now()));
    assert!(
        manifest
            .artifact_type
            .unwrap()
            .starts_with(media_type::BUNDLE_PREFIX)
    );
    assert_eq!(manifest.subject.unwrap().digest, subject.digest);
    let predicate_type = &manifest.annotations["dev.sigstore.bundle.predicateType"];
    assert_eq!(predicate_type, "https://sigstore.dev/cosign/sign/v1");
}

#[test]
fn inclusion_proofs_hold_in_trees_of_every_shape() {
    let mint = Mint::new(now()).unwrap();
    let mut order = Order::keyless(now(), &identity(), message()).without_timestamps();
    order.entries.clear();
    for tree_size in 1..=9 {
        for index in 0..tree_size {
            order.entries.push(EntryOrder {
                index,
                tree_size,
                ..EntryOrder::v2()
            });
        }
    }
    for entry in mint.sign(&order).unwrap().entries {
        let proof = entry.proof.unwrap();
        let hash = |bytes: &[u8]| sigstore_types::Sha256Hash::try_from(bytes).unwrap();
        let hashes: Vec<_> = proof.hashes.iter().map(|h| hash(h)).collect();
        let verdict = sigstore_merkle::verify_inclusion_proof(
            &hash(&leaf(&entry.body)),
            proof.log_index.try_into().unwrap(),
            proof.tree_size.try_into().unwrap(),
            &hashes,
            &hash(&proof.root),
        );
        assert!(
            verdict.is_ok(),
            "{} of {}",
            proof.log_index,
            proof.tree_size
        );
    }
}

#[test]
fn a_change_before_signing_reaches_everything_that_is_signed_later() {
    let mint = Mint::new(now()).unwrap();
    let mut order = Order::keyless(now(), &identity(), simple_signing());
    order.signature = Hook::new(|signature: &mut Vec<u8>| signature.reverse());
    order.certificate.as_mut().unwrap().encoded = Hook::new(|der: &mut Vec<u8>| der.push(0));
    let minted = mint.sign(&order).unwrap();
    assert!(!minted.signature.starts_with(&[0x30]));
    let layer = minted.legacy_layer(LegacyChain::Full);
    let bundle = serde_json::from_str(&layer.annotations["dev.sigstore.cosign/bundle"]).unwrap();
    let body = promised(&mint, &bundle);
    assert_eq!(
        decode(&body["spec"]["signature"]["content"]),
        minted.signature
    );
    let certificate = decode(&body["spec"]["signature"]["publicKey"]["content"]);
    assert_eq!(
        certificate,
        layer.annotations["dev.sigstore.cosign/certificate"].as_bytes()
    );
}
