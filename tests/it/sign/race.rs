//! Many signers of one image at once: each that ends with 0 has its signature there.

use std::thread;

use scgate::sandbox::Config;
use scgate::sandbox::GithubToken;
use scgate::sandbox::registry;
use scgate::sandbox::registry::Referrers;
use serde_json::Value;

use super::World;
use crate::runner::scgate;

/// Signers at the same time.
const SIGNERS: usize = 8;
/// Rounds, each over another image. `tests/interop/signing.rs` has ten against real registries.
const ROUNDS: usize = 2;

/// Each signer is a workflow of its own, so that nobody keeps another's signature.
fn workflow(number: usize) -> String {
    format!("race-{number}.yml")
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_loses_a_signature() {
    for (referrers, format) in [
        (Referrers::Off, "bundle"),
        (Referrers::Api, "bundle"),
        (Referrers::Api, "legacy"),
    ] {
        let config = Config {
            registry: registry::Config {
                referrers,
                ..registry::Config::default()
            },
            ..Config::default()
        };
        let world = World::with(config).await;
        for number in 0..SIGNERS {
            let run = GithubToken {
                workflow: workflow(number),
                ..GithubToken::default()
            };
            world.token(&format!("token-{number}"), run);
        }
        for round in 0..ROUNDS {
            let image = scgate::sandbox::Image::new(&format!("race {round}"));
            let registry = world.sandbox.registry().unwrap();
            registry.put_image(super::REPO, &image, None);
            let reference = format!("{}@{}", world.repository(), image.index);
            let codes: Vec<_> = thread::scope(|scope| {
                let signers: Vec<_> = (0..SIGNERS)
                    .map(|number| {
                        let run = scgate(["sign", "--signing-config=services.json"])
                            .and(["--trusted-root=root.json", "--timeout=60s", &reference])
                            .and([format!("--signature-format={format}")])
                            .and([format!("--identity-token=token-{number}")])
                            .within(world.dir.path());
                        scope.spawn(move || run.run())
                    })
                    .collect();
                signers.into_iter().map(|one| one.join().unwrap()).collect()
            });
            let said = scgate(["verify", "--trusted-root=root.json", "-ojson"])
                .and(["--all-evidence", super::ISSUER, super::WHO, &reference])
                .within(world.dir.path())
                .run();
            let report: Value = serde_json::from_str(&said.stdout).unwrap();
            let findings = report["reports"][0]["subjects"][0]["findings"].to_string();
            for (number, code) in codes.iter().enumerate() {
                let is_there = findings.contains(&workflow(number));
                match code.code {
                    Some(0) => assert!(is_there, "lost without a word: {number} {format}\n{code}"),
                    Some(3) => assert!(code.stderr.contains("write-unconfirmed"), "{code}"),
                    _ => panic!("{code}"),
                }
            }
            let confirmed = codes.iter().filter(|code| code.code == Some(0)).count();
            assert!(confirmed >= SIGNERS - 1, "{confirmed} of {SIGNERS}");
        }
        world.end().await;
    }
}
