//! The lies that have names. A value comes after a colon: `ca-claim:12=https://github.com/evil`.

use std::sync::LazyLock;

use super::Change;
use super::Change::Certificate;
use super::Change::Entry;
use super::Change::Timestamp;
use crate::model::San;
use crate::model::Timestamp as Time;
use crate::sandbox::mint::BasicConstraints;
use crate::sandbox::mint::CertificateOrder;
use crate::sandbox::mint::CheckpointOrder;
use crate::sandbox::mint::CtLog;
use crate::sandbox::mint::EntryOrder;
use crate::sandbox::mint::Extension;
use crate::sandbox::mint::GeneralName;
use crate::sandbox::mint::HashKind;
use crate::sandbox::mint::Hook;
use crate::sandbox::mint::KeyKind;
use crate::sandbox::mint::Log;
use crate::sandbox::mint::Mint;
use crate::sandbox::mint::MintError;
use crate::sandbox::mint::Proof;
use crate::sandbox::mint::ProofOrder;
use crate::sandbox::mint::SigningKey;
use crate::sandbox::mint::TimestampOrder;
use crate::sandbox::mint::der;

/// A lie with a name.
pub(super) struct Named {
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
    /// A value that it takes; none for a lie without one.
    pub(super) example: Option<&'static str>,
    pub(super) change: Change,
}

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Named {}

impl Named {
    /// Whether it understands this value: told to an order that nobody sees.
    pub(super) fn takes(&self, value: &str) -> bool {
        let Ok(now) = Time::from_unix_seconds(0) else {
            return false;
        };
        let done = match self.change {
            Certificate(change) => {
                let san = San::Uri(String::new());
                let identity = crate::model::Identity {
                    san,
                    issuer: String::new(),
                    claims: crate::model::Claims::default(),
                };
                change(&mut CertificateOrder::leaf(now, &identity), value)
            }
            Change::Clock => value.parse::<i64>().ok().map(drop),
            Entry(change) => change(&mut EntryOrder::v1(0), value),
            Timestamp(change) => change(&mut TimestampOrder::new(now), value),
        };
        done.is_some()
    }
}

/// Actors that no root vouches for, and the keys of the others' lies.
struct Strangers {
    p256: SigningKey,
    ed25519: SigningKey,
    mint: Mint,
}

static STRANGERS: LazyLock<Result<Strangers, MintError>> = LazyLock::new(|| {
    // A time in the middle of any certificate's life that a test may ask for.
    let now = Time::from_unix_seconds(1_767_225_600).map_err(|_| MintError::Crypto)?;
    Ok(Strangers {
        p256: SigningKey::generate(KeyKind::P256)?,
        ed25519: SigningKey::generate(KeyKind::Ed25519)?,
        mint: Mint::new(now)?,
    })
});

fn strangers() -> Option<&'static Strangers> {
    STRANGERS.as_ref().ok()
}

const fn plain(name: &'static str, meaning: &'static str, change: Change) -> Named {
    Named {
        name,
        meaning,
        example: None,
        change,
    }
}

const fn valued(
    name: &'static str,
    example: &'static str,
    meaning: &'static str,
    change: Change,
) -> Named {
    Named {
        name,
        meaning,
        example: Some(example),
        change,
    }
}

/// All of them: first those of the certificate authority and its log, then those of the
/// transparency logs, then those of the timestamp authority.
pub(super) static NAMES: &[Named] = &[
    valued(
        "clock",
        "+3600",
        "the clock is so many seconds ahead",
        Change::Clock,
    ),
    valued(
        "ca-not-before",
        "+3600",
        "the validity begins so many seconds later",
        Certificate(|o, v| {
            o.not_before = o.not_before.plus_seconds(v.parse().ok()?);
            Some(())
        }),
    ),
    valued(
        "ca-not-after",
        "-3600",
        "the validity ends so many seconds later",
        Certificate(|o, v| {
            o.not_after = o.not_after.plus_seconds(v.parse().ok()?);
            Some(())
        }),
    ),
    valued(
        "ca-san-uri",
        "https://github.com/evil/shop",
        "the name is this URI",
        Certificate(|o, v| {
            o.names = Some(vec![GeneralName::Uri(v.to_owned())]);
            Some(())
        }),
    ),
    valued(
        "ca-san-email",
        "evil@sandbox.test",
        "the name is this address",
        Certificate(|o, v| {
            o.names = Some(vec![GeneralName::Email(v.to_owned())]);
            Some(())
        }),
    ),
    valued(
        "ca-second-san",
        "https://github.com/evil/shop",
        "there is a second name, this URI",
        Certificate(|o, v| {
            o.names
                .get_or_insert_default()
                .push(GeneralName::Uri(v.to_owned()));
            Some(())
        }),
    ),
    plain(
        "ca-no-san",
        "there is no name",
        Certificate(|o, _| {
            o.names = None;
            Some(())
        }),
    ),
    valued(
        "ca-issuer",
        "https://evil.test",
        "the token's issuer is this one",
        Certificate(|o, v| {
            o.set_extension(Extension::claim(1, v));
            o.set_extension(Extension::claim(8, v));
            Some(())
        }),
    ),
    valued(
        "ca-old-issuer",
        "https://evil.test",
        "the deprecated issuer differs from the issuer",
        Certificate(|o, v| {
            o.set_extension(Extension::claim(1, v));
            Some(())
        }),
    ),
    valued(
        "ca-claim",
        "12=https://github.com/evil/shop",
        "the extension of this number has this value",
        Certificate(|o, v| {
            let (arc, value) = v.split_once('=')?;
            o.set_extension(Extension::claim(arc.parse().ok()?, value));
            Some(())
        }),
    ),
    valued(
        "ca-no-claim",
        "12",
        "the extension of this number is left out",
        Certificate(|o, v| {
            let arc: u8 = v.parse().ok()?;
            let oid = Extension::claim(arc, "").oid;
            o.extensions.retain(|one| one.oid != oid);
            Some(())
        }),
    ),
    plain(
        "ca-other-key",
        "the certificate is for another key",
        Certificate(|o, _| {
            let other = strangers()?.p256.spki().to_vec();
            o.spki = Hook::new(move |spki: &mut Vec<u8>| spki.clone_from(&other));
            Some(())
        }),
    ),
    valued(
        "ca-key-usage",
        "6",
        "the key usage has these bits (first byte)",
        Certificate(|o, v| {
            o.key_usage = Some(v.parse().ok()?);
            Some(())
        }),
    ),
    valued(
        "ca-extended-key-usage",
        "1.3.6.1.5.5.7.3.1",
        "the extended key usage is this",
        Certificate(|o, v| {
            o.extended_key_usage = vec![dotted(v)?];
            Some(())
        }),
    ),
    plain(
        "ca-no-extended-key-usage",
        "there is no extended key usage",
        Certificate(|o, _| {
            o.extended_key_usage.clear();
            Some(())
        }),
    ),
    plain(
        "ca-authority",
        "the certificate may issue others",
        Certificate(|o, _| {
            o.basic_constraints = Some(BasicConstraints {
                ca: true,
                path_length: None,
            });
            Some(())
        }),
    ),
    valued(
        "ca-critical",
        "1.2.3.4",
        "there is this critical extension",
        Certificate(|o, v| {
            o.extensions.push(Extension {
                oid: dotted(v)?,
                critical: true,
                value: der::null(),
            });
            Some(())
        }),
    ),
    valued(
        "ca-subject",
        "evil",
        "the subject has this common name",
        Certificate(|o, v| {
            o.subject = Some(v.to_owned());
            Some(())
        }),
    ),
    plain(
        "ca-version-1",
        "the certificate is of X.509 version 1",
        Certificate(|o, _| {
            o.version = None;
            Some(())
        }),
    ),
    plain(
        "ca-signature",
        "the authority's signature is over something else",
        Certificate(|o, _| {
            o.signed = flipped();
            Some(())
        }),
    ),
    plain(
        "ca-no-sct",
        "there is no SCT",
        Certificate(|o, _| {
            o.scts.clear();
            Some(())
        }),
    ),
    plain(
        "ca-sct-signature",
        "the SCT's signature is over something else",
        Certificate(|o, _| {
            o.scts.first_mut()?.signed = flipped();
            Some(())
        }),
    ),
    plain(
        "ca-sct-log",
        "the SCT is by a log that nobody knows",
        Certificate(|o, _| {
            let key = strangers()?.p256.clone();
            o.scts.first_mut()?.log = Some(CtLog::new("https://stranger.test", key));
            Some(())
        }),
    ),
    valued(
        "ca-sct-time",
        "+3600",
        "the SCT is so many seconds later",
        Certificate(|o, v| {
            let shift = v.parse::<i64>().ok()?.checked_mul(1000)?;
            let sct = o.scts.first_mut()?;
            sct.timestamp = sct.timestamp.saturating_add_signed(shift);
            Some(())
        }),
    ),
    valued(
        "ca-sct-version",
        "1",
        "the SCT has this version",
        Certificate(|o, v| {
            o.scts.first_mut()?.version = v.parse().ok()?;
            Some(())
        }),
    ),
    plain(
        "ca-sct-list",
        "the list of SCTs is cut short",
        Certificate(|o, _| {
            o.sct_list = Hook::new(|list: &mut Vec<u8>| list.truncate(list.len() / 2));
            Some(())
        }),
    ),
    plain(
        "ca-malformed",
        "the certificate is no DER",
        Certificate(|o, _| {
            o.encoded = Hook::new(|der: &mut Vec<u8>| der.truncate(der.len() / 2));
            Some(())
        }),
    ),
    plain(
        "log-body",
        "the entry is about another signature",
        Entry(|o, _| {
            o.body_bytes = Hook::new(|body: &mut Vec<u8>| other_body(body));
            Some(())
        }),
    ),
    valued(
        "log-time",
        "+3600",
        "the entry was taken so many seconds later",
        Entry(|o, v| {
            let shift: i64 = v.parse().ok()?;
            o.integrated_time = o.integrated_time.map(|time| time.saturating_add(shift));
            Some(())
        }),
    ),
    plain(
        "log-no-time",
        "the entry has no time",
        Entry(|o, _| {
            o.integrated_time = None;
            Some(())
        }),
    ),
    valued(
        "log-index",
        "1000",
        "the index is so much larger",
        Entry(|o, v| {
            o.shard_offset = v.parse().ok()?;
            Some(())
        }),
    ),
    plain(
        "log-stranger",
        "the entry is by a log that nobody knows",
        Entry(|o, _| {
            let strangers = strangers()?;
            o.log = Some(match o.version {
                crate::sandbox::mint::LogVersion::V1 => {
                    Log::v1("stranger.test", 1, strangers.p256.clone())
                }
                crate::sandbox::mint::LogVersion::V2 => {
                    Log::v2("stranger.test", strangers.ed25519.clone())
                }
            });
            Some(())
        }),
    ),
    plain(
        "log-no-promise",
        "there is no signed promise",
        Entry(|o, _| {
            o.promise = None;
            Some(())
        }),
    ),
    plain(
        "log-promise",
        "the promise is signed by another key",
        Entry(|o, _| {
            let key = strangers()?.p256.clone();
            if let Some(promise) = &mut o.promise {
                promise.key = Some(key);
            }
            Some(())
        }),
    ),
    valued(
        "log-proof-index",
        "1",
        "the index in the proof is so much larger",
        Entry(|o, v| {
            let shift: i64 = v.parse().ok()?;
            edit(o, move |proof| proof.log_index += shift)
        }),
    ),
    valued(
        "log-proof-size",
        "1",
        "the tree in proof and checkpoint is so much larger",
        Entry(|o, v| {
            let shift: i64 = v.parse().ok()?;
            edit(o, move |proof| proof.tree_size += shift)
        }),
    ),
    plain(
        "log-root",
        "the root in proof and checkpoint is another one",
        Entry(|o, _| edit(o, |proof| flip(&mut proof.root))),
    ),
    plain(
        "log-path",
        "the path to the root is another one",
        Entry(|o, _| {
            edit(o, |proof| match proof.hashes.first_mut() {
                Some(hash) => flip(hash),
                None => proof.hashes.push(vec![7; 32]),
            })
        }),
    ),
    plain(
        "log-no-proof",
        "there is no inclusion proof",
        Entry(|o, _| {
            o.proof = None;
            Some(())
        }),
    ),
    plain(
        "log-no-checkpoint",
        "the proof has no checkpoint",
        Entry(|o, _| {
            o.proof.get_or_insert_default().checkpoint = None;
            Some(())
        }),
    ),
    valued(
        "log-checkpoint-origin",
        "stranger.test",
        "the checkpoint is of this origin",
        Entry(|o, v| {
            checkpoint(o)?.origin = Some(v.to_owned());
            Some(())
        }),
    ),
    plain(
        "log-checkpoint-root",
        "the checkpoint has another root than the proof",
        Entry(|o, _| {
            line(o, 2, |_| {
                "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned()
            })
        }),
    ),
    plain(
        "log-checkpoint-size",
        "the checkpoint has another size than the proof",
        Entry(|o, _| line(o, 1, |size| format!("1{size}"))),
    ),
    plain(
        "log-checkpoint-signature",
        "the checkpoint is signed by another key",
        Entry(|o, _| {
            let strangers = strangers()?;
            let key = match o.version {
                crate::sandbox::mint::LogVersion::V1 => strangers.p256.clone(),
                crate::sandbox::mint::LogVersion::V2 => strangers.ed25519.clone(),
            };
            checkpoint(o)?.key = Some(key);
            Some(())
        }),
    ),
    valued(
        "log-checkpoint-name",
        "stranger.test",
        "the checkpoint's signature has this name",
        Entry(|o, v| {
            checkpoint(o)?.name = Some(v.to_owned());
            Some(())
        }),
    ),
    plain(
        "log-checkpoint-hint",
        "the checkpoint's signature hints at another key",
        Entry(|o, _| {
            checkpoint(o)?.hint = Some([7; 4]);
            Some(())
        }),
    ),
    valued(
        "tsa-time",
        "+3600",
        "the time is so many seconds later",
        Timestamp(|o, v| {
            o.time = o.time.plus_seconds(v.parse().ok()?);
            Some(())
        }),
    ),
    plain(
        "tsa-imprint",
        "the timestamp is over something else",
        Timestamp(|o, _| {
            // Nobody's imprint ends in the bytes of the serial number that follows it.
            o.info = Hook::new(|info: &mut Vec<u8>| {
                if let Some(byte) = info.get_mut(45) {
                    *byte ^= 1;
                }
            });
            Some(())
        }),
    ),
    valued(
        "tsa-status",
        "2",
        "the status is this (0 and 1 grant)",
        Timestamp(|o, v| {
            o.status = v.parse().ok()?;
            Some(())
        }),
    ),
    valued(
        "tsa-policy",
        "1.2.3.4",
        "the policy is this",
        Timestamp(|o, v| {
            o.policy = dotted(v)?;
            Some(())
        }),
    ),
    plain(
        "tsa-sha1",
        "the imprint calls itself SHA-1",
        Timestamp(|o, _| {
            o.hash = HashKind::Sha1;
            Some(())
        }),
    ),
    plain(
        "tsa-nonce",
        "the nonce is another one",
        Timestamp(|o, _| {
            o.nonce = Some(vec![1, 2, 3]);
            Some(())
        }),
    ),
    plain(
        "tsa-signature",
        "the signature is over something else",
        Timestamp(|o, _| {
            o.signed = flipped();
            Some(())
        }),
    ),
    plain(
        "tsa-stranger",
        "the timestamp is by an authority that nobody knows",
        Timestamp(|o, _| {
            o.authority = Some(strangers()?.mint.tsa.clone());
            Some(())
        }),
    ),
    plain(
        "tsa-certificate-hash",
        "the timestamp names another certificate",
        Timestamp(|o, _| {
            o.attributes.as_mut()?.certificate_hash = flipped();
            Some(())
        }),
    ),
    plain(
        "tsa-message-digest",
        "the signed attributes are about something else",
        Timestamp(|o, _| {
            o.attributes.as_mut()?.message_digest = flipped();
            Some(())
        }),
    ),
    plain(
        "tsa-no-attributes",
        "there are no signed attributes",
        Timestamp(|o, _| {
            o.attributes = None;
            Some(())
        }),
    ),
    plain(
        "tsa-two-signers",
        "there are two signers",
        Timestamp(|o, _| {
            o.signers = 2;
            Some(())
        }),
    ),
];

fn flipped() -> Hook<Vec<u8>> {
    Hook::new(|bytes: &mut Vec<u8>| flip(bytes))
}

/// Flips a bit in the middle.
fn flip(bytes: &mut [u8]) {
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
}

/// Another signature in the place of the one that was sent, still in the form of an entry.
fn other_body(body: &mut [u8]) {
    let text = String::from_utf8_lossy(body).into_owned();
    for member in ["\"content\":\"", "\"signature\":\"", "\"sig\":\""] {
        let Some(place) = text.find(member) else {
            continue;
        };
        // Behind the length bytes of a DER signature, far from its end.
        if let Some(byte) = body.get_mut(place + member.len() + 20) {
            *byte = if *byte == b'A' { b'B' } else { b'A' };
        }
        return;
    }
}

fn edit(order: &mut EntryOrder, change: impl Fn(&mut Proof) + Send + Sync + 'static) -> Option<()> {
    let proof: &mut ProofOrder = order.proof.as_mut()?;
    proof.edit = Hook::new(change);
    Some(())
}

fn checkpoint(order: &mut EntryOrder) -> Option<&mut CheckpointOrder> {
    order.checkpoint_mut()
}

/// Changes one line of the checkpoint's text before it is signed.
fn line(order: &mut EntryOrder, number: usize, change: fn(&str) -> String) -> Option<()> {
    checkpoint(order)?.text = Hook::new(move |text: &mut String| {
        let lines: Vec<_> = text
            .lines()
            .enumerate()
            .map(|(place, line)| match place == number {
                true => change(line),
                false => line.to_owned(),
            })
            .collect();
        *text = format!("{}\n", lines.join("\n"));
    });
    Some(())
}

/// An object identifier in dotted form.
fn dotted(text: &str) -> Option<String> {
    let numbers: Option<Vec<u64>> = text.split('.').map(|part| part.parse().ok()).collect();
    (numbers?.len() >= 3).then(|| text.to_owned())
}
