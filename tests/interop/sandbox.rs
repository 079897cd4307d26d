//! Unmodified cosign against the sandbox and nothing else: it signs, attests and verifies with the
//! sandbox's Fulcio, logs, timestamp authority and registry, and `scgate verify` agrees with each
//! answer.
//!
//! Every way of signing is one row of [`WAYS`]; every question has a twin with another identity,
//! which both refuse. cosign 2 takes part where the ring has it (`tests/interop/run --all`).

use std::fs;

use scgate::sandbox::Config;
use scgate::sandbox::Image;
use scgate::sandbox::Sandbox;
use scgate::sandbox::Stamps;
use scgate::sandbox::mint::LogVersion;
use scgate::sandbox::registry;
use scgate::sandbox::registry::Referrers;

use crate::peers::Answer;
use crate::peers::Asked;
use crate::peers::Ring;
use crate::peers::Verdict;
use crate::peers::say;

const ISSUER: &str = "--certificate-oidc-issuer=https://token.actions.githubusercontent.com";
const WHO: &str = "--certificate-identity=https://github.com/acme/shop/.github/workflows/release.yml@refs/heads/main";
const SOMEBODY: &str = "--certificate-identity=https://github.com/acme/shop/.github/workflows/other.yml@refs/heads/main";

/// Which cosign signs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum By {
    Cosign2,
    Cosign3,
}

/// Where services and trust come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Trust {
    /// `--trusted-root` and `--signing-config`.
    Files,
    /// `cosign initialize` with the sandbox's TUF repository.
    Tuf,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Layout {
    Bundle,
    Legacy,
}

/// One way of signing.
#[derive(Clone, Copy, Debug)]
struct Way {
    by: By,
    layout: Layout,
    log: LogVersion,
    stamps: Stamps,
    trust: Trust,
    referrers: Referrers,
}

const fn way(by: By, layout: Layout, log: LogVersion, stamps: Stamps, trust: Trust) -> Way {
    Way {
        by,
        layout,
        log,
        stamps,
        trust,
        referrers: Referrers::Api,
    }
}

use By::Cosign2;
use By::Cosign3;
use Layout::Bundle;
use Layout::Legacy;
use LogVersion::V1;
use LogVersion::V2;
use Stamps::None as Unstamped;
use Stamps::Rfc3161;
use Trust::Files;
use Trust::Tuf;

/// Rekor v2 states no time, so that it needs a timestamp; the legacy layout has no place for it.
const WAYS: &[Way] = &[
    way(Cosign3, Bundle, V1, Rfc3161, Files),
    way(Cosign3, Bundle, V1, Unstamped, Files),
    way(Cosign3, Bundle, V2, Rfc3161, Files),
    way(Cosign3, Legacy, V1, Rfc3161, Files),
    way(Cosign3, Legacy, V1, Unstamped, Files),
    way(Cosign3, Bundle, V1, Rfc3161, Tuf),
    way(Cosign3, Bundle, V2, Rfc3161, Tuf),
    Way {
        referrers: Referrers::Off,
        ..way(Cosign3, Bundle, V1, Rfc3161, Files)
    },
    way(Cosign2, Legacy, V1, Rfc3161, Files),
    way(Cosign2, Legacy, V1, Unstamped, Files),
    way(Cosign2, Legacy, V1, Unstamped, Tuf),
    way(Cosign2, Bundle, V1, Rfc3161, Files),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_way_of_signing_is_verified_by_all() {
    let Some(ring) = Ring::find() else {
        return;
    };
    let has_cosign2 = ring.cosign2(["version"]).is_some();
    if !has_cosign2 {
        say("SKIPPED cosign 2 against the sandbox: the big ring has it");
    }
    for way in WAYS {
        if way.by == By::Cosign3 || has_cosign2 {
            World::open(*way).await.tour();
        }
    }
}

/// What the real log refuses, the sandbox refuses: cosign 2 sends envelopes to Rekor v2.
#[tokio::test(flavor = "multi_thread")]
async fn envelopes_do_not_enter_rekor_2() {
    let world = World::open(way(Cosign2, Bundle, V2, Rfc3161, Files)).await;
    let Some(world) = world.ready() else { return };
    let reference = world.push("shop/refused");
    let Some(answer) = world.try_sign(&reference) else {
        return;
    };
    assert_ne!(answer.exit, Some(0), "{answer}");
    assert!(
        answer.stderr.contains("invalid type, must be hashedrekord"),
        "{answer}"
    );
}

/// What a fault of a service comes to for a signer: cosign signs nothing, says so, and signs again
/// when the service is well.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_fails_signs_nothing() {
    let world = World::open(way(Cosign3, Bundle, V1, Rfc3161, Files)).await;
    let Some(world) = world.ready() else { return };
    if world.ring().cosign2(["version"]).is_none() {
        say(
            "SKIPPED cosign and the faults of services: it retries for minutes; the big ring waits",
        );
        return;
    }
    let reference = world.push("shop/faulty");
    for path in [
        "/api/v2/signingCert",
        "/api/v1/log/entries",
        "/api/v1/timestamp",
    ] {
        for fault in [
            "status=429",
            "status=503",
            "status=429,retry-after=1",
            "reset",
            "reset-in-body",
            "short-body",
            "empty-ok",
            "html-ok",
            "redirect=http://127.0.0.1:9/",
            "wrong-body",
        ] {
            let fault = format!("{fault},path={path}");
            world.sandbox.inject(fault.parse().expect("a fault"));
            let signed = world.try_sign(&reference).expect("cosign is there");
            world.sandbox.clear_faults();
            assert_ne!(signed.exit, Some(0), "{fault}\n{signed}");
        }
        let signed = world.try_sign(&reference).expect("cosign is there");
        assert_eq!(signed.exit, Some(0), "after the faults of {path}\n{signed}");
    }
    // What passes is met with patience, or not met again.
    let fault = "status=503,times=1,path=/api/v2/signingCert";
    world.sandbox.inject(fault.parse().expect("a fault"));
    let signed = world.try_sign(&reference).expect("cosign is there");
    assert_eq!(signed.exit, Some(0), "{fault}\n{signed}");
}

struct World {
    ring: Option<Ring>,
    sandbox: Sandbox,
    way: Way,
}

impl World {
    async fn open(way: Way) -> Self {
        let sandbox = Sandbox::with(Config {
            log: way.log,
            stamps: way.stamps,
            registry: registry::Config {
                referrers: way.referrers,
                ..registry::Config::default()
            },
            ..Config::default()
        })
        .await
        .expect("the sandbox starts");
        let mut ring = Ring::find();
        if let Some(ring) = &mut ring {
            ring.variable("ACTIONS_ID_TOKEN_REQUEST_URL", &sandbox.actions_url());
            ring.variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "sandbox");
            for (name, content) in sandbox.files() {
                fs::write(ring.scratch().join(name), content).expect("the scratch is writable");
            }
            fs::write(ring.scratch().join("predicate.json"), "{\"a\":1}").expect("a predicate");
            fs::write(ring.scratch().join("blob"), "a release\n").expect("a file");
        }
        Self { ring, sandbox, way }
    }

    /// Itself, where there is a ring.
    fn ready(self) -> Option<Self> {
        self.ring.is_some().then_some(self)
    }

    fn ring(&self) -> &Ring {
        self.ring.as_ref().expect("there is a ring")
    }

    /// Pushes an image and gives back its reference by digest.
    fn push(&self, repo: &str) -> String {
        let registry = self.sandbox.registry().unwrap();
        let image = Image::new("hello");
        registry.put_image(repo, &image, Some("v1"));
        format!("{}/{repo}@{}", registry.host(), image.index)
    }

    /// Signs, attests and signs a file, and puts every question to everybody.
    fn tour(&self) {
        if self.way.trust == Trust::Tuf {
            let mirror = self.sandbox.tuf_url();
            let initialize = ["initialize", "--mirror", &mirror, "--root", "root.json"];
            self.must(self.signer(initialize.map(str::to_owned).to_vec()));
        }
        let reference = self.push("shop/app");
        let signed = self.try_sign(&reference).expect("the signer is there");
        assert_eq!(signed.exit, Some(0), "{:?}\n{signed}", self.way);
        self.ask("verify", &[], &reference);
        let attest = [
            "attest",
            "--yes",
            "--type=custom",
            "--predicate=predicate.json",
        ];
        let mut attest = attest.map(str::to_owned).to_vec();
        attest.extend(self.signing_flags());
        attest.push(reference.clone());
        self.must(self.signer(attest));
        self.ask("verify-attestation", &["--type=custom"], &reference);
        if self.way.by == By::Cosign3 && self.way.layout == Layout::Bundle {
            self.tour_of_a_file();
        }
        let recursive = [
            "verify",
            "--recursive",
            WHO,
            ISSUER,
            "--trusted-root=trusted_root.json",
        ];
        let answer = self
            .ring()
            .scgate(recursive.iter().chain([&reference.as_str()]));
        assert!(
            answer.says(Verdict::Yes, Asked::Scgate),
            "{:?}\n{answer}",
            self.way
        );
    }

    fn tour_of_a_file(&self) {
        let sign = ["sign-blob", "--yes", "--bundle=blob.sigstore.json"];
        let mut sign = sign.map(str::to_owned).to_vec();
        sign.extend(self.signing_flags());
        sign.push("blob".to_owned());
        self.must(self.signer(sign));
        self.ask("verify-blob", &["--bundle=blob.sigstore.json"], "blob");
    }

    /// `sign --recursive`; nothing where the signer is not in the ring.
    fn try_sign(&self, reference: &str) -> Option<Answer> {
        let mut words = vec![
            "sign".to_owned(),
            "--yes".to_owned(),
            "--recursive".to_owned(),
        ];
        words.extend(self.signing_flags());
        words.push(reference.to_owned());
        self.signer(words)
    }

    /// Runs the cosign that signs.
    fn signer(&self, words: Vec<String>) -> Option<Answer> {
        match self.way.by {
            By::Cosign2 => self.ring().cosign2(words),
            By::Cosign3 => Some(self.ring().cosign(words)),
        }
    }

    fn must(&self, answer: Option<Answer>) {
        let answer = answer.expect("the signer is there");
        assert_eq!(answer.exit, Some(0), "{:?}\n{answer}", self.way);
    }

    fn signing_flags(&self) -> Vec<String> {
        let url = self.sandbox.url();
        let is_file = self.way.trust == Trust::Files;
        let mut flags = Vec::new();
        match (self.way.by, self.way.layout) {
            (By::Cosign3, Layout::Legacy) => {
                flags.extend(
                    ["--new-bundle-format=false", "--use-signing-config=false"].map(str::to_owned),
                );
            }
            (By::Cosign2, Layout::Bundle) => flags.push("--new-bundle-format".to_owned()),
            (By::Cosign2, Layout::Legacy) | (By::Cosign3, Layout::Bundle) => (),
        }
        match (self.way.layout, is_file) {
            (Layout::Bundle, true) => flags.push("--signing-config=signing_config.json".to_owned()),
            (Layout::Bundle, false) => (),
            (Layout::Legacy, _) => {
                flags.extend([format!("--fulcio-url={url}"), format!("--rekor-url={url}")]);
                if self.way.stamps == Rfc3161 {
                    flags.push(format!("--timestamp-server-url={url}/api/v1/timestamp"));
                }
            }
        }
        if is_file && (self.way.by == By::Cosign3 || self.way.layout == Layout::Bundle) {
            flags.push("--trusted-root=trusted_root.json".to_owned());
        } else if is_file {
            // cosign 2 looks at its own certificate and entry with these alone.
            flags.push("--insecure-skip-verify".to_owned());
        }
        flags
    }

    /// Puts a question to the cosigns and to scgate, with the right identity and another.
    fn ask(&self, command: &str, flags: &[&str], about: &str) {
        for (who, verdict) in [(WHO, Verdict::Yes), (SOMEBODY, Verdict::No)] {
            let mut words = vec![command, who, ISSUER];
            words.extend(flags);
            let mut cosign = words.clone();
            if self.way.trust == Trust::Files {
                cosign.push("--trusted-root=trusted_root.json");
            }
            cosign.push(about);
            let answer = self.ring().cosign(&cosign);
            assert!(
                answer.says(verdict, Asked::Cosign),
                "{:?}\n{answer}",
                self.way
            );

            words.extend(["--trusted-root=trusted_root.json", "-ojson", about]);
            let answer = self.ring().scgate(&words);
            assert!(
                answer.says(verdict, Asked::Scgate),
                "{:?}\n{answer}",
                self.way
            );
            if verdict == Verdict::No {
                assert!(answer.names_one_of(&["identity-mismatch"]), "{answer}");
            }
            // cosign 2 verifies what it has a switch for, images and their signatures.
            if command == "verify" {
                let bundle = self.way.layout == Layout::Bundle;
                let mut cosign2 = cosign.clone();
                if bundle {
                    cosign2.insert(1, "--new-bundle-format");
                    cosign2.insert(1, "--use-signed-timestamps");
                }
                let is_asked = !bundle || self.way.stamps == Rfc3161;
                let initialized = self.way.trust == Trust::Files || self.way.by == By::Cosign2;
                if is_asked
                    && initialized
                    && let Some(answer) = self.ring().cosign2(&cosign2)
                {
                    assert!(
                        answer.says(verdict, Asked::Cosign),
                        "{:?}\n{answer}",
                        self.way
                    );
                }
            }
        }
    }
}
