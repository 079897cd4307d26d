//! The manifest under a tag `sha256-<hex>.sig` or `.att`: one layer for each signature or
//! attestation, all signers in one document, as cosign writes it.

use std::collections::HashSet;

use serde_json::json;

use crate::model::Descriptor;
use crate::model::Exceeded;
use crate::model::ImageManifest;
use crate::model::Limits;
use crate::model::Manifest;
use crate::model::media_type;
use crate::registry::Asked;
use crate::registry::Error;
use crate::registry::RawManifest;
use crate::registry::discover::unlistable;
use crate::registry::writer::Merged;
use crate::registry::writer::NewLayer;
use crate::registry::writer::fallback;
use crate::registry::writer::manifest::Document;
use crate::registry::writer::raw;

/// What cosign calls the configuration of such a manifest.
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// When cosign says that everything in it was made.
const ZERO: &str = "0001-01-01T00:00:00Z";

/// What the manifest under a tag is to hold.
pub(super) struct Appending<'a> {
    new: Vec<&'a Descriptor>,
    replaces: &'a (dyn Fn(&Descriptor) -> bool + Sync),
    /// The layers that are replaced, as they stood there at first. One that somebody adds later is
    /// his, whatever it is about.
    replaced: Option<HashSet<String>>,
    limits: &'a Limits,
}

/// A layer as it was read and as it stands there.
type Layer = (Descriptor, String);

impl<'a> Appending<'a> {
    pub(super) fn new(
        layers: &'a [NewLayer],
        replaces: &'a (dyn Fn(&Descriptor) -> bool + Sync),
        limits: &'a Limits,
    ) -> Self {
        let mut new: Vec<&Descriptor> = Vec::with_capacity(layers.len());
        for layer in layers {
            if !new.iter().any(|known| is_same(known, &layer.descriptor)) {
                new.push(&layer.descriptor);
            }
        }
        Self {
            new,
            replaces,
            replaced: None,
            limits,
        }
    }

    /// Puts the layers into the manifest, and what manifests held that are gone.
    pub(super) fn merge(
        &mut self,
        there: Option<&RawManifest>,
        gone: &[RawManifest],
        asked: &Asked,
    ) -> Result<Merged, Error> {
        let empty = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}"}}"#,
            media_type::IMAGE
        );
        let (text, own_type, config_type, layers) = match there {
            Some(there) => {
                let (text, manifest, layers) = self.read(there, asked)?;
                (
                    text,
                    manifest.media_type,
                    manifest.config.media_type,
                    layers,
                )
            }
            None => (
                empty.as_str(),
                media_type::IMAGE.to_owned(),
                CONFIG.to_owned(),
                Vec::new(),
            ),
        };
        let is_new = |layer: &Layer| self.new.iter().any(|new| is_same(new, &layer.0));
        if self.replaced.is_none() {
            let replaced = layers
                .iter()
                .filter(|layer| !is_new(layer) && (self.replaces)(&layer.0));
            self.replaced = Some(replaced.map(|(_, text)| text.clone()).collect());
        }
        let replaced = self.replaced.iter().flatten().collect::<HashSet<_>>();
        let before = layers.len();
        let stays = |layer: &Layer| !replaced.contains(&layer.1);
        let mut kept: Vec<Layer> = layers.into_iter().filter(stays).collect();
        let has = |new: &&Descriptor| kept.iter().any(|(layer, _)| is_same(layer, new));
        let mut is_there = there.is_some() && kept.len() == before && self.new.iter().all(has);
        for gone in gone {
            let (_, _, layers) = self.read(gone, asked)?;
            for layer in layers.into_iter().filter(stays) {
                if !is_new(&layer) && !kept.iter().any(|(known, _)| is_same(known, &layer.0)) {
                    kept.push(layer);
                    is_there = false;
                }
            }
        }
        if is_there {
            return Ok(Merged::Kept);
        }
        self.document(text, &own_type, &config_type, &kept, asked)
    }

    /// The manifest `text` with the layers that are kept and the new ones after them, and with a
    /// configuration that fits them.
    fn document(
        &self,
        text: &str,
        media_type: &str,
        config_type: &str,
        kept: &[Layer],
        asked: &Asked,
    ) -> Result<Merged, Error> {
        let added = self
            .new
            .iter()
            .filter(|new| !kept.iter().any(|(layer, _)| is_same(layer, new)));
        let added: Vec<Layer> = added
            .map(|new| ((*new).clone(), fallback::descriptor(new).to_string()))
            .collect();
        let count = kept.len() + added.len();
        Exceeded::unless(count, self.limits.layers, "layers in a manifest").map_err(
            |exceeded| Error::Exceeded {
                asked: asked.clone(),
                exceeded,
            },
        )?;
        let layers = || kept.iter().chain(&added);
        let list = raw::list(layers().map(|(_, text)| text.as_str()));
        let mut members = vec![("layers", list)];
        let mut config = None;
        // Another kind of configuration says nothing about the layers.
        if media_type::is_image_config(config_type) {
            let bytes = configuration(layers().map(|(layer, _)| layer));
            let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            let digest = crate::model::Digest::sha256(&bytes);
            let descriptor = Descriptor::new(config_type.to_owned(), digest, size);
            members.insert(0, ("config", fallback::descriptor(&descriptor).to_string()));
            config = Some(bytes.into());
        }
        let text = raw::with(text, &members).ok_or_else(|| no_signatures(asked))?;
        fallback::within(text.len(), self.limits, asked)?;
        let mut document = Document::new(media_type, text.into());
        document.config = config;
        Ok(Merged::New(document))
    }

    fn read<'t>(
        &self,
        there: &'t RawManifest,
        asked: &Asked,
    ) -> Result<(&'t str, ImageManifest, Vec<Layer>), Error> {
        let served_as = there.media_type.as_deref();
        let parsed = Manifest::parse(&there.bytes, served_as, 0, self.limits);
        let mut manifest = match parsed {
            Ok(Manifest::Image(manifest)) => manifest,
            Ok(Manifest::Index(_)) => return Err(no_signatures(asked)),
            Err(error) => {
                return Err(match unlistable(asked.clone(), error) {
                    Error::Malformed { asked, .. } => no_signatures(&asked),
                    error => error,
                });
            }
        };
        let text = core::str::from_utf8(&there.bytes).map_err(|_| no_signatures(asked))?;
        let items = raw::member(text, "layers").and_then(raw::items);
        let items = items.ok_or_else(|| no_signatures(asked))?;
        if items.len() != manifest.layers.len() {
            return Err(no_signatures(asked));
        }
        let layers = core::mem::take(&mut manifest.layers).into_iter();
        let layers = layers.zip(items.into_iter().map(str::to_owned)).collect();
        Ok((text, manifest, layers))
    }
}

fn no_signatures(asked: &Asked) -> Error {
    Error::Malformed {
        asked: asked.clone(),
        reason: "no manifest of signatures, and is not written over",
    }
}

/// Whether two layers are the same signature or attestation. Two over the same payload have the same
/// digest and differ in their annotations alone.
fn is_same(one: &Descriptor, other: &Descriptor) -> bool {
    one.digest == other.digest
        && one.size == other.size
        && one.media_type == other.media_type
        && one.annotations == other.annotations
}

/// The configuration that cosign writes: a valid one of an image without a machine. cosign reads it
/// when it adds a layer. Layers of such a manifest are not compressed, so each is its own `diff_id`.
fn configuration<'a>(layers: impl Iterator<Item = &'a Descriptor> + Clone) -> Vec<u8> {
    let ids: Vec<_> = layers.map(|layer| layer.digest.to_string()).collect();
    let history: Vec<_> = ids.iter().map(|_| json!({ "created": ZERO })).collect();
    let config = json!({
        "architecture": "",
        "config": {},
        "created": ZERO,
        "history": history,
        "os": "",
        "rootfs": { "type": "layers", "diff_ids": ids },
    });
    config.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DenyCode;
    use crate::model::Digest;
    use crate::registry::What;
    use bytes::Bytes;

    fn asked() -> Asked {
        Asked::new("h".to_owned(), "r".to_owned(), What::Tag("t".to_owned()))
    }

    fn layer(payload: &'static str, signature: &str) -> NewLayer {
        let digest = Digest::sha256(payload.as_bytes());
        let mut descriptor = Descriptor::new(media_type::SIMPLE_SIGNING.to_owned(), digest, 7);
        descriptor
            .annotations
            .insert("signature".to_owned(), signature.to_owned());
        NewLayer {
            descriptor,
            bytes: Bytes::from(payload),
        }
    }

    fn raw_manifest(bytes: Bytes, media_type: &str) -> RawManifest {
        RawManifest {
            digest: Digest::sha256(&bytes),
            bytes,
            media_type: Some(media_type.to_owned()),
        }
    }

    fn merged(merge: &mut Appending<'_>, there: Option<&RawManifest>) -> Option<Document> {
        match merge.merge(there, &[], &asked()).unwrap() {
            Merged::Kept => None,
            Merged::New(document) => Some(document),
        }
    }

    #[test]
    fn what_was_there_for_a_while_is_put_back_but_what_is_replaced() {
        let limits = Limits::default();
        let signature = |of: &Descriptor| of.annotations["signature"].clone();
        let written = |merge: &mut Appending<'_>, there: &[RawManifest], gone: &[RawManifest]| {
            let merged = merge.merge(there.first(), gone, &asked()).unwrap();
            let Merged::New(document) = merged else {
                return None;
            };
            let raw = raw_manifest(document.bytes, media_type::IMAGE);
            let parsed = Manifest::parse(&raw.bytes, None, 0, &limits);
            let Ok(Manifest::Image(manifest)) = parsed else {
                panic!("no manifest");
            };
            let names: Vec<_> = manifest.layers.iter().map(signature).collect();
            Some((raw, names.concat()))
        };
        let [one, two, three] = ["1", "2", "3"].map(|name| [layer("payload", name)]);
        let replaces: &(dyn Fn(&Descriptor) -> bool + Sync) = &|of| signature(of) == "1";
        let (first, _) = written(&mut Appending::new(&one, KEEP, &limits), &[], &[]).unwrap();
        let (second, _) = written(&mut Appending::new(&two, KEEP, &limits), &[], &[]).unwrap();
        let mut merge = Appending::new(&three, replaces, &limits);
        let there = [first.clone()];
        let (third, names) = written(&mut merge, &there, &[]).unwrap();
        assert_eq!(names, "3");
        let gone = [first.clone(), second];
        let (both, names) = written(&mut merge, &[third], &gone).unwrap();
        assert_eq!(names, "32");
        assert!(written(&mut merge, &[both], &gone).is_none());
        let (_, names) = written(&mut merge, &[], &gone).unwrap();
        assert_eq!(names, "23");
        let mut merge = Appending::new(&one, KEEP, &limits);
        assert!(written(&mut merge, &there, &[]).is_none());
        assert_eq!(written(&mut merge, &there, &gone).unwrap().1, "12");
    }

    const KEEP: &(dyn Fn(&Descriptor) -> bool + Sync) = &|_| false;

    #[test]
    fn layers_are_added_after_those_of_others_and_the_configuration_keeps_step() {
        let limits = Limits::default();
        let first = [layer("payload", "1"), layer("payload", "1")];
        let document = merged(&mut Appending::new(&first, KEEP, &limits), None).unwrap();
        let there = raw_manifest(document.bytes, media_type::IMAGE);
        assert!(merged(&mut Appending::new(&first, KEEP, &limits), Some(&there)).is_none());

        // The same payload with another signature is another layer.
        let foreign = String::from_utf8(there.bytes.to_vec()).unwrap().replace(
            "\"layers\":[{",
            "\"x\" : 1.50e+3,\"layers\":[ {\"urls\":[], ",
        );
        let there = raw_manifest(foreign.clone().into(), media_type::IMAGE);
        let second = [layer("payload", "2")];
        let document = merged(&mut Appending::new(&second, KEEP, &limits), Some(&there)).unwrap();
        let written = String::from_utf8(document.bytes.to_vec()).unwrap();
        assert!(written.contains("\"x\":1.50e+3"), "{written}");
        let old = foreign
            .split_once("[ ")
            .unwrap()
            .1
            .rsplit_once(']')
            .unwrap()
            .0;
        assert!(written.contains(&format!("[{old},")), "{written}");
        let Ok(Manifest::Image(manifest)) = Manifest::parse(&document.bytes, None, 0, &limits)
        else {
            panic!("no manifest");
        };
        assert_eq!(manifest.layers.len(), 2);
        assert_eq!(manifest.layers[1], second[0].descriptor);
        let config = document.config.unwrap();
        assert!(manifest.config.digest.matches(&config));
        assert_eq!(manifest.config.media_type, CONFIG);
        let config: serde_json::Value = crate::model::read_json(&config).unwrap();
        let id = second[0].descriptor.digest.to_string();
        assert_eq!(config["rootfs"]["diff_ids"], json!([id, id]));
        assert_eq!(config["history"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn only_what_was_there_at_first_is_replaced() {
        let limits = Limits::default();
        let old = [layer("a", "old"), layer("b", "other")];
        let there = merged(&mut Appending::new(&old, KEEP, &limits), None).unwrap();
        let there = raw_manifest(there.bytes, media_type::IMAGE);
        let new = [layer("a", "new")];
        let about_a = |layer: &Descriptor| layer.digest == Digest::sha256(b"a");
        let mut merge = Appending::new(&new, &about_a, &limits);
        let document = merged(&mut merge, Some(&there)).unwrap();
        let signatures = |document: &Bytes| {
            let Ok(Manifest::Image(manifest)) = Manifest::parse(document, None, 0, &limits) else {
                panic!("no manifest");
            };
            let layers = manifest.layers.iter();
            let text = |layer: &Descriptor| layer.annotations["signature"].clone();
            layers.map(text).collect::<Vec<_>>()
        };
        assert_eq!(signatures(&document.bytes), ["other", "new"]);
        // Somebody else adds one about the same meanwhile: it stays.
        let late = [layer("a", "late")];
        let there = raw_manifest(document.bytes, media_type::IMAGE);
        let there = merged(&mut Appending::new(&late, KEEP, &limits), Some(&there)).unwrap();
        assert_eq!(signatures(&there.bytes), ["other", "new", "late"]);
        let there = raw_manifest(there.bytes, media_type::IMAGE);
        assert!(merged(&mut merge, Some(&there)).is_none());
    }

    #[test]
    fn what_is_no_manifest_of_signatures_is_not_written_over() {
        let limits = Limits::default();
        let new = [layer("a", "1")];
        let code = |text: &str, media_type: &str, limits: &Limits| {
            let there = raw_manifest(text.to_owned().into(), media_type);
            let mut merge = Appending::new(&new, KEEP, limits);
            merge
                .merge(Some(&there), &[], &asked())
                .map(|_| ())
                .map_err(|error| error.code())
        };
        let document = merged(&mut Appending::new(&[layer("b", "2")], KEEP, &limits), None);
        let good = String::from_utf8(document.unwrap().bytes.to_vec()).unwrap();
        assert_eq!(code(&good, media_type::IMAGE, &limits), Ok(()));
        let docker = good.replace(media_type::IMAGE, media_type::DOCKER_IMAGE);
        assert_eq!(code(&docker, media_type::DOCKER_IMAGE, &limits), Ok(()));
        let index = r#"{"schemaVersion":2,"manifests":[]}"#;
        let malformed = Err(DenyCode::RegistryMalformed);
        assert_eq!(code(index, media_type::INDEX, &limits), malformed);
        assert_eq!(code("<html>", media_type::IMAGE, &limits), malformed);
        let mut narrow = limits;
        narrow.layers = 1;
        let exceeded = Err(DenyCode::LimitExceeded);
        assert_eq!(code(&good, media_type::IMAGE, &narrow), exceeded);
    }
}
