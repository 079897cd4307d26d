//! cosign's signatures beside scgate's, on one digest: whoever comes later adds, and touches nothing of
//! what was there.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;

use super::ISSUER;
use super::Keyless;
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

/// Who signs when: each has a workflow of its own.
const TURNS: [(&str, &str); 5] = [
    ("cosign", "first.yml"),
    ("scgate", "second.yml"),
    ("cosign", "third.yml"),
    ("scgate", "fourth.yml"),
    ("cosign2", "fifth.yml"),
];

#[tokio::test(flavor = "multi_thread")]
async fn all_stay_and_verify() {
    if Ring::find().is_none() {
        return;
    }
    for (format, listing) in [
        ("bundle", Referrers),
        ("bundle", FallbackTag),
        ("legacy", Referrers),
    ] {
        let way = Way::new(Keyless, format, V1, Rfc3161).on(listing);
        if let Some(world) = World::open(way).await {
            world.take_turns("go-containerregistry");
        }
    }
    for format in ["bundle", "legacy"] {
        let way = Way::new(Keyless, format, V1, Rfc3161);
        if let Some(world) = World::with_distribution(way).await {
            world.take_turns("distribution");
        }
    }
}

impl World {
    fn take_turns(&self, registry: &str) {
        let image = self.push("shop/beside", "hello");
        let mut signed = Vec::new();
        let mut before = self.written(&image.reference);
        assert!(before.is_empty(), "nobody has signed yet");
        for (program, workflow) in TURNS {
            let Some(answer) = self.turn(program, workflow, &image.reference) else {
                say(&format!(
                    "SKIPPED a turn of {program}: the full ring has it"
                ));
                continue;
            };
            assert_eq!(answer.exit, Some(0), "{registry}, {:?}\n{answer}", self.way);
            signed.push(workflow);
            let after = self.written(&image.reference);
            for entry in &before {
                assert!(
                    after.contains(entry),
                    "{registry}, {:?}: changed or lost by {program}: {entry}",
                    self.way
                );
            }
            assert_eq!(
                after.len(),
                signed.len(),
                "{registry}, {:?}: {program}",
                self.way
            );
            before = after;
            for workflow in &signed {
                self.expect(workflow, &image.reference, true);
            }
        }
        self.expect("nobody.yml", &image.reference, false);
    }

    /// One of the programs signs as a workflow.
    fn turn(&self, program: &str, workflow: &str, reference: &str) -> Option<Answer> {
        let is_bundle = self.way.has("bundle");
        let url = self.sandbox.url();
        let mut words = vec!["sign".to_owned(), "--yes".to_owned()];
        self.token("turn", workflow);
        words.push("--identity-token=turn".to_owned());
        match (program, is_bundle) {
            ("scgate", _) => words.extend([
                "--signing-config=signing_config.json".to_owned(),
                ROOT.to_owned(),
                format!("--signature-format={}", self.way.formats),
            ]),
            ("cosign" | "cosign2", true) => {
                words.extend(["--signing-config=signing_config.json", ROOT].map(str::to_owned));
                if program == "cosign2" {
                    words.push("--new-bundle-format".to_owned());
                }
            }
            ("cosign", false) => words.extend([
                "--new-bundle-format=false".to_owned(),
                "--use-signing-config=false".to_owned(),
                ROOT.to_owned(),
                format!("--fulcio-url={url}"),
                format!("--rekor-url={url}"),
            ]),
            _ => words.extend([
                "--insecure-skip-verify".to_owned(),
                format!("--fulcio-url={url}"),
                format!("--rekor-url={url}"),
            ]),
        }
        words.push(reference.to_owned());
        self.ring.run(program, &[], words)
    }

    /// Whether everybody finds the signature of a workflow, or nobody does.
    fn expect(&self, workflow: &str, reference: &str, is_there: bool) {
        let who = identity(workflow);
        let layout = if self.way.has("bundle") {
            ""
        } else {
            "--new-bundle-format=false"
        };
        let words = ["verify", &who, ISSUER, ROOT, reference, layout];
        let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
        for program in ["scgate", "cosign"] {
            let answer = self
                .ring
                .run(program, &[], &words)
                .expect("it is in every ring");
            assert_eq!(answer.exit == Some(0), is_there, "{:?}\n{answer}", self.way);
        }
    }

    /// The entries about a digest: the layers of the legacy tag, or what the registry lists as
    /// referrers with the bytes of each, as text.
    fn written(&self, reference: &str) -> BTreeSet<String> {
        let (name, digest) = reference.split_once('@').expect("a digest");
        let tag = digest.replace(':', "-");
        let manifest = |reference: &str| {
            let words = ["manifest", "--insecure", reference];
            let answer = self
                .ring
                .run("crane", &[], words)
                .expect("it is in every ring");
            let found: Value = serde_json::from_str(&answer.stdout).unwrap_or(Value::Null);
            found
        };
        let entries =
            |from: &Value, member: &str| from[member].as_array().cloned().unwrap_or_default();
        if !self.way.has("bundle") {
            let layers = entries(&manifest(&format!("{name}:{tag}.sig")), "layers");
            return layers.iter().map(Value::to_string).collect();
        }
        let listed = if self.way.listing == FallbackTag {
            entries(&manifest(&format!("{name}:{tag}")), "manifests")
        } else {
            // crane lists no referrers, but copies what it is named: everybody's bundles are found by
            // cosign's own list.
            self.referrers(name, digest)
        };
        let with_bytes = |entry: &Value| {
            let found = manifest(&format!(
                "{name}@{}",
                entry["digest"].as_str().unwrap_or_default()
            ));
            json!([entry, found]).to_string()
        };
        listed.iter().map(with_bytes).collect()
    }

    /// The answer of the referrers API.
    pub(super) fn referrers(&self, name: &str, digest: &str) -> Vec<Value> {
        let (_, repo) = name.split_once('/').expect("a repository");
        let path = format!("/v2/{repo}/referrers/{digest}");
        let body = crate::http::get(&self.registry.address, &path);
        let listed: Value = serde_json::from_slice(&body).expect("an index is JSON");
        listed["manifests"].as_array().cloned().unwrap_or_default()
    }
}
