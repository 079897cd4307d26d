//! The other way round: scgate signs, and unmodified cosign verifies, with the sandbox's Sigstore and
//! real registries.
//!
//! Every way of signing is one of [`ways`]; of each, the index, its platforms and its attestation
//! manifests are put to every program that reads its layout, each question with a twin about another
//! identity or key, which all refuse. `attested.rs` has statements and files, `beside.rs` cosign's
//! signatures beside scgate's, `readers.rs` what other clients make of it, and `race.rs` many signers
//! at once.

mod attested;
mod beside;
mod race;
mod readers;

use std::collections::BTreeSet;
use std::fs;
use std::sync::Mutex;
use std::thread;

use scgate::model::Digest;
use scgate::sandbox::Config;
use scgate::sandbox::GithubToken;
use scgate::sandbox::Image;
use scgate::sandbox::Provider;
use scgate::sandbox::Sandbox;
use scgate::sandbox::Stamps;
use scgate::sandbox::Stamps::None as Unstamped;
use scgate::sandbox::Stamps::Rfc3161;
use scgate::sandbox::mint::LogVersion;
use scgate::sandbox::mint::LogVersion::V1;
use scgate::sandbox::mint::LogVersion::V2;

use crate::peers::Answer;
use crate::peers::Asked;
use crate::peers::Listing;
use crate::peers::Listing::FallbackTag;
use crate::peers::Listing::Referrers;
use crate::peers::Registry;
use crate::peers::Ring;
use crate::peers::Verdict;
use crate::peers::say;

const ISSUER: &str = "--certificate-oidc-issuer=https://token.actions.githubusercontent.com";
const ROOT: &str = "--trusted-root=trusted_root.json";
/// The workflow that signs, unless a test says another.
const RELEASE: &str = "release.yml";
/// What cosign 2 reads trust from, where no flag takes the trusted root.
const PARTS: &[(&str, &str)] = &[
    ("SIGSTORE_ROOT_FILE", "fulcio_chain.pem"),
    ("SIGSTORE_REKOR_PUBLIC_KEY", "rekor.pub"),
    ("SIGSTORE_CT_LOG_PUBLIC_KEY_FILE", "ctfe.pub"),
    ("SIGSTORE_TSA_CERTIFICATE_FILE", "tsa_chain.pem"),
];
/// Programs at the same time: each is a process of its own and mostly starts.
const WORKERS: usize = 3;

/// `--certificate-identity` with a workflow of the repository.
fn identity(workflow: &str) -> String {
    format!(
        "--certificate-identity=https://github.com/acme/shop/.github/workflows/{workflow}@refs/heads/main"
    )
}

/// With what scgate signs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Who {
    /// A certificate for a run of GitHub Actions.
    Keyless,
    /// The key in `NAME.key`, whose public half is in `NAME.pub`.
    Key(&'static str),
}

use Who::Key;
use Who::Keyless;

/// How scgate is told of the services.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Services {
    /// `--signing-config`.
    Config,
    /// `--tuf-mirror` and `--tuf-root`; the trusted root comes from there, too.
    Tuf,
    /// `--fulcio-url`, `--rekor-url`, `--rekor-version`, `--timestamp-server-url`.
    Urls,
}

/// One way of signing.
#[derive(Clone, Copy, Debug)]
struct Way {
    who: Who,
    /// `--signature-format`.
    formats: &'static str,
    log: LogVersion,
    stamps: Stamps,
    services: Services,
    listing: Listing,
}

impl Way {
    const fn new(who: Who, formats: &'static str, log: LogVersion, stamps: Stamps) -> Self {
        Self {
            who,
            formats,
            log,
            stamps,
            services: Services::Config,
            listing: Referrers,
        }
    }

    const fn by(self, services: Services) -> Self {
        Self { services, ..self }
    }

    const fn on(self, listing: Listing) -> Self {
        Self { listing, ..self }
    }

    fn has(self, format: &str) -> bool {
        self.formats.split(',').any(|one| one == format)
    }
}

/// The ways that the small ring goes, too.
const FEW: &[Way] = &[
    Way::new(Keyless, "bundle,legacy", V1, Rfc3161),
    Way::new(Keyless, "bundle", V2, Rfc3161).on(FallbackTag),
    Way::new(Keyless, "legacy", V1, Unstamped).on(FallbackTag),
    Way::new(Keyless, "bundle,legacy", V1, Rfc3161).by(Services::Tuf),
    Way::new(Key("cosign"), "bundle,legacy", V1, Unstamped).on(FallbackTag),
];

/// Every way: Rekor v2 states no time, so that it needs a timestamp, and the legacy layout has no
/// place for it.
fn ways() -> Vec<Way> {
    let mut ways = FEW.to_vec();
    for listing in [Referrers, FallbackTag] {
        for stamps in [Rfc3161, Unstamped] {
            for formats in ["bundle", "legacy", "bundle,legacy"] {
                ways.push(Way::new(Keyless, formats, V1, stamps).on(listing));
            }
        }
        ways.push(Way::new(Keyless, "bundle", V2, Rfc3161).on(listing));
        ways.push(
            Way::new(Keyless, "bundle,legacy", V1, Rfc3161)
                .by(Services::Urls)
                .on(listing),
        );
        ways.push(
            Way::new(Keyless, "bundle", V2, Rfc3161)
                .by(Services::Urls)
                .on(listing),
        );
    }
    ways.push(Way::new(Keyless, "bundle", V2, Rfc3161).by(Services::Tuf));
    for (key, listing) in [
        ("cosign", Referrers),
        ("p256", FallbackTag),
        ("rsa", Referrers),
    ] {
        ways.push(Way::new(Key(key), "bundle,legacy", V1, Rfc3161).on(listing));
        ways.push(Way::new(Key(key), "legacy", V1, Unstamped).on(listing));
        ways.push(Way::new(Key(key), "bundle", V1, Unstamped).on(listing));
        ways.push(Way::new(Key(key), "bundle", V2, Rfc3161).on(listing));
    }
    ways
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_of_signing_is_verified_by_the_cosigns() {
    let Some(ring) = Ring::find() else {
        return;
    };
    let is_full = ring.program("cosign2").is_some();
    let ways = if is_full {
        ways()
    } else {
        say("SKIPPED cosign 2 and most ways of signing: the full ring has them");
        FEW.to_vec()
    };
    let mut asked = 0;
    for way in &ways {
        let Some(world) = World::open(*way).await else {
            continue;
        };
        let image = world.push("shop/app", "hello");
        let signed = world.must("sign", &["--recursive", &image.reference]);
        assert_eq!(signed.stdout.lines().count(), 5, "{way:?}\n{signed}");
        let references = image
            .manifests
            .iter()
            .map(|digest| world.at("shop/app", digest));
        asked += world.put(references.flat_map(|one| world.questions(&one)));
    }
    say(&format!(
        "{} ways of signing, {asked} questions",
        ways.len()
    ));
}

/// Rekor takes no plain Ed25519 signature over a hash: what it knows by one is refused, and a bundle
/// in Rekor v1, which knows the envelope, is signed.
#[tokio::test(flavor = "multi_thread")]
async fn an_ed25519_key_signs_where_it_can() {
    for (formats, log, is_signed) in [
        ("bundle", V1, true),
        ("legacy", V1, false),
        ("bundle", V2, false),
    ] {
        let way = Way::new(Key("ed25519"), formats, log, Rfc3161);
        let Some(world) = World::open(way).await else {
            return;
        };
        let image = world.push("shop/app", "hello");
        let answer = world.scgate("sign", &[&image.reference]);
        assert_eq!(answer.exit == Some(0), is_signed, "{way:?}\n{answer}");
        if is_signed {
            world.put(world.questions(&image.reference));
        } else {
            assert!(answer.stderr.contains("Ed25519"), "{answer}");
        }
    }
}

/// An image in a registry.
struct Pushed {
    /// By digest.
    reference: String,
    /// The index and everything in it.
    manifests: BTreeSet<Digest>,
    /// amd64 first.
    platforms: Vec<Digest>,
    index: Digest,
}

/// One question to one program.
struct Question {
    program: &'static str,
    variables: &'static [(&'static str, &'static str)],
    words: Vec<String>,
    verdict: Verdict,
}

/// A program that reads what the way writes, with what it needs for it.
struct Reader {
    program: &'static str,
    variables: &'static [(&'static str, &'static str)],
    flags: Vec<&'static str>,
}

const fn reader(program: &'static str, flags: Vec<&'static str>) -> Reader {
    Reader {
        program,
        variables: &[],
        flags,
    }
}

/// cosign 2 with its variables in the place of the trusted root.
const fn by_parts(flags: Vec<&'static str>) -> Reader {
    Reader {
        program: "cosign2",
        variables: PARTS,
        flags,
    }
}

/// A Sigstore, a registry, and the ring.
struct World {
    ring: Ring,
    sandbox: Sandbox,
    registry: Registry,
    way: Way,
}

impl World {
    /// A world with go-containerregistry's registry; none where there is no ring.
    async fn open(way: Way) -> Option<Self> {
        let ring = Ring::find()?;
        let registry = ring.registry(way.listing);
        Self::with(way, ring, registry).await
    }

    /// A world with distribution; none, loudly, where the ring lacks it.
    async fn with_distribution(way: Way) -> Option<Self> {
        let ring = Ring::find()?;
        let Some(registry) = ring.distribution() else {
            say("SKIPPED distribution: the full ring has it");
            return None;
        };
        Self::with(way.on(FallbackTag), ring, registry).await
    }

    async fn with(way: Way, mut ring: Ring, registry: Registry) -> Option<Self> {
        let config = Config {
            log: way.log,
            stamps: way.stamps,
            ..Config::default()
        };
        let sandbox = Sandbox::with(config).await.expect("the sandbox starts");
        ring.variable("ACTIONS_ID_TOKEN_REQUEST_URL", &sandbox.actions_url());
        ring.variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "sandbox");
        for (name, content) in sandbox.files() {
            fs::write(ring.scratch().join(name), content).expect("the scratch is writable");
        }
        let world = Self {
            ring,
            sandbox,
            registry,
            way,
        };
        world.token("token", RELEASE);
        world.keys().then_some(world)
    }

    /// A token of a run of a workflow, in a file.
    fn token(&self, name: &str, workflow: &str) {
        let run = GithubToken {
            workflow: workflow.to_owned(),
            ..GithubToken::default()
        };
        let token = self.sandbox.token(Provider::Github, run.claims());
        let token = token.expect("a token can be made");
        fs::write(self.ring.scratch().join(name), token).expect("the scratch is writable");
    }

    /// The keys that the way needs, and another one. False, loudly, where nothing makes them.
    fn keys(&self) -> bool {
        let Key(name) = self.way.who else {
            return true;
        };
        for pair in ["cosign", "other"] {
            let words = ["generate-key-pair", "--output-key-prefix", pair];
            let made = self.ring.cosign(words);
            assert_eq!(made.exit, Some(0), "{made}");
        }
        let algorithm: &[&str] = match name {
            "cosign" => return true,
            "p256" => &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            "rsa" => &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            "ed25519" => &["ED25519"],
            other => panic!("no such key: {other}"),
        };
        let (key, public) = (format!("{name}.key"), format!("{name}.pub"));
        let make = ["genpkey", "-out", &key, "-algorithm"];
        let Some(made) = self.ring.run("openssl", &[], make.iter().chain(algorithm)) else {
            say(&format!("SKIPPED a key of the kind {name}: no openssl"));
            return false;
        };
        assert_eq!(made.exit, Some(0), "{made}");
        let show = ["pkey", "-in", &key, "-pubout", "-out", &public];
        let shown = self.ring.run("openssl", &[], show);
        shown.is_some_and(|shown| shown.exit == Some(0))
    }

    /// Pushes an image: to the sandbox first, from where crane copies it as it is.
    fn push(&self, repo: &str, text: &str) -> Pushed {
        let image = Image::new(text);
        let own = self.sandbox.registry().expect("the sandbox has a registry");
        own.put_image(repo, &image, Some("v1"));
        let reference = self.at(repo, &image.index);
        let from = format!("{}/{repo}@{}", own.host(), image.index);
        self.ring.crane([
            "copy",
            "--insecure",
            &from,
            &format!("{}/{repo}:v1", self.registry.address),
        ]);
        Pushed {
            reference,
            manifests: image
                .manifests
                .iter()
                .map(|(_, bytes)| Digest::sha256(bytes))
                .collect(),
            platforms: image.platforms,
            index: image.index,
        }
    }

    fn at(&self, repo: &str, digest: &Digest) -> String {
        format!("{}/{repo}@{digest}", self.registry.address)
    }

    /// The flags that make scgate sign in the way.
    fn signing_flags(&self) -> Vec<String> {
        let url = self.sandbox.url();
        let mut flags = match self.way.who {
            Keyless => vec!["--identity-token=token".to_owned()],
            Key(name) => vec![format!("--key={name}.key")],
        };
        match self.way.services {
            Services::Config => {
                flags.extend(["--signing-config=signing_config.json", ROOT].map(str::to_owned));
            }
            Services::Tuf => flags.extend([
                format!("--tuf-mirror={}", self.sandbox.tuf_url()),
                "--tuf-root=root.json".to_owned(),
            ]),
            Services::Urls => {
                let version = if self.way.log == V1 { 1 } else { 2 };
                flags.extend([
                    format!("--fulcio-url={url}"),
                    format!("--rekor-url={url}"),
                    format!("--rekor-version={version}"),
                    ROOT.to_owned(),
                ]);
                if self.way.stamps == Rfc3161 {
                    flags.push(format!("--timestamp-server-url={url}/api/v1/timestamp"));
                }
            }
        }
        flags
    }

    /// scgate signs in the way.
    fn scgate(&self, command: &str, words: &[&str]) -> Answer {
        let mut all = vec![command.to_owned()];
        all.extend(self.signing_flags());
        if !command.ends_with("-blob") {
            all.push(format!("--signature-format={}", self.way.formats));
        }
        all.extend(words.iter().map(|&word| word.to_owned()));
        self.ring.scgate(all)
    }

    /// scgate signs in the way, with success.
    fn must(&self, command: &str, words: &[&str]) -> Answer {
        let answer = self.scgate(command, words);
        assert_eq!(answer.exit, Some(0), "{:?}\n{answer}", self.way);
        answer
    }

    /// The flags that say who must have signed, and their twin.
    fn signers(&self) -> [(Vec<String>, Verdict); 2] {
        let own = match self.way.who {
            Keyless => vec![identity(RELEASE), ISSUER.to_owned()],
            Key(name) => vec![format!("--key={name}.pub")],
        };
        let other = match self.way.who {
            Keyless => vec![identity("other.yml"), ISSUER.to_owned()],
            Key(_) => vec!["--key=other.pub".to_owned()],
        };
        [(own, Verdict::Yes), (other, Verdict::No)]
    }

    /// `verify` of a manifest, by everybody who reads what the way writes.
    fn questions(&self, about: &str) -> Vec<Question> {
        let mut readers = vec![reader("scgate", vec![ROOT])];
        if self.way.has("bundle") {
            readers.push(reader("cosign", vec![ROOT]));
            let mut flags = vec![ROOT, "--new-bundle-format"];
            if self.way.stamps == Rfc3161 {
                flags.push("--use-signed-timestamps");
            }
            readers.push(reader("cosign2", flags));
        }
        if self.way.has("legacy") {
            readers.push(reader("cosign", vec![ROOT, "--new-bundle-format=false"]));
            // Bundles beside, cosign 2 looks at nothing else.
            if !self.way.has("bundle") {
                readers.push(reader("cosign2", vec![ROOT]));
                readers.push(by_parts(Vec::new()));
            }
        }
        self.asked("verify", &readers, &[], about)
    }

    /// A question to each of the readers, and its twin.
    fn asked(
        &self,
        command: &str,
        readers: &[Reader],
        flags: &[&str],
        about: &str,
    ) -> Vec<Question> {
        let mut questions = Vec::new();
        for reader in readers {
            for (who, verdict) in self.signers() {
                let mut words = vec![command.to_owned()];
                words.extend(who);
                words.extend(
                    reader
                        .flags
                        .iter()
                        .chain(flags)
                        .map(|&flag| flag.to_owned()),
                );
                words.push(about.to_owned());
                questions.push(Question {
                    program: reader.program,
                    variables: reader.variables,
                    words,
                    verdict,
                });
            }
        }
        questions
    }

    /// Puts the questions, several at a time, and gives back how many there were. Programs that the
    /// ring lacks are not asked.
    fn put(&self, questions: impl IntoIterator<Item = Question>) -> usize {
        let questions: Vec<_> = questions.into_iter().collect();
        let rest = Mutex::new(questions.iter());
        let wrong = Mutex::new(Vec::new());
        let asked = Mutex::new(0);
        thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| {
                    loop {
                        let next = rest.lock().expect("nobody panics here").next();
                        let Some(question) = next else { break };
                        let Some(answer) =
                            self.ring
                                .run(question.program, question.variables, &question.words)
                        else {
                            continue;
                        };
                        *asked.lock().expect("nobody panics here") += 1;
                        let who = if question.program == "scgate" {
                            Asked::Scgate
                        } else {
                            Asked::Cosign
                        };
                        if !answer.says(question.verdict, who) {
                            let verdict = question.verdict;
                            let line =
                                format!("expected {verdict:?} {:?}\n{answer}", question.variables);
                            wrong.lock().expect("nobody panics here").push(line);
                        }
                    }
                });
            }
        });
        let wrong = wrong.into_inner().expect("nobody panics here");
        assert!(wrong.is_empty(), "{:?}\n{}", self.way, wrong.join("\n"));
        asked.into_inner().expect("nobody panics here")
    }
}
