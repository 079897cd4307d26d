//! Each fault of the sandbox's registry, seen by `scgate verify` as what it is: a world that failed
//! is undecided and never "unsigned", a lie is a refusal, and what harms nothing is allowed.
//!
//! The twin of every row is the same question without the fault, which is allowed.

mod rows;

use std::fs;

use scgate::sandbox::Image;
use scgate::sandbox::Sandbox;
use scgate::sandbox::mint::LogVersion;

use crate::runner::Said;
use crate::runner::scgate;
use crate::signing::Signer;
use rows::ROWS;

const REPO: &str = "faults/app";

struct World {
    sandbox: Sandbox,
    image: Image,
    dir: tempfile::TempDir,
}

impl World {
    /// A sandbox with one signed image.
    async fn open() -> Self {
        let sandbox = Sandbox::start().await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("root.json"), sandbox.trusted_root()).unwrap();
        let image = Image::new("hello");
        sandbox
            .registry()
            .unwrap()
            .put_image(REPO, &image, Some("v1"));
        let signer = Signer::new(&sandbox);
        signer.sign(REPO, &image, LogVersion::V2).await.unwrap();
        Self {
            sandbox,
            image,
            dir,
        }
    }

    fn ask(&self, fault: Option<&str>) -> Said {
        if let Some(fault) = fault {
            let fault = fault.replace("INDEX", &self.image.index.to_string());
            let fault = fault.replace("OTHER", &self.image.platforms[0].to_string());
            self.sandbox
                .registry()
                .unwrap()
                .inject(fault.parse().unwrap());
        }
        // Whoever waits for ever is met with little patience, everybody else with much.
        let is_endless = |fault: &str| fault.starts_with("hang") || fault.contains("every=200ms");
        let patience = match fault.is_some_and(is_endless) {
            true => "--timeout=2s",
            false => "--timeout=30s",
        };
        let host = self.sandbox.registry().unwrap().host();
        let said = scgate(["verify", "--trusted-root=root.json", "-ojson", patience])
            .and(["--certificate-oidc-issuer=https://token.actions.githubusercontent.com"])
            .and(["--certificate-identity=https://github.com/acme/shop/.github/workflows/release.yml@refs/heads/main"])
            .and([format!("{host}/{REPO}:v1")])
            .within(self.dir.path())
            .run();
        self.sandbox.registry().unwrap().clear_faults();
        said
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_has_its_outcome() {
    let world = World::open().await;
    let mut wrong = Vec::new();
    for (fault, code, reason) in ROWS {
        let said = world.ask(Some(fault));
        let found = (said.code.unwrap(), said.codes().join("+"));
        if found != (*code, (*reason).to_owned()) {
            wrong.push(format!("    (\"{fault}\", {}, \"{}\"),", found.0, found.1));
        }
        let twin = world.ask(None);
        assert_eq!(twin.code, Some(0), "after `{fault}`\n{twin}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    world.sandbox.stop().await.unwrap();
}
