//! The tour itself: what is told, what is run, and how it must end.

use std::path::Path;
use std::time::Instant;

use crate::cli::UsageError;
use crate::cli::demo::run::Pace;
use crate::cli::demo::run::Page;
use crate::cli::demo::run::Run;
use crate::cli::demo::run::Shell;
use crate::cli::demo::run::Trouble;
use crate::cli::demo::tamper;
use crate::cli::error::Access;
use crate::cli::files::show;
use crate::model::Digest;
use crate::sandbox::Image;
use crate::sandbox::Sandbox;
use crate::sandbox::registry::Registry;

/// The repositories in the sandbox's registry.
const APP: &str = "shop/app";
const TOOL: &str = "shop/tool";
const BROKEN: &str = "shop/broken";
/// What `scgate sandbox image` puts into an image unless it is told.
const TEXT: &str = "hello";
/// Who signs: the release workflow of a repository on GitHub.
const WHO: &str = "https://github.com/acme/shop/.github/workflows/release.yml@refs/heads/main";
const ISSUER: &str = "https://token.actions.githubusercontent.com";
/// Where the image is copied to.
const COPY: &str = "app-copy";
/// An SBOM as it is handed to `attest`.
const SBOM: &str = r#"{
  "spdxVersion": "SPDX-2.3",
  "SPDXID": "SPDXRef-DOCUMENT",
  "dataLicense": "CC0-1.0",
  "name": "shop/app",
  "documentNamespace": "https://shop.test/app/1.0",
  "creationInfo": { "created": "2026-01-01T00:00:00Z", "creators": ["Tool: scgate-demo"] },
  "packages": [
    {
      "SPDXID": "SPDXRef-hello",
      "name": "hello",
      "versionInfo": "1.0",
      "downloadLocation": "NOASSERTION"
    }
  ]
}
"#;

/// The whole tour.
pub(super) fn tour(
    page: Page,
    shell: Shell,
    sandbox: Sandbox,
    is_kept: bool,
    begin: Instant,
) -> Result<(), Trouble> {
    let image = Image::new(TEXT);
    let host = sandbox.registry().map(Registry::host).unwrap_or_default();
    let arm64 = image.platforms.last().copied().unwrap_or(image.index);
    let mut tour = Tour {
        host,
        image,
        arm64,
        page,
        shell,
    };
    tour.welcome()?;
    tour.push()?;
    tour.unsigned()?;
    tour.signed_in_part()?;
    tour.signed_whole()?;
    tour.attested()?;
    tour.by_somebody_else()?;
    tour.tampered_with(&sandbox)?;
    tour.copied(sandbox)?;
    tour.farewell(is_kept, begin)
}

/// What every step knows.
struct Tour {
    /// `127.0.0.1:PORT` of the registry.
    host: String,
    image: Image,
    arm64: Digest,
    page: Page,
    shell: Shell,
}

impl Tour {
    fn welcome(&self) -> Result<(), Trouble> {
        self.page
            .title("scgate: may this image run, and why? A tour in nine steps")?;
        self.page.prose(
            "A certificate authority, a transparency log, a timestamp authority and a registry run in this\n\
             process now, on loopback: a world to try things in. Each command below is run for real, by\n\
             this program, and what stands under it is what it printed.",
        )?;
        if self.page.pace == Pace::Through {
            return Ok(());
        }
        self.page
            .prose("To try the commands yourself, paste this in another terminal first:")?;
        self.page.prose(&self.shell.preparation())
    }

    fn push(&mut self) -> Result<(), Trouble> {
        self.page.title("1. An image is pushed")?;
        self.page.prose(
            "The image is an index over two platforms, linux/amd64 and linux/arm64. A tag such as `v1` may\n\
             point elsewhere tomorrow; the digest is the image. So all that follows asks about the digest.",
        )?;
        self.run(Run::new(["sandbox", "image"]).and([format!("{APP}:v1")]))?;
        self.page.pause()
    }

    fn unsigned(&mut self) -> Result<(), Trouble> {
        self.page.title("2. Nobody has signed it")?;
        self.page.prose(
            "A gate says no until something proves yes. Whoever asks says who must have signed: here the\n\
             release workflow of acme/shop, on its main branch. Every refusal has a code and a remedy.",
        )?;
        let asked = self.verify(Run::new(["verify"]), &self.app());
        self.run(asked.denied().says("no-signature"))?;
        self.page.pause()
    }

    fn signed_in_part(&mut self) -> Result<(), Trouble> {
        self.page
            .title("3. Signed, and still refused: the classic accident")?;
        self.page.prose(
            "The workflow signs without a key: for its identity token it gets a certificate that is valid for\n\
             minutes and names the workflow, and what it signs goes into a public log. There is no key to\n\
             lose. By default the index alone is signed, as with cosign, and about the index all is well.",
        )?;
        self.run(self.sign(Run::new(["sign"]), &self.app()).says("signed"))?;
        self.run(
            self.verify(Run::new(["verify"]), &self.app())
                .says("ALLOW")
                .whole(),
        )?;
        self.page.prose(
            "Three hours later an arm64 node starts the image. It runs the manifest of its platform, which is\n\
             another digest, and about that one nobody has signed anything.",
        )?;
        let child = self.verify(Run::new(["verify"]), &self.app_arm64());
        self.run(child.denied().says("no-signature"))?;
        self.page.prose(
            "`tree` shows all evidence of an image, and which platform lacks what. It is no verdict.",
        )?;
        let tree = Run::new(["tree"])
            .and(["--trusted-root", "trusted_root.json"])
            .and([self.app()]);
        self.run(tree.says("linux/arm64 lacks: signature"))?;
        self.page.pause()
    }

    fn signed_whole(&mut self) -> Result<(), Trouble> {
        self.page.title("4. Signed whole")?;
        self.page.prose(
            "With --recursive the index and every manifest in it are signed. What is there already is kept, so\n\
             that a run that broke off is completed by another one; and --recursive makes `verify` ask about\n\
             every platform.",
        )?;
        let signed = self.sign(Run::new(["sign", "--recursive"]), &self.app());
        self.run(signed.says("kept").says("linux/arm64"))?;
        self.run(
            self.verify(Run::new(["verify", "--recursive"]), &self.app())
                .says("ALLOW"),
        )?;
        self.page.pause()
    }

    fn attested(&mut self) -> Result<(), Trouble> {
        self.page.title("5. What is in it: an SBOM")?;
        self.page.prose(
            "An attestation is a signed document about an image. Here it is what is in the arm64 image, as a\n\
             tool such as syft writes it (`sbom.spdx.json`). Whoever reads it gets it only if the right\n\
             workflow signed it.",
        )?;
        self.file("sbom.spdx.json", SBOM)?;
        let predicate = ["--predicate", "linux/arm64=sbom.spdx.json"];
        let attest = Run::new(["attest", "--type", "spdxjson"]);
        self.run(
            self.bundle(attest.and(predicate), &self.app())
                .says("signed"),
        )?;
        let asked = Run::new(["verify-attestation", "--type", "spdxjson"]);
        let asked = self.verify(asked, &self.app_arm64());
        self.run(asked.says("ALLOW").says("SPDXRef-hello"))?;
        self.page.prose(
            "A signed SBOM says what is in an image, not that it may run: another image, which has an SBOM\n\
             and no signature, is refused.",
        )?;
        let tool = Run::new(["sandbox", "image"]).and([format!("{TOOL}:v1")]);
        self.run(tool.and(["--text", "tool"]))?;
        let predicate = ["--predicate", "sbom.spdx.json"];
        let attest = Run::new(["attest", "--type", "spdxjson"]);
        self.run(
            self.bundle(attest.and(predicate), &self.tool())
                .says("signed"),
        )?;
        let asked = self.verify(Run::new(["verify"]), &self.tool());
        self.run(
            asked
                .denied()
                .says("no-signature")
                .says("an attestation of type"),
        )?;
        self.page.pause()
    }

    fn by_somebody_else(&mut self) -> Result<(), Trouble> {
        self.page.title("6. Signed by somebody else")?;
        self.page.prose(
            "A pull request from a fork runs code of a stranger. `sign` reads the token first, and refuses to\n\
             sign with one of such a run.",
        )?;
        let token = |words: &[&'static str]| {
            let words = ["--repository", "mallory/shop"]
                .iter()
                .chain(words)
                .copied();
            Run::new(["sandbox", "token"]).and(words)
        };
        let fork = token(&["--event", "pull_request", "--ref", "refs/pull/7/merge"]);
        self.run(fork.into_file("fork.token"))?;
        let signed = Run::new(["sign"]).and(["--identity-token", "fork.token"]);
        let signed = self.sign(signed, &self.tool());
        self.run(signed.denied().says("signing-forbidden"))?;
        self.page.prose(
            "In a repository of their own strangers sign as they like, and that the signature is valid says\n\
             nothing. Who signed is what counts, compared whole.",
        )?;
        self.run(token(&[]).into_file("mallory.token"))?;
        let signed = Run::new(["sign"]).and(["--identity-token", "mallory.token"]);
        self.run(self.sign(signed, &self.tool()).says("signed"))?;
        let asked = self.verify(Run::new(["verify"]), &self.tool());
        self.run(asked.denied().says("identity-mismatch"))?;
        self.page.pause()
    }

    fn tampered_with(&mut self, sandbox: &Sandbox) -> Result<(), Trouble> {
        self.page.title("7. Tampered with")?;
        self.page.prose(
            "Somebody who can write to the registry pushes another image under the same tag. Nobody signed\n\
             its digest, and a signature about another digest proves nothing about this one.",
        )?;
        let pushed = Run::new(["sandbox", "image"]).and([format!("{APP}:v1")]);
        self.run(pushed.and(["--text", "backdoor"]))?;
        let tag = format!("{}/{APP}:v1", self.host);
        let asked = self.verify(Run::new(["verify"]), &tag);
        self.run(asked.denied().says("no-signature"))?;
        self.page.prose(&format!(
            "Or they change the evidence: this process has just put the signed image into {BROKEN}, with\n\
             one bit of its signature changed.",
        ))?;
        let broken = sandbox.registry().and_then(|registry| {
            registry.put_image(BROKEN, &self.image, None);
            tamper::flip(registry, APP, BROKEN, self.image.index)
        });
        if broken.is_none() {
            let sentence = format!("no bundle about {} can be changed", self.image.index);
            return Err(Trouble::Otherwise(sentence));
        }
        let broken = format!("{}/{BROKEN}@{}", self.host, self.image.index);
        let asked = self.verify(Run::new(["verify"]), &broken);
        self.run(asked.denied().says("signature-invalid"))?;
        self.page.pause()
    }

    fn copied(&mut self, sandbox: Sandbox) -> Result<(), Trouble> {
        self.page.title("8. Copied, and the network gone")?;
        self.page.prose(&format!(
            "The evidence carries its own proof: certificate, log entry, time. This process has just written\n\
             image and evidence to an OCI layout on disk (`{COPY}`) and ended registry and services. An\n\
             auditor with that directory and the trusted root gets the same verdict, with no network.",
        ))?;
        let to = self.shell.directory.join(COPY);
        if let Some(registry) = sandbox.registry() {
            let saved = registry.save_layout(APP, self.image.index, &to);
            saved.map_err(|error| Trouble::Otherwise(format!("failed to {error}")))?;
        }
        let ended = tokio::runtime::Handle::current().block_on(sandbox.stop());
        ended.map_err(|source| Trouble::Usage(UsageError::Sandbox { source }))?;
        let words = ["verify", "--recursive", "--offline", "--layout", COPY];
        let asked = self.verify(Run::new(words), &self.image.index.to_string());
        self.run(asked.says("ALLOW"))?;
        self.page.pause()
    }

    fn farewell(&self, is_kept: bool, begin: Instant) -> Result<(), Trouble> {
        self.page.title("9. Where to go on")?;
        self.page.prose(&format!(
            "Every step turned out as told, in {:.1} s. On your own machine:\n\
             \n\
             eval \"$(scgate sandbox --detach)\"   # such a world to work in: cosign signs there, too\n\
             scgate verify --help                # the same question about your images\n\
             scgate demo --pause                 # this tour, with time to type along\n\
             \n\
             `scgate` is {} here.\n\
             To read: docs/sandbox.md, docs/deny-codes.md (every reason and its remedy), docs/cosign-flags.md.",
            begin.elapsed().as_secs_f64(),
            show(&self.shell.program),
        ))?;
        if is_kept {
            self.page.prose(&format!(
                "The files are kept in {}. What step 8 asks gets the same answer there any time.",
                show(&self.shell.directory),
            ))?;
        }
        Ok(())
    }

    /// The image by digest.
    fn app(&self) -> String {
        format!("{}/{APP}@{}", self.host, self.image.index)
    }

    /// What a node with that processor runs of it.
    fn app_arm64(&self) -> String {
        format!("{}/{APP}@{}", self.host, self.arm64)
    }

    /// Another image, which the release workflow never signs.
    fn tool(&self) -> String {
        format!("{}/{TOOL}@{}", self.host, Image::new("tool").index)
    }

    /// Adds by whom it must be, under which root.
    fn verify(&self, run: Run, reference: &str) -> Run {
        run.and(["--trusted-root", "trusted_root.json"])
            .and(["--certificate-identity", WHO])
            .and(["--certificate-oidc-issuer", ISSUER])
            .and([reference])
    }

    /// Adds which services take part.
    fn sign(&self, run: Run, reference: &str) -> Run {
        run.and(["--signing-config", "signing_config.json"])
            .and(["--trusted-root", "trusted_root.json"])
            .and([reference])
    }

    /// The same in one layout.
    fn bundle(&self, run: Run, reference: &str) -> Run {
        self.sign(run.and(["--signature-format", "bundle"]), reference)
    }

    fn file(&self, name: &str, text: &str) -> Result<(), Trouble> {
        let path = self.shell.directory.join(Path::new(name));
        std::fs::write(&path, text).map_err(|source| {
            Trouble::Usage(UsageError::File {
                flag: "--keep",
                path: show(&path),
                to: Access::Write,
                source,
            })
        })
    }

    fn run(&self, run: Run) -> Result<(), Trouble> {
        self.page.run(&self.shell, &run)
    }
}
