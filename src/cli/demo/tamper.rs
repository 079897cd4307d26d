//! Evidence with one bit changed: what somebody does who can write to a registry and cannot sign.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::model::Digest;
use crate::model::read_json;
use crate::sandbox::registry::Registry;

/// Puts the bundles about an image into another repository, a bit of each signature changed. The
/// digests that name the changed bytes are those of the changed bytes: a registry sees nothing wrong.
pub(super) fn flip(registry: &Registry, from: &str, to: &str, image: Digest) -> Option<()> {
    let mut flipped = None;
    for digest in registry.referrers(from, image) {
        let (media_type, manifest) = registry.manifest(from, digest)?;
        let mut manifest: Value = read_json(&manifest).ok()?;
        let config = digest_of(manifest.get("config")?)?;
        registry.put_blob(to, registry.blob(from, config)?);
        for layer in manifest.get_mut("layers")?.as_array_mut()? {
            let bundle = registry.blob(from, digest_of(layer)?)?;
            let mut bundle: Value = read_json(&bundle).ok()?;
            let signature = bundle.pointer_mut("/dsseEnvelope/signatures/0/sig")?;
            *signature = Value::String(one_bit(signature.as_str()?)?);
            let bundle = bundle.to_string();
            let members = layer.as_object_mut()?;
            members.insert("size".to_owned(), bundle.len().into());
            let digest = registry.put_blob(to, bundle);
            members.insert("digest".to_owned(), digest.to_string().into());
        }
        registry.put_manifest(to, &media_type, manifest.to_string(), None);
        flipped = Some(());
    }
    flipped
}

fn digest_of(descriptor: &Value) -> Option<Digest> {
    Digest::parse(descriptor.get("digest")?.as_str()?).ok()
}

/// A signature with its last bit changed: what it is written in stays well formed.
fn one_bit(signature: &str) -> Option<String> {
    let mut bytes = STANDARD.decode(signature).ok()?;
    *bytes.last_mut()? ^= 1;
    Some(STANDARD.encode(bytes))
}
