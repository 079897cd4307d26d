//! Each lie of the sandbox's authority, logs and timestamp authority, told to a signer over HTTP and
//! seen by `scgate verify`: the refusal has the code of the one value that is wrong.
//!
//! The twin of every row is the same signature without the lie, which is allowed.

use std::fs;

use scgate::sandbox::Image;
use scgate::sandbox::Lie;
use scgate::sandbox::Sandbox;
use scgate::sandbox::mint::LogVersion;
use scgate::sandbox::server::Fault;
use scgate::sandbox::server::FaultKind;

use crate::runner::Said;
use crate::runner::scgate;
use crate::signing::Signer;

/// A lie, and what it comes to with an entry in Rekor v1 and in Rekor v2: a deny code, the status
/// with which the log itself refuses the entry, or an Allow, whose reason stands above it.
type Row = (&'static str, &'static str, &'static str);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("clock:+3600", "time-in-future", "time-in-future"),
    ("ca-not-before:+3600", "certificate-untrusted", "certificate-untrusted"),
    ("ca-not-after:-3600", "certificate-untrusted", "certificate-untrusted"),
    ("ca-san-uri:https://github.com/evil/shop", "identity-mismatch", "identity-mismatch"),
    ("ca-san-email:evil@sandbox.test", "identity-mismatch", "identity-mismatch"),
    ("ca-second-san:https://github.com/evil/shop", "certificate-san", "certificate-san"),
    ("ca-no-san", "certificate-san", "certificate-san"),
    ("ca-issuer:https://evil.test", "issuer-mismatch", "issuer-mismatch"),
    ("ca-old-issuer:https://evil.test", "certificate-claims-conflict", "certificate-claims-conflict"),
    ("ca-claim:12=https://github.com/evil/shop", "certificate-claims-conflict", "certificate-claims-conflict"),
    // The question names no claim.
    ("ca-no-claim:12", "ALLOW", "ALLOW"),
    ("ca-other-key", "log 400", "log 400"),
    ("ca-key-usage:6", "certificate-usage", "certificate-usage"),
    ("ca-extended-key-usage:1.3.6.1.5.5.7.3.1", "certificate-usage", "certificate-usage"),
    ("ca-no-extended-key-usage", "certificate-usage", "certificate-usage"),
    ("ca-authority", "certificate-usage", "certificate-usage"),
    ("ca-critical:1.2.3.4", "certificate-untrusted", "certificate-untrusted"),
    // Identities stand in the alternative name alone.
    ("ca-subject:evil", "ALLOW", "ALLOW"),
    ("ca-version-1", "certificate-malformed", "certificate-malformed"),
    ("ca-signature", "certificate-untrusted", "certificate-untrusted"),
    ("ca-no-sct", "sct-missing", "sct-missing"),
    ("ca-sct-signature", "sct-invalid", "sct-invalid"),
    ("ca-sct-log", "sct-untrusted", "sct-untrusted"),
    // A promise of the CT log, whose key is valid at that time.
    ("ca-sct-time:+3600", "ALLOW", "ALLOW"),
    ("ca-sct-version:1", "sct-malformed", "sct-malformed"),
    ("ca-sct-list", "sct-malformed", "sct-malformed"),
    ("ca-malformed", "log 400", "log 400"),
    ("log-body", "log-entry-mismatch", "log-entry-mismatch"),
    // Entries of Rekor v2 have no time.
    ("log-time:+3600", "time-in-future", "ALLOW"),
    // Entries of Rekor v2 have no time.
    ("log-no-time", "log-entry-malformed", "ALLOW"),
    // Logs of several shards count all of them.
    ("log-index:1000", "ALLOW", "ALLOW"),
    ("log-stranger", "log-unknown", "log-unknown"),
    // Proof and timestamp are there.
    ("log-no-promise", "ALLOW", "ALLOW"),
    // Entries of Rekor v2 have no promise.
    ("log-promise", "log-promise-invalid", "ALLOW"),
    ("log-proof-index:1", "log-proof-invalid", "log-proof-invalid"),
    ("log-proof-size:1", "log-proof-invalid", "log-proof-invalid"),
    ("log-root", "log-proof-invalid", "log-proof-invalid"),
    ("log-path", "log-proof-invalid", "log-proof-invalid"),
    ("log-no-proof", "log-proof-missing", "log-proof-missing"),
    ("log-no-checkpoint", "checkpoint-missing", "checkpoint-missing"),
    ("log-checkpoint-origin:stranger.test", "checkpoint-invalid", "checkpoint-invalid"),
    ("log-checkpoint-root", "checkpoint-mismatch", "checkpoint-mismatch"),
    ("log-checkpoint-size", "checkpoint-mismatch", "checkpoint-mismatch"),
    ("log-checkpoint-signature", "checkpoint-invalid", "checkpoint-invalid"),
    ("log-checkpoint-name:stranger.test", "checkpoint-invalid", "checkpoint-invalid"),
    ("log-checkpoint-hint", "checkpoint-invalid", "checkpoint-invalid"),
    ("tsa-time:+3600", "time-in-future", "time-in-future"),
    ("tsa-imprint", "timestamp-mismatch", "timestamp-mismatch"),
    ("tsa-status:2", "timestamp-invalid", "timestamp-invalid"),
    // Trust is in the authority, whatever its policy is called.
    ("tsa-policy:1.2.3.4", "ALLOW", "ALLOW"),
    ("tsa-sha1", "timestamp-invalid", "timestamp-invalid"),
    // The nonce is between the signer and the authority.
    ("tsa-nonce", "ALLOW", "ALLOW"),
    ("tsa-signature", "timestamp-invalid", "timestamp-invalid"),
    // The promise of Rekor v1 gives the time.
    ("tsa-stranger", "ALLOW", "timestamp-untrusted"),
    // The root says which certificate it is.
    ("tsa-certificate-hash", "ALLOW", "ALLOW"),
    ("tsa-message-digest", "timestamp-invalid", "timestamp-invalid"),
    ("tsa-no-attributes", "timestamp-invalid", "timestamp-invalid"),
    ("tsa-two-signers", "timestamp-invalid", "timestamp-invalid"),
];

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
        self.sandbox.registry().put_image(repo, &self.image, None);
        if let Some(lie) = lie {
            let lie: Lie = lie.parse().unwrap();
            self.sandbox.inject(Fault::new(FaultKind::Lie(lie)));
        }
        let signer = Signer::new(&self.sandbox);
        let signed = signer.sign(repo, &self.image, log).await;
        self.sandbox.clear_faults();
        signed?;
        let host = self.sandbox.registry().host();
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
