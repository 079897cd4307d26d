//! Each lie of the sandbox's authority, logs and timestamp authority, told to a signer over HTTP and
//! seen by `scgate verify`: the refusal has the code of the one value that is wrong.
//!
//! The twin of every row is the same signature without the lie, which is allowed.

pub(crate) mod rows;

use std::fs;

use scgate::sandbox::Image;
use scgate::sandbox::Lie;
use scgate::sandbox::Sandbox;
use scgate::sandbox::mint::LogVersion;
use scgate::sandbox::server::Fault;
use scgate::sandbox::server::FaultKind;

use rows::ROWS;

use crate::runner::Said;
use crate::runner::scgate;
use crate::signing::Signer;

struct World {
    sandbox: Sandbox,
    image: Image,
    dir: tempfile::TempDir,
}

impl World {
    async fn open() -> Self {
        let sandbox = Sandbox::start().await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("root.json"), sandbox.trusted_root()).unwrap();
        Self {
            sandbox,
            image: Image::new("hello"),
            dir,
        }
    }

    /// Signs under a lie, and asks about the signature.
    async fn ask(&self, repo: &str, lie: Option<&str>, log: LogVersion) -> Result<Said, u16> {
        self.sandbox
            .registry()
            .unwrap()
            .put_image(repo, &self.image, None);
        if let Some(lie) = lie {
            let lie: Lie = lie.parse().unwrap();
            self.sandbox.inject(Fault::new(FaultKind::Lie(lie)));
        }
        let signer = Signer::new(&self.sandbox);
        let signed = signer.sign(repo, &self.image, log).await;
        self.sandbox.clear_faults();
        signed?;
        let host = self.sandbox.registry().unwrap().host();
        let reference = format!("{host}/{repo}@{}", self.image.index);
        let said = scgate(["verify", "--trusted-root=root.json", "-ojson"])
            .and(["--certificate-oidc-issuer=https://token.actions.githubusercontent.com"])
            .and(["--certificate-identity=https://github.com/acme/shop/.github/workflows/release.yml@refs/heads/main"])
            .and([reference])
            .within(self.dir.path())
            .run();
        Ok(said)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_lie_is_refused_for_what_it_is() {
    let world = World::open().await;
    let mut wrong = Vec::new();
    for (number, (lie, rekor1, rekor2)) in ROWS.iter().enumerate() {
        for (log, expected) in [(LogVersion::V1, rekor1), (LogVersion::V2, rekor2)] {
            let repo = format!("lies/{number}-{}", version(log));
            let found = match world.ask(&repo, Some(lie), log).await {
                Err(status) => format!("log {status}"),
                Ok(said) if said.code == Some(0) => "ALLOW".to_owned(),
                Ok(said) => said.codes().join("+"),
            };
            if found != *expected {
                wrong.push(format!("{lie}, Rekor v{}: {found}", version(log)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for log in [LogVersion::V1, LogVersion::V2] {
        let repo = format!("lies/none-{}", version(log));
        let said = world.ask(&repo, None, log).await.unwrap();
        assert_eq!(said.code, Some(0), "{said}");
    }
    world.sandbox.stop().await.unwrap();
}

const fn version(log: LogVersion) -> u8 {
    match log {
        LogVersion::V1 => 1,
        LogVersion::V2 => 2,
    }
}

#[test]
fn every_lie_has_a_row() {
    let rows: Vec<_> = ROWS
        .iter()
        .map(|(lie, _, _)| lie.split(':').next().unwrap())
        .collect();
    let names: Vec<_> = Lie::names().map(|(name, _, _)| name).collect();
    assert_eq!(rows, names);
}

/// What has no name is told by hand, and meets only the requests that the fault names.
#[tokio::test(flavor = "multi_thread")]
async fn a_lie_by_hand_meets_what_it_names() {
    let world = World::open().await;
    let lie = Lie::certificate(|order| order.serial = Some(vec![0x80, 1]));
    let fault = Fault::new(FaultKind::Lie(lie)).path("/api/v2/signingCert");
    world.sandbox.inject(fault.after(1).times(1));
    let signer = Signer::new(&world.sandbox);
    let mut serials = Vec::new();
    for _ in 0..3 {
        let certificate = signer.certificate().await;
        serials.push(certificate.windows(4).any(|part| part == [2, 2, 0x80, 1]));
    }
    assert_eq!(serials, [false, true, false]);
    world.sandbox.stop().await.unwrap();
}
