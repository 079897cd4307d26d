//! The checkpoint: raw text, text signed again, and who signed it.

use scgate::model::DenyCode as Code;
use scgate::sandbox::mint::Hook;
use scgate::sandbox::mint::KeyKind;
use scgate::sandbox::mint::Order;
use scgate::sandbox::mint::signature_line;

use super::Base::Chain;
use super::Base::File;
use super::Base::Key;
use super::Base::Rekor2;
use super::Base::Stamped;
use super::Change;
use super::MINT;
use super::Row;
use super::allowed;
use super::check;
use super::checkpoint;
use super::denied;
use super::key;
use super::proof;
use super::stranger;
use super::swap_text;

#[test]
fn checkpoints() {
    check(ROWS);
}

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    denied("no checkpoint", Stamped, Change::Order(|o| proof(o).checkpoint = None), Code::CheckpointMissing),
    denied("no checkpoint, Rekor v2", Rekor2, Change::Order(|o| proof(o).checkpoint = None), Code::CheckpointMissing),
    denied("no checkpoint, 0.2", Chain, Change::Order(|o| proof(o).checkpoint = None), Code::CheckpointMissing),
    denied("no checkpoint, managed key", Key, Change::Order(|o| proof(o).checkpoint = None), Code::CheckpointMissing),
    denied("empty checkpoint", Stamped, Change::Order(|o| note(o, String::clear)), Code::CheckpointMalformed),

    // Raw.
    denied("raw origin", Rekor2, Change::Order(|o| note(o, |n| *n = n.replacen("rekor2", "rekor3", 1))), Code::CheckpointInvalid),
    denied("raw tree id", Stamped, Change::Order(|o| note(o, |n| swap_text(n, "4001\n", "4002\n"))), Code::CheckpointInvalid),
    denied("raw size", Stamped, Change::Order(|o| note(o, |n| swap_text(n, "\n7\n", "\n8\n"))), Code::CheckpointInvalid),
    denied("raw root", Stamped, Change::Order(|o| note(o, |n| line(n, 2, &root(1)))), Code::CheckpointInvalid),
    denied("raw extension line", Stamped, Change::Order(|o| note(o, |n| swap_text(n, "\n\n", "\nmore\n\n"))), Code::CheckpointInvalid),
    denied("raw name in the signature line", Stamped, Change::Order(|o| note(o, |n| swap_text(n, "\u{2014} rekor.", "\u{2014} rekov."))), Code::CheckpointInvalid),
    denied("raw hint", Stamped, Change::Order(|o| checkpoint(o).hint = Some([0; 4])), Code::CheckpointInvalid),
    denied("raw checkpoint signature", Rekor2, Change::Order(|o| note(o, |n| { let at = n.len() - 8; n.replace_range(at..at + 2, "AB"); })), Code::CheckpointInvalid),

    // Signed again.
    denied("LOG-07 another size", Stamped, Change::Order(|o| text(o, |t| swap_text(t, "\n7\n", "\n8\n"))), Code::CheckpointMismatch),
    denied("LOG-07 another size, Rekor v2", Rekor2, Change::Order(|o| text(o, |t| swap_text(t, "\n7\n", "\n8\n"))), Code::CheckpointMismatch),
    denied("LOG-07 another size, file", File, Change::Order(|o| text(o, |t| swap_text(t, "\n7\n", "\n8\n"))), Code::CheckpointMismatch),
    denied("LOG-07 another root", Stamped, Change::Order(|o| text(o, |t| line(t, 2, &root(7)))), Code::CheckpointMismatch),
    denied("LOG-07 another root, Rekor v2", Rekor2, Change::Order(|o| text(o, |t| line(t, 2, &root(7)))), Code::CheckpointMismatch),
    denied("LOG-07 another root, managed key", Key, Change::Order(|o| text(o, |t| line(t, 2, &root(7)))), Code::CheckpointMismatch),
    denied("LOG-06 another origin under the right name", Rekor2, Change::Order(|o| checkpoint(o).origin = Some("evil.test".into())), Code::CheckpointInvalid),
    denied("LOG-06 another origin under the right name, Rekor v1", Stamped, Change::Order(|o| checkpoint(o).origin = Some("evil.test - 1".into())), Code::CheckpointInvalid),
    denied("LOG-06 name that the origin only begins with", Stamped, Change::Order(|o| checkpoint(o).origin = Some("rekor.sandbox.test.evil - 1".into())), Code::CheckpointInvalid),
    denied("LOG-06 right key, wrong name", Rekor2, Change::Order(|o| renamed(o, "evil.test", "evil.test")), Code::CheckpointMismatch),
    // The id of a Rekor v1 log is a hash of its key alone, and its trusted root does not tell the
    // origin: the key is what identifies it.
    allowed("LOG-06 right key, another name, Rekor v1", Stamped, Change::Order(|o| renamed(o, "evil.test - 1", "evil.test"))),
    allowed("another shard of the same log", Stamped, Change::Order(|o| checkpoint(o).origin = Some("rekor.sandbox.test - 1".into()))),
    denied("LOG-06 signed by another log", Stamped, Change::Order(|o| checkpoint(o).key = Some(MINT.rekor2.key.clone())), Code::CheckpointInvalid),
    denied("LOG-06 row 24 right name, unknown key", Stamped, Change::Order(|o| checkpoint(o).key = Some(key(KeyKind::P256))), Code::CheckpointInvalid),
    denied("LOG-06 row 24 right name, unknown key, Rekor v2", Rekor2, Change::Order(|o| checkpoint(o).key = Some(key(KeyKind::Ed25519))), Code::CheckpointInvalid),
    denied("LOG-06 hint of a known log, key of a stranger", Rekor2, Change::Order(|o| {
        checkpoint(o).key = Some(stranger().rekor2.key.clone());
        checkpoint(o).hint = MINT.rekor2.id.first_chunk().copied();
    }), Code::CheckpointInvalid),
    denied("LOG-06 of the other known log", Stamped, Change::Order(|o| {
        checkpoint(o).key = Some(MINT.rekor2.key.clone());
        checkpoint(o).hint = MINT.rekor2.id.first_chunk().copied();
        renamed(o, &MINT.rekor2.origin, &MINT.rekor2.host);
    }), Code::CheckpointInvalid),
    allowed("extension line", Rekor2, Change::Order(|o| text(o, |t| t.push_str("more\n")))),

    // Form.
    denied("LOG-09 two lines", Stamped, Change::Order(|o| text(o, |t| *t = t.lines().take(2).map(|l| format!("{l}\n")).collect())), Code::CheckpointMalformed),
    denied("LOG-09 one line", Stamped, Change::Order(|o| text(o, |t| *t = t.lines().take(1).map(|l| format!("{l}\n")).collect())), Code::CheckpointMalformed),
    denied("LOG-09 CRLF", Stamped, Change::Order(|o| text(o, |t| *t = t.replace('\n', "\r\n"))), Code::CheckpointMalformed),
    denied("LOG-09 leading zero", Stamped, Change::Order(|o| text(o, |t| swap_text(t, "\n7\n", "\n07\n"))), Code::CheckpointMalformed),
    denied("LOG-09 plus sign", Stamped, Change::Order(|o| text(o, |t| swap_text(t, "\n7\n", "\n+7\n"))), Code::CheckpointMalformed),
    denied("LOG-09 hexadecimal size", Stamped, Change::Order(|o| text(o, |t| swap_text(t, "\n7\n", "\n0x7\n"))), Code::CheckpointMalformed),
    denied("LOG-09 size beyond 64 bits", Stamped, Change::Order(|o| text(o, |t| swap_text(t, "\n7\n", "\n18446744073709551616\n"))), Code::CheckpointMalformed),
    denied("LOG-09 no blank line", Stamped, Change::Order(|o| note(o, |n| swap_text(n, "\n\n", "\n"))), Code::CheckpointMalformed),
    denied("LOG-09 control character", Stamped, Change::Order(|o| text(o, |t| t.push_str("\u{1b}[2J\n"))), Code::CheckpointMalformed),
    denied("LOG-09 no final newline", Stamped, Change::Order(|o| note(o, |n| { n.pop(); })), Code::CheckpointMalformed),
    denied("LOG-09 no signature line", Stamped, Change::Order(|o| note(o, |n| { let end = n.find("\n\n").unwrap(); n.truncate(end + 2); })), Code::CheckpointMalformed),
    denied("LOG-09 empty origin", Stamped, Change::Order(|o| text(o, |t| line(t, 0, ""))), Code::CheckpointMalformed),
    denied("LOG-09 root of 31 bytes", Stamped, Change::Order(|o| text(o, |t| line(t, 2, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="))), Code::CheckpointMalformed),
    denied("LOG-09 hyphen before the name", Stamped, Change::Order(|o| note(o, |n| swap_text(n, "\u{2014}", "-"))), Code::CheckpointMalformed),
    denied("LOG-09 signature that is not base64", Stamped, Change::Order(|o| checkpoint(o).lines_before = vec!["\u{2014} a ????".into()]), Code::CheckpointMalformed),
    denied("LOG-09 signature of a hint alone", Stamped, Change::Order(|o| checkpoint(o).lines_before = vec!["\u{2014} a AAAAAA==".into()]), Code::CheckpointMalformed),

    // Cosignatures.
    allowed("LOG-10 16 unknown signatures, the right one last", Stamped, Change::Order(|o| strangers(o, 16))),
    allowed("LOG-10 63 unknown signatures, the right one last", Rekor2, Change::Order(|o| strangers(o, 63))),
    denied("LOG-10 64 unknown signatures, the right one last", Rekor2, Change::Order(|o| strangers(o, 64)), Code::LimitExceeded),
    denied("LOG-10 100 unknown signatures, the right one last", Stamped, Change::Order(|o| strangers(o, 100)), Code::LimitExceeded),
    allowed("a wrong signature under the log's name and hint, then the right one", Rekor2, Change::Order(|o| checkpoint(o).lines_before = vec![signature_line("rekor2.sandbox.test", &MINT.rekor2.id[..4], &[7; 64])])),
    allowed("unknown signatures after it", Rekor2, Change::Order(|o| checkpoint(o).lines_after = vec![signature_line("witness.test", &[1; 4], &[7; 64])])),
    denied("only a witness signed", Rekor2, Change::Order(|o| {
        checkpoint(o).name = Some("witness.test".into());
        checkpoint(o).key = Some(key(KeyKind::Ed25519));
    }), Code::CheckpointInvalid),
    denied("checkpoint of 64 KiB and more", Stamped, Change::Order(|o| text(o, |t| t.push_str(&format!("{}\n", "a".repeat(65536))))), Code::LimitExceeded),
];

/// The text before it is signed.
fn text(order: &mut Order, change: fn(&mut String)) {
    checkpoint(order).text = Hook::new(change);
}

/// The whole note after it was signed.
fn note(order: &mut Order, change: fn(&mut String)) {
    checkpoint(order).note = Hook::new(change);
}

fn line(text: &mut String, number: usize, to: &str) {
    let mut lines: Vec<_> = text.split('\n').collect();
    lines[number] = to;
    *text = lines.join("\n");
}

fn root(byte: u8) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [byte; 32])
}

fn renamed(order: &mut Order, origin: &str, name: &str) {
    checkpoint(order).origin = Some(origin.to_owned());
    checkpoint(order).name = Some(name.to_owned());
}

fn strangers(order: &mut Order, count: usize) {
    let line = signature_line("witness.test", &[1, 2, 3, 4], &[7; 64]);
    checkpoint(order).lines_before = vec![line; count];
}
