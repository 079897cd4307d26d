//! What other clients make of what scgate wrote: cosign's own tree, copy and save, and crane, oras,
//! skopeo and `oci-client`, which know nothing of signatures and must find manifests and layers whose
//! digests are right.

use core::time::Duration;
use std::collections::BTreeSet;
use std::fs;
use std::sync::Mutex;

use oci_client::Client;
use oci_client::Reference;
use oci_client::client::ClientConfig;
use oci_client::client::ClientProtocol;
use oci_client::secrets::RegistryAuth;
use scgate::model::Digest;
use scgate::model::media_type;
use serde_json::Value;

use super::ISSUER;
use super::Keyless;
use super::Pushed;
use super::RELEASE;
use super::ROOT;
use super::Rfc3161;
use super::V1;
use super::Way;
use super::World;
use super::identity;
use crate::peers::Answer;
use crate::peers::Listing::FallbackTag;
use crate::peers::Listing::Referrers;
use crate::peers::Ring;
use crate::peers::say;

/// The programs whose absence was said.
static MISSED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

const WAY: Way = Way::new(Keyless, "bundle,legacy", V1, Rfc3161);

#[tokio::test(flavor = "multi_thread")]
async fn everybody_reads_what_is_written() {
    if Ring::find().is_none() {
        return;
    }
    for listing in [Referrers, FallbackTag] {
        if let Some(world) = World::open(WAY.on(listing)).await {
            world.is_read_by_all().await;
        }
    }
    if let Some(world) = World::with_distribution(WAY).await {
        world.is_read_by_all().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cosign_lists_downloads_copies_and_saves() {
    if Ring::find().is_none() {
        return;
    }
    for listing in [Referrers, FallbackTag] {
        for formats in ["bundle", "legacy"] {
            let way = Way::new(Keyless, formats, V1, Rfc3161).on(listing);
            if let Some(world) = World::open(way).await {
                world.goes_through_cosign();
            }
        }
    }
}

impl World {
    /// Signs and attests an image.
    fn evidence(&self) -> Pushed {
        let image = self.push("shop/read", "hello");
        self.must("sign", &["--recursive", "-a", "env=prod", &image.reference]);
        fs::write(self.ring.scratch().join("custom"), "{\"a\":1}")
            .expect("the scratch is writable");
        self.must("attest", &["--predicate=custom", &image.reference]);
        image
    }

    fn crane_text(&self, words: &[&str]) -> String {
        let answer = self
            .ring
            .run("crane", &[], words)
            .expect("it is in every ring");
        assert_eq!(answer.exit, Some(0), "{answer}");
        answer.stdout
    }

    /// The digests of everything that was written about the index of an image.
    fn written_manifests(&self, image: &Pushed) -> Vec<(String, Digest)> {
        let (name, digest) = image.reference.split_once('@').expect("a digest");
        let tag = digest.replace(':', "-");
        let mut found = Vec::new();
        for suffix in [".sig", ".att"] {
            let reference = format!("{name}:{tag}{suffix}");
            let bytes = self.crane_text(&["manifest", "--insecure", &reference]);
            found.push((
                reference,
                Digest::sha256(bytes.trim_end_matches('\n').as_bytes()),
            ));
        }
        let listed = if self.way.listing == FallbackTag {
            let index = self.crane_text(&["manifest", "--insecure", &format!("{name}:{tag}")]);
            let index: Value = serde_json::from_str(&index).expect("an index is JSON");
            index["manifests"].as_array().cloned().unwrap_or_default()
        } else {
            self.referrers(name, digest)
        };
        assert_eq!(listed.len(), 2, "a signature and a statement: {listed:?}");
        for entry in listed {
            if self.way.listing == FallbackTag {
                // What a registry says about it is the registry's own: go-containerregistry's names
                // the type of the configuration.
                let bundle = "application/vnd.dev.sigstore.bundle.v0.3+json";
                assert_eq!(entry["artifactType"], bundle, "{entry}");
                let kind = &entry["annotations"]["dev.sigstore.bundle.content"];
                assert_eq!(kind, "dsse-envelope", "{entry}");
            }
            let digest: Digest = entry["digest"]
                .as_str()
                .unwrap_or_default()
                .parse()
                .expect("a digest");
            found.push((format!("{name}@{digest}"), digest));
        }
        found
    }

    async fn is_read_by_all(&self) {
        let image = self.evidence();
        let written = self.written_manifests(&image);
        for (reference, digest) in &written {
            let digest = digest.to_string();
            assert_eq!(
                self.crane_text(&["digest", "--insecure", reference]).trim(),
                digest
            );
            self.same("oras", &["resolve", "--plain-http", reference], &digest);
            let docker = format!("docker://{reference}");
            let inspect = ["inspect", "--tls-verify=false", "--raw", &docker];
            if let Some(answer) = self.optional("skopeo", &inspect) {
                let own = Digest::sha256(answer.stdout.trim_end_matches('\n').as_bytes());
                assert_eq!(own.to_string(), digest, "{answer}");
            }
        }
        let (legacy, bundles) = written.split_at(2);
        for (reference, _) in legacy {
            // It is an image, with layers and a configuration that fit each other.
            let read = |what: &str| -> Value {
                let text = self.crane_text(&[what, "--insecure", reference]);
                serde_json::from_str(&text).expect("an image has JSON alone")
            };
            let layers = read("manifest")["layers"].as_array().cloned();
            let layers = layers.unwrap_or_default().into_iter();
            let digests: Vec<_> = layers.map(|layer| layer["digest"].clone()).collect();
            assert_eq!(read("config")["rootfs"]["diff_ids"], Value::from(digests));
            let copy = format!("docker://{}/shop/skopeo:legacy", self.registry.address);
            let from = format!("docker://{reference}");
            let copy = [
                "--insecure-policy",
                "copy",
                "--src-tls-verify=false",
                "--dest-tls-verify=false",
                "--preserve-digests",
                &from,
                &copy,
            ];
            self.optional("skopeo", &copy);
        }
        for (number, (reference, _)) in bundles.iter().enumerate() {
            let pulled = format!("pulled-{number}");
            let words = ["pull", "--plain-http", "--output", &pulled, reference];
            self.optional("oras", &words);
            let copy = format!("{}/shop/oras:copy-{number}", self.registry.address);
            self.optional(
                "oras",
                &[
                    "copy",
                    "--from-plain-http",
                    "--to-plain-http",
                    reference,
                    &copy,
                ],
            );
        }
        let discover = [
            "discover",
            "--plain-http",
            "--format=json",
            &image.reference,
        ];
        if let Some(answer) = self.optional("oras", &discover) {
            for (_, digest) in bundles {
                assert!(answer.stdout.contains(&digest.to_string()), "{answer}");
            }
        }
        for (reference, digest) in &written {
            let reference: Reference = reference.parse().expect("a reference");
            self.read_by_library(&reference, *digest).await;
        }
    }

    /// `oci-client` reads a manifest and its layers.
    async fn read_by_library(&self, reference: &Reference, digest: Digest) {
        // Another test may have been faster, with the same one.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let config = ClientConfig {
            protocol: ClientProtocol::Http,
            read_timeout: Some(Duration::from_secs(30)),
            ..ClientConfig::default()
        };
        let client = Client::try_from(config).expect("a client can be made");
        let auth = RegistryAuth::Anonymous;
        let types = [media_type::IMAGE];
        let pulled = client.pull_manifest_raw(reference, &auth, &types).await;
        let (bytes, said) = pulled.expect("the manifest can be pulled");
        assert_eq!(said, digest.to_string());
        assert!(digest.matches(&bytes));
        let pulled = client.pull_image_manifest(reference, &auth).await;
        let (manifest, _) = pulled.expect("the manifest can be read");
        for layer in &manifest.layers {
            let mut body = Vec::new();
            let read = client.pull_blob(reference, layer, &mut body).await;
            read.expect("the layer can be pulled");
            assert_eq!(Digest::sha256(&body).to_string(), layer.digest);
        }
        assert!(!manifest.layers.is_empty());
    }

    fn goes_through_cosign(&self) {
        let image = self.evidence();
        let tree = self.ring.cosign(["tree", &image.reference]);
        assert_eq!(tree.exit, Some(0), "{tree}");
        let is_bundle = self.way.has("bundle");
        if !is_bundle {
            for word in [
                "Signatures for an image tag",
                "Attestations for an image tag",
            ] {
                assert!(tree.stdout.contains(word), "{tree}");
            }
        }
        for what in ["signature", "attestation"] {
            let words = ["download", what, &image.reference];
            let answer = self.ring.cosign(words);
            assert_eq!(answer.exit, Some(0), "{answer}");
            assert!(answer.stdout.starts_with('{'), "{answer}");
        }
        // Copied, it verifies there. cosign copies what has a tag; the bundles go with oras.
        let copy = format!("{}/shop/copied:v1", self.registry.address);
        let there = self.at("shop/copied", &image.index);
        let copied = self.ring.cosign(["copy", &image.reference, &copy]);
        assert_eq!(copied.exit, Some(0), "{copied}");
        if is_bundle {
            let to = format!("{}/shop/taken:v1", self.registry.address);
            let words = [
                "copy",
                "--recursive",
                "--from-plain-http",
                "--to-plain-http",
                &image.reference,
                &to,
            ];
            if self.optional("oras", &words).is_some() {
                self.verifies(&["-a", "env=prod"], &self.at("shop/taken", &image.index));
            }
        } else {
            self.verifies(&["-a", "env=prod"], &there);
        }
        // It leaves the image itself under the tag that lists referrers where the API is absent. That
        // stays as it is, so that no bundle can be listed there.
        let words = ["--recursive", "--again", &there];
        if is_bundle && self.way.listing == FallbackTag {
            let refused = self.scgate("sign", &words);
            assert_eq!(refused.exit, Some(3), "{refused}");
            let tag = format!(
                "{}/shop/copied:sha256-{}",
                self.registry.address,
                image.index.hex()
            );
            let left = self.crane_text(&["digest", "--insecure", &tag]);
            assert_eq!(left.trim(), image.index.to_string());
        } else {
            self.must("sign", &words);
            let copied = image
                .manifests
                .iter()
                .map(|digest| self.at("shop/copied", digest));
            self.put(copied.flat_map(|one| self.questions(&one)));
        }
        self.goes_through_a_layout(&image);
    }

    /// `cosign save` and `cosign load`, and a signature in a layout between them.
    fn goes_through_a_layout(&self, image: &Pushed) {
        let saved = self.ring.cosign(["save", "--dir=saved", &image.reference]);
        assert_eq!(saved.exit, Some(0), "{saved}");
        let index = fs::read_to_string(self.ring.scratch().join("saved/index.json"));
        let index = index.expect("a layout has an index");
        // Of an index, cosign leaves the bundles out of the list, so that nobody finds them.
        let is_listed = index.contains("sigs") || index.contains("sigstore.bundle");
        assert!(is_listed || self.way.has("bundle"), "{index}");
        let who = identity(RELEASE);
        let digest = image.index.to_string();
        let from_layout = |layout: &str| {
            let layout = format!("--layout={layout}");
            let words = ["verify", &who, ISSUER, ROOT, &layout, &digest];
            self.ring.scgate(words)
        };
        let answer = from_layout("saved");
        assert_eq!(
            answer.exit == Some(0),
            is_listed,
            "{:?}\n{answer}",
            self.way
        );
        let local = |layout: &str| {
            let old = "--new-bundle-format=false";
            let words = ["verify", &who, ISSUER, ROOT, "--local-image", old, layout];
            let answer = self.ring.cosign(words);
            assert_eq!(answer.exit, Some(0), "{:?}\n{answer}", self.way);
        };
        if !self.way.has("bundle") {
            local("saved");
        }
        // What is signed in a layout is signed where it is loaded to.
        let unsigned = self.push("shop/unsigned", "in a layout");
        let saved = self
            .ring
            .cosign(["save", "--dir=bare", &unsigned.reference]);
        assert_eq!(saved.exit, Some(0), "{saved}");
        self.must("sign", &["--layout=bare", &unsigned.index.to_string()]);
        let words = ["verify", &who, ISSUER, ROOT, "--layout=bare"];
        let answer = self.ring.scgate(words);
        assert_eq!(answer.exit, Some(0), "{:?}\n{answer}", self.way);
        if !self.way.has("bundle") {
            local("bare");
            let to = format!("{}/shop/loaded:v1", self.registry.address);
            let loaded = self.ring.cosign(["load", "--dir=bare", &to]);
            assert_eq!(loaded.exit, Some(0), "{loaded}");
            self.verifies(&[], &self.at("shop/loaded", &unsigned.index));
        }
    }

    fn verifies(&self, flags: &[&str], reference: &str) {
        let mut questions = self.questions(reference);
        for question in &mut questions {
            question
                .words
                .extend(flags.iter().map(|&flag| flag.to_owned()));
        }
        self.put(questions);
    }

    /// A program of the full ring, with success; nothing, loudly, where it is absent.
    fn optional(&self, program: &str, words: &[&str]) -> Option<Answer> {
        let answer = self.ring.run(program, &[], words);
        match &answer {
            Some(answer) => assert_eq!(answer.exit, Some(0), "{answer}"),
            None => {
                let mut missed = MISSED.lock().expect("nobody panics here");
                if missed.insert(program.to_owned()) {
                    say(&format!("SKIPPED {program}: the full ring has it"));
                }
            }
        }
        answer
    }

    fn same(&self, program: &str, words: &[&str], expected: &str) {
        if let Some(answer) = self.optional(program, words) {
            assert_eq!(answer.stdout.trim(), expected, "{answer}");
        }
    }
}
