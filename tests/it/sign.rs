//! `scgate sign`, `attest`, `sign-blob` and `attest-blob` against the sandbox: what they write is
//! read back by `scgate verify`, which shares no code with what wrote it but the verifier, and what
//! may not be written is not.
//!
//! `refusals.rs` has what must not be signed, each row beside a twin that is; `drill.rs` breaks every
//! request of the way once; `race.rs` lets many sign at once. Real cosign reads all of this in
//! `tests/interop/signing.rs`.

mod attest;
mod blob;
mod drill;
mod keys;
mod race;
mod refusals;
mod renewal;
mod walk;

use std::fs;

use scgate::sandbox::Config;
use scgate::sandbox::GithubToken;
use scgate::sandbox::Image;
use scgate::sandbox::Provider;
use scgate::sandbox::Sandbox;
use serde_json::Value;

use crate::runner::Run;
use crate::runner::Said;
use crate::runner::scgate;

const REPO: &str = "sign/app";
const ISSUER: &str = "--certificate-oidc-issuer=https://token.actions.githubusercontent.com";
const WHO: &str = "--certificate-identity=https://github.com/acme/shop/.github/workflows/release.yml@refs/heads/main";
const SOMEBODY: &str = "--certificate-identity=https://github.com/acme/shop/.github/workflows/other.yml@refs/heads/main";

/// A sandbox with an image that nobody signed, and a directory with what the commands read.
struct World {
    sandbox: Sandbox,
    image: Image,
    dir: tempfile::TempDir,
}

impl World {
    async fn open() -> Self {
        Self::with(Config::default()).await
    }

    async fn with(config: Config) -> Self {
        crate::sandbox_registry::provider();
        let (log, stamps) = (config.log, config.stamps);
        let sandbox = Sandbox::with(config).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("root.json"), sandbox.trusted_root()).unwrap();
        let services = sandbox.signing_config(log, stamps);
        fs::write(dir.path().join("services.json"), services).unwrap();
        let image = Image::new("hello");
        if let Some(registry) = sandbox.registry() {
            registry.put_image(REPO, &image, Some("v1"));
        }
        let world = Self {
            sandbox,
            image,
            dir,
        };
        world.token("token", GithubToken::default());
        world
    }

    /// Writes a token of a run of GitHub Actions to a file.
    fn token(&self, name: &str, run: GithubToken) {
        let token = self.sandbox.token(Provider::Github, run.claims()).unwrap();
        fs::write(self.dir.path().join(name), token).unwrap();
    }

    fn repository(&self) -> String {
        format!("{}/{REPO}", self.sandbox.registry().unwrap().host())
    }

    /// The image by digest.
    fn reference(&self) -> String {
        format!("{}@{}", self.repository(), self.image.index)
    }

    /// A command that signs.
    fn signs(&self, words: &[&str]) -> Run {
        scgate(words)
            .and(["--signing-config=services.json", "--trusted-root=root.json"])
            .and(["--identity-token=token"])
            .within(self.dir.path())
    }

    fn sign(&self, words: &[&str]) -> Run {
        self.signs(&["sign"]).and(words)
    }

    /// What `verify --all-evidence` finds about the image, by whom it must be.
    fn verify(&self, words: &[&str]) -> Said {
        scgate(["verify", "--trusted-root=root.json", "-ojson", ISSUER])
            .and(words)
            .and([self.reference()])
            .within(self.dir.path())
            .run()
    }

    /// Whether index and platforms are signed, and by nobody else.
    fn is_signed(&self) -> bool {
        let own = self.verify(&["--recursive", WHO]).code == Some(0);
        let somebody = self.verify(&["--recursive", SOMEBODY]).code == Some(0);
        assert!(!somebody, "signed by somebody else");
        own
    }

    /// How many valid signatures each manifest of the image has in each layout, in the order of the
    /// report: whoever signs twice has two.
    fn counts(&self) -> Vec<(String, usize, usize)> {
        let said = self.verify(&["--recursive", "--all-evidence", WHO]);
        let report: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{said}"));
        let subjects = report["reports"][0]["subjects"].as_array().unwrap();
        let count = |subject: &Value, layout: &str| {
            let findings = subject["findings"].as_array().into_iter().flatten();
            findings
                .filter(|finding| finding["accepted"] == true)
                .filter(|finding| finding["layout"].as_str().unwrap().starts_with(layout))
                .count()
        };
        subjects
            .iter()
            .map(|subject| {
                let digest = subject["digest"].as_str().unwrap().to_owned();
                (digest, count(subject, "bundle"), count(subject, "legacy"))
            })
            .collect()
    }

    /// What of the image each layout covers: index, two platforms, two attestation manifests.
    fn assert_once_each(&self, bundles: usize, legacy: usize) {
        let counts = self.counts();
        assert_eq!(counts.len(), 5, "{counts:?}");
        for (digest, found, found_legacy) in &counts {
            assert_eq!((*found, *found_legacy), (bundles, legacy), "{digest}");
        }
    }

    /// Requests to the registry that bring something. The beginning of an upload brings nothing.
    fn writes(&self) -> usize {
        let requests = self.sandbox.registry().unwrap().requests();
        requests
            .iter()
            .filter(|request| match request.method.as_str() {
                "GET" | "HEAD" => false,
                "POST" => !request.body.is_empty(),
                _ => true,
            })
            .count()
    }

    /// Requests to a path of the Sigstore.
    fn asked(&self, path: &str) -> usize {
        let requests = self.sandbox.requests();
        requests
            .iter()
            .filter(|request| request.method == "POST" && request.path == path)
            .count()
    }

    async fn end(self) {
        self.sandbox.stop().await.unwrap();
    }
}
