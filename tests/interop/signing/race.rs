//! Many signers of one digest at once, in real registries: each that ends with 0 has its signature
//! there, and who was overtaken says so with `write-unconfirmed`.

use std::thread;

use serde_json::Value;

use super::ISSUER;
use super::Keyless;
use super::ROOT;
use super::Rfc3161;
use super::V1;
use super::Way;
use super::World;
use super::identity;
use crate::peers::Listing::Referrers;
use crate::peers::Ring;
use crate::peers::say;

/// Signers at the same time.
const SIGNERS: usize = 8;
/// Rounds of the small ring, each over another image.
const FEW_ROUNDS: usize = 2;
/// Rounds of the full ring.
const ROUNDS: usize = 10;

/// Each signer is a workflow of its own, so that nobody keeps another's signature.
fn workflow(number: usize) -> String {
    format!("race-{number}.yml")
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_loses_a_signature() {
    let Some(ring) = Ring::find() else {
        return;
    };
    let is_full = ring.program("cosign2").is_some();
    for format in ["bundle", "legacy"] {
        let way = Way::new(Keyless, format, V1, Rfc3161).on(Referrers);
        if let Some(world) = World::open(way).await {
            let rounds = if is_full { ROUNDS } else { FEW_ROUNDS };
            world.race(&format!("{format}, go-containerregistry"), rounds);
        }
        if is_full && let Some(world) = World::with_distribution(way).await {
            world.race(&format!("{format}, distribution"), ROUNDS);
        }
    }
    if !is_full {
        say("SKIPPED the race over distribution: the full ring has it");
    }
}

impl World {
    fn race(&self, title: &str, rounds: usize) {
        for number in 0..SIGNERS {
            self.token(&format!("token-{number}"), &workflow(number));
        }
        let (mut written, mut unconfirmed, mut kept) = (0, 0, 0);
        for round in 0..rounds {
            let image = self.push("shop/race", &format!("race {round}"));
            let answers: Vec<_> = thread::scope(|scope| {
                let signers: Vec<_> = (0..SIGNERS)
                    .map(|number| {
                        let words = [
                            "sign".to_owned(),
                            "--signing-config=signing_config.json".to_owned(),
                            ROOT.to_owned(),
                            format!("--signature-format={}", self.way.formats),
                            format!("--identity-token=token-{number}"),
                            image.reference.clone(),
                        ];
                        scope.spawn(move || self.ring.scgate(words))
                    })
                    .collect();
                let joined = signers.into_iter().map(|one| one.join());
                joined.map(|one| one.expect("nobody panics")).collect()
            });
            let findings = self.findings(&image.reference);
            for (number, answer) in answers.iter().enumerate() {
                let is_there = findings.contains(&workflow(number));
                match answer.exit {
                    Some(0) => {
                        assert!(
                            is_there,
                            "{title}: lost without a word in round {round}\n{answer}"
                        );
                        written += 1;
                    }
                    Some(3) => {
                        assert!(
                            answer.stderr.contains("write-unconfirmed"),
                            "{title}\n{answer}"
                        );
                        unconfirmed += 1;
                    }
                    _ => panic!("{title}, round {round}\n{answer}"),
                }
                kept += usize::from(is_there);
            }
            // And for the others' program: each of the first and the last.
            for number in [0, SIGNERS - 1] {
                let mut words = vec!["verify".to_owned(), ROOT.to_owned(), ISSUER.to_owned()];
                words.extend([identity(&workflow(number)), image.reference.clone()]);
                if findings.contains(&workflow(number)) {
                    let answer = self.ring.cosign(&words);
                    assert_eq!(answer.exit, Some(0), "{title}\n{answer}");
                }
            }
        }
        say(&format!(
            "race, {title}: {rounds} rounds of {SIGNERS}: {written} exited 0, {unconfirmed} said \
             write-unconfirmed, {kept} are there"
        ));
        assert_eq!(written + unconfirmed, rounds * SIGNERS);
        assert!(kept >= written);
    }

    /// What scgate finds about an image, valid or not, as JSON text.
    fn findings(&self, reference: &str) -> String {
        let mut words = vec!["verify", "--all-evidence", "-ojson", ROOT, ISSUER];
        let who = identity(&workflow(0));
        words.extend([who.as_str(), reference]);
        let answer = self.ring.scgate(words);
        let report: Value =
            serde_json::from_str(&answer.stdout).unwrap_or_else(|_| panic!("{answer}"));
        report["reports"][0]["subjects"][0]["findings"].to_string()
    }
}
