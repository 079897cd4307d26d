//! The sandbox's registry as other people's clients see it: crane, cosign, oras and skopeo push,
//! copy, list and delete, with and without TLS and credentials, with the referrers API and without
//! it, in memory and on disk.
//!
//! crane and cosign belong to the ring. oras and skopeo take part where the ring or the machine has
//! them, and are missed loudly otherwise. What a client says it did is then looked up in the
//! registry itself, and no request of any client may have met an error that nobody asked for.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use scgate::model::Digest;
use scgate::sandbox::registry::Auth;
use scgate::sandbox::registry::Config;
use scgate::sandbox::registry::Referrers;
use scgate::sandbox::registry::Registry;
use scgate::sandbox::registry::Storage;
use scgate::sandbox::registry::TokenAuth;
use scgate::sandbox::registry::User;
use scgate::sandbox::server::Tls;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::peers::Ring;
use crate::peers::say;

const KIND: &str = "application/vnd.example.report";

#[test]
fn crane_pushes_copies_lists_and_deletes() {
    in_every_world("crane", |world| {
        let image = world.image("crane/app");
        let (from, to) = (world.name("crane/app"), world.name("crane/copy"));
        world.crane(&["validate", "--remote", &format!("{from}:amd64")]);
        world.crane(&["copy", &format!("{from}:v1"), &format!("{to}:v1")]);
        world.crane(&["tag", &format!("{to}:v1"), "latest"]);
        assert_eq!(world.registry.resolve("crane/copy", "latest"), Some(image));
        assert_eq!(world.crane(&["ls", &to]), "latest\nv1\n");
        assert_eq!(world.crane(&["ls", &from]), "amd64\narm64\nbase\nv1\n");
        let catalog = world.crane(&["catalog", &world.registry.host()]);
        assert_eq!(catalog, "crane/app\ncrane/copy\n");
        world.crane(&["pull", "--format=oci", &format!("{to}:v1"), "pulled"]);
        let again = world.name("crane/again");
        world.crane(&["push", "pulled", &format!("{again}:v1"), "--index"]);
        assert!(world.registry.resolve("crane/again", "v1").is_some());

        let digest = world.crane(&["digest", &format!("{to}:v1")]);
        assert_eq!(digest.trim(), image.to_string());
        world.crane(&["delete", &format!("{to}@{image}")]);
        assert!(world.registry.tags("crane/copy").is_empty());
        assert!(world.registry.manifest("crane/copy", image).is_none());
        assert_eq!(world.registry.resolve("crane/app", "v1"), Some(image));
    });
}

#[test]
fn cosign_signs_and_verifies() {
    in_every_world("cosign", |world| {
        let image = world.image("cosign/app");
        let reference = world.name(&format!("cosign/app@{image}"));
        world.run("cosign", &["generate-key-pair"]);
        let offline = ["--yes", "--use-signing-config=false", "--tlog-upload=false"];
        let sign = [&["sign", "--key", "cosign.key"], &offline[..]].concat();
        for legacy in [None, Some("--new-bundle-format=false")] {
            let words: Vec<_> = sign
                .iter()
                .copied()
                .chain(legacy)
                .chain([reference.as_str()])
                .collect();
            world.run("cosign", &words);
        }
        world.run(
            "cosign",
            &[
                "verify",
                "--key",
                "cosign.pub",
                "--insecure-ignore-tlog",
                &reference,
            ],
        );
        let fallback = format!("sha256-{}", image.hex());
        let tags = world.registry.tags("cosign/app");
        assert!(tags.contains(&format!("{fallback}.sig")), "{tags:?}");
        assert_eq!(tags.contains(&fallback), world.is_without_api(), "{tags:?}");
    });
}

#[test]
fn oras_attaches_copies_lists_and_deletes() {
    in_every_world("oras", |world| {
        let image = world.image("oras/app");
        let (from, to) = (world.name("oras/app:v1"), world.name("oras/copy"));
        fs::write(world.scratch().join("report.json"), "{}").expect("the scratch is writable");
        let file = format!("report.json:{KIND}");
        let annotation = ["--annotation", "org.example.a=b"];
        let attach = [&["attach", "--artifact-type", KIND], &annotation[..]].concat();
        for number in 0..2 {
            let number = format!("org.example.number={number}");
            let words = [&attach[..], &["--annotation", &number, &from, &file]].concat();
            world.oras(&words);
        }
        world.oras_copy(&["-r", &from, &format!("{to}:v1,latest")]);
        assert_eq!(world.registry.resolve("oras/copy", "latest"), Some(image));

        let fallback = format!("sha256-{}", image.hex());
        for repo in ["oras/app", "oras/copy"] {
            let tags = world.registry.tags(repo);
            assert_eq!(tags.contains(&fallback), world.is_without_api(), "{tags:?}");
            let reference = world.name(&format!("{repo}@{image}"));
            let found = world.oras(&["discover", "--format", "json", &reference]);
            let found: Value = serde_json::from_str(&found).expect("oras writes JSON");
            let referrers = found["referrers"].as_array().expect("oras lists referrers");
            assert_eq!(referrers.len(), 2, "{found}");
            assert!(
                referrers.iter().all(|one| one["artifactType"] == KIND),
                "{found}"
            );
            assert!(
                referrers
                    .iter()
                    .all(|one| one["annotations"]["org.example.a"] == "b"),
                "{found}"
            );
        }
        let tags = world.oras(&["repo", "tags", &to, "--exclude-digest-tags"]);
        assert_eq!(tags, "latest\nv1\n");
        let repos = world.oras(&["repo", "ls", &world.registry.host()]);
        assert_eq!(repos, "oras/app\noras/copy\n");

        // A referrer that is deleted leaves the listing, which oras itself keeps where there is no API.
        let reference = world.name(&format!("oras/copy@{image}"));
        let listed = || {
            let words = ["discover", "--format", "json", "--artifact-type", KIND];
            let found = world.oras(&[&words[..], &[&reference]].concat());
            let found: Value = serde_json::from_str(&found).expect("oras writes JSON");
            found["referrers"]
                .as_array()
                .expect("oras lists referrers")
                .clone()
        };
        let first = listed()[0]["digest"]
            .as_str()
            .expect("a referrer has a digest")
            .to_owned();
        world.oras(&["manifest", "delete", "-f", &format!("{to}@{first}")]);
        assert_eq!(listed().len(), 1);
        world.oras(&["manifest", "delete", "-f", &format!("{to}@{image}")]);
        assert_eq!(world.registry.resolve("oras/copy", "v1"), None);

        let blob = Digest::sha256(b"{}");
        world.oras(&["blob", "delete", "-f", &format!("{to}@{blob}")]);
        assert_eq!(world.registry.blob("oras/copy", blob), None);
        world.oras(&["blob", "push", &to, "report.json"]);
        assert!(world.registry.blob("oras/copy", blob).is_some());
    });
}

#[test]
fn skopeo_copies_lists_and_deletes() {
    in_every_world("skopeo", |world| {
        let image = world.plain_image("skopeo/app");
        let source = format!("docker://{}", world.name("skopeo/app:v1"));
        let target = format!("docker://{}", world.name("skopeo/copy"));
        let copied = format!("{target}:v1");
        world.skopeo_copy(&[], &["--all", &source, &copied]);
        assert_eq!(world.registry.resolve("skopeo/copy", "v1"), Some(image));
        world.skopeo_copy(&[], &["--all", &source, "oci:layout:v1"]);
        let again = format!("{target}:again");
        world.skopeo_copy(&[], &["--all", "oci:layout:v1", &again]);
        assert_eq!(world.registry.resolve("skopeo/copy", "again"), Some(image));
        // Docker's own media types are another image in the same registry.
        let docker = format!("{target}:docker");
        let one = ["--override-arch", "amd64", "--override-os", "linux"];
        world.skopeo_copy(&one, &["--format", "v2s2", &source, &docker]);
        let raw = world.skopeo(&["inspect", "--raw"], &docker);
        assert!(
            raw.contains("vnd.docker.distribution.manifest.v2+json"),
            "{raw}"
        );

        let tags = world.skopeo(&["list-tags"], &target);
        let tags: Value = serde_json::from_str(&tags).expect("skopeo writes JSON");
        assert_eq!(tags["Tags"], json!(["again", "docker", "v1"]));
        world.skopeo(&["delete"], &format!("{target}:v1"));
        assert_eq!(world.registry.tags("skopeo/copy"), ["docker"]);
        assert!(world.registry.manifest("skopeo/copy", image).is_none());
    });
}

/// How one reaches a registry.
#[derive(Clone, Copy, Debug)]
enum Access {
    /// Anybody, over HTTP.
    Open,
    /// With a password, over TLS.
    Password,
    /// With a token of the registry's own, over TLS; contents lie on disk.
    Token,
}

/// A registry of the sandbox in this process, and a home for the programs that talk to it.
struct World<'ring> {
    ring: &'ring Ring,
    access: Access,
    referrers: Referrers,
    registry: Registry,
    home: TempDir,
    // Dropped last: the registry's tasks run on it.
    _runtime: Runtime,
}

/// Runs a test with a client in every world, where there is the client.
fn in_every_world(client: &str, test: impl Fn(&World<'_>)) {
    let Some(ring) = Ring::find() else {
        return;
    };
    if ring.program(client).is_none() {
        say(&format!(
            "SKIPPED: {client} is neither in the ring nor on the PATH"
        ));
        return;
    }
    for access in [Access::Open, Access::Password, Access::Token] {
        for referrers in [Referrers::Api, Referrers::Off] {
            let world = World::new(&ring, client, access, referrers);
            test(&world);
            world.nothing_broke();
        }
    }
}

impl<'ring> World<'ring> {
    fn new(ring: &'ring Ring, client: &str, access: Access, referrers: Referrers) -> Self {
        let runtime = Runtime::new().expect("a runtime starts");
        let home = tempfile::tempdir().expect("a temporary directory can be made");
        let users = vec![User::new("alice", "secret")];
        // crane takes any registry on loopback for plain HTTP where it looks at the link to a next
        // page, and refuses the link that TLS gives.
        let pages = client != "crane" || matches!(access, Access::Open);
        let mut config = Config {
            referrers,
            page_size: pages.then_some(2),
            ..Config::default()
        };
        match access {
            Access::Open => (),
            Access::Password => config.auth = Auth::Basic(users),
            Access::Token => {
                config.auth = Auth::Token(TokenAuth::new(users));
                config.storage = Storage::Disk(home.path().join("registry"));
            }
        }
        if !matches!(access, Access::Open) {
            config.tls = Tls::On;
        }
        let registry = runtime
            .block_on(Registry::start(config))
            .expect("the registry starts");
        let world = Self {
            ring,
            access,
            referrers,
            registry,
            home,
            _runtime: runtime,
        };
        world.furnish();
        world
    }

    /// Writes the credentials and the authority where the programs look for them.
    fn furnish(&self) {
        let auths = match self.access {
            Access::Open => json!({}),
            Access::Password | Access::Token => {
                let auth = STANDARD.encode("alice:secret");
                json!({ self.registry.host(): { "auth": auth } })
            }
        };
        let write = |name: &str, text: &str| {
            fs::write(self.scratch().join(name), text).expect("the scratch is writable");
        };
        write("config.json", &json!({ "auths": auths }).to_string());
        fs::create_dir(self.scratch().join("certs")).expect("the scratch is writable");
        if let Some(pem) = self.registry.ca_pem() {
            write("ca.pem", pem);
            write("certs/ca.crt", pem);
        }
    }

    fn scratch(&self) -> &Path {
        self.home.path()
    }

    fn is_without_api(&self) -> bool {
        self.referrers == Referrers::Off
    }

    fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.registry.host())
    }

    /// Pushes an index of two platforms with crane, tagged `v1`.
    fn image(&self, repo: &str) -> Digest {
        fs::write(self.scratch().join("layer.tar"), vec![0; 10_240]).expect("writable");
        let name = self.name(repo);
        let base = format!("{name}:base");
        self.crane(&["append", "--oci-empty-base", "-f", "layer.tar", "-t", &base]);
        let mut platforms = Vec::new();
        for architecture in ["amd64", "arm64"] {
            let platform = format!("linux/{architecture}");
            let tag = format!("{name}:{architecture}");
            let said = self.crane(&["mutate", &base, "--set-platform", &platform, "-t", &tag]);
            platforms.push(said.trim().to_owned());
        }
        let [amd64, arm64] = platforms.as_slice() else {
            panic!("two platforms");
        };
        let tag = format!("{name}:v1");
        self.crane(&["index", "append", "-m", amd64, "-m", arm64, "-t", &tag]);
        let found = self.registry.resolve(repo, "v1");
        found.unwrap_or_else(|| panic!("{self}: {tag} is not there"))
    }

    /// As [`World::image`], with no member that skopeo 1.9 does not know: it would leave
    /// `artifactType` out and so make another index.
    fn plain_image(&self, repo: &str) -> Digest {
        let image = self.image(repo);
        let stored = self.registry.manifest(repo, image);
        let (media_type, bytes) = stored.expect("the index is there");
        let mut index: Value = serde_json::from_slice(&bytes).expect("an index is JSON");
        let children = index
            .pointer_mut("/manifests")
            .and_then(Value::as_array_mut)
            .expect("an index has manifests");
        for child in children.iter_mut().filter_map(Value::as_object_mut) {
            child.remove("artifactType");
        }
        let plain = index.to_string();
        self.registry
            .put_manifest(repo, &media_type, plain, Some("v1"))
    }

    fn crane(&self, words: &[&str]) -> String {
        self.run("crane", words)
    }

    fn oras(&self, words: &[&str]) -> String {
        let ca = self.scratch().join("ca.pem");
        let own = match self.access {
            Access::Open => vec![OsStr::new("--plain-http")],
            Access::Password | Access::Token => vec![OsStr::new("--ca-file"), ca.as_os_str()],
        };
        let words = words.iter().map(OsStr::new);
        self.run("oras", &words.chain(own).collect::<Vec<_>>())
    }

    fn oras_copy(&self, words: &[&str]) -> String {
        let own: &[&str] = match self.access {
            Access::Open => &["--from-plain-http", "--to-plain-http"],
            Access::Password | Access::Token => {
                &["--from-ca-file", "ca.pem", "--to-ca-file", "ca.pem"]
            }
        };
        self.run("oras", &[&["cp"], words, own].concat())
    }

    fn skopeo(&self, words: &[&str], reference: &str) -> String {
        let own: &[&str] = match self.access {
            Access::Open => &["--tls-verify=false"],
            Access::Password | Access::Token => &["--cert-dir", "certs"],
        };
        let words = [&["--insecure-policy"], words, own, &[reference]].concat();
        self.run("skopeo", &words)
    }

    /// `global` stands before the command.
    fn skopeo_copy(&self, global: &[&str], words: &[&str]) -> String {
        let own: &[&str] = match self.access {
            Access::Open => &["--src-tls-verify=false", "--dest-tls-verify=false"],
            Access::Password | Access::Token => {
                &["--src-cert-dir", "certs", "--dest-cert-dir", "certs"]
            }
        };
        let words = [&["--insecure-policy"], global, &["copy"], own, words];
        self.run("skopeo", &words.concat())
    }

    /// Runs a program, which has to succeed, in an environment of its own.
    fn run<S: AsRef<OsStr>>(&self, name: &str, words: &[S]) -> String {
        let program = self
            .ring
            .program(name)
            .unwrap_or_else(|| PathBuf::from(name));
        let output = Command::new(&program)
            .args(words)
            .current_dir(self.scratch())
            .env_clear()
            .env("HOME", self.scratch())
            .env("TMPDIR", self.scratch())
            .env("DOCKER_CONFIG", self.scratch())
            .env("REGISTRY_AUTH_FILE", self.scratch().join("config.json"))
            .env("SSL_CERT_FILE", self.scratch().join("ca.pem"))
            .env("COSIGN_PASSWORD", "interop")
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let words: Vec<_> = words
            .iter()
            .map(|word| word.as_ref().to_string_lossy())
            .collect();
        assert!(
            output.status.success(),
            "{self}\n$ {name} {}\n{}{}\n{}",
            words.join(" "),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
            self.log(),
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Every request that was not a plain success.
    fn log(&self) -> String {
        let lines: Vec<_> = self
            .registry
            .requests()
            .iter()
            .filter(|one| one.status.is_none_or(|status| status >= 400))
            .map(|one| format!("{:?} {}", one.status, one.line()))
            .collect();
        lines.join("\n")
    }

    /// No client met an error beyond what asking for what is not there, or without credentials, gives.
    fn nothing_broke(&self) {
        for one in self.registry.requests() {
            let status = one
                .status
                .unwrap_or_else(|| panic!("{self}: no answer to {}", one.line()));
            assert!(
                status < 400 || matches!(status, 401 | 404),
                "{self}: {status} for {}",
                one.line()
            );
        }
    }
}

impl fmt::Display for World<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} with {:?}", self.access, self.referrers)
    }
}
