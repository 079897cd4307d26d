//! An entry that a log of version 2 has already, read from the log's tiles (C2SP `tlog-tiles`).
//!
//! The tree is cut into tiles of 256 hashes; the last of a level may be partial and is then asked
//! for by its width. A way through a tree of 2^63 entries meets two tiles on each of eight levels,
//! which bounds the requests.

use core::ops::Range;
use core::time::Duration;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

use bytes::Bytes;
use sigstore_merkle::hash_children;
use sigstore_merkle::hash_leaf;
use sigstore_merkle::verify_inclusion_proof;
use sigstore_types::Sha256Hash;

use crate::services::Client;
use crate::services::Endpoint;
use crate::services::Error;
use crate::services::Service;
use crate::services::client::Ask;
use crate::services::rekor::Entry;
use crate::services::rekor::Kind;
use crate::services::rekor::Proof;
use crate::verify::LogHead;
use crate::verify::TrustRoot;

/// Hashes or entries of a full tile, as a power of two.
const HEIGHT: u32 = 8;
const WIDTH: u64 = 1 << HEIGHT;
const HASH: usize = 32;

/// Bytes of a full tile of hashes.
const TILE: usize = 256 * HASH;
/// Bytes of a full bundle of entries: the length of each is told in two bytes.
const BUNDLE: usize = 256 * (2 + 0xffff);

/// How often a checkpoint is looked at until it covers the entry, and the pause between. A log that
/// takes entries publishes every few seconds.
const LOOKS: u32 = 10;
const PAUSE: Duration = Duration::from_secs(1);

/// Reads the entry at `index`, with a proof of now.
pub(super) async fn entry(
    client: &Client<'_>,
    url: &Endpoint,
    index: u64,
    root: &TrustRoot,
) -> Result<Entry, Error> {
    let log = Log { client, url };
    let (checkpoint, head) = log.head(index, root).await?;
    let body = log.body(index, head.size).await?;
    let ranges = siblings(index, head.size);
    let mut tiles = BTreeMap::new();
    let needed: BTreeSet<_> = ranges
        .iter()
        .flat_map(|range| pieces(range.clone()))
        .map(|piece| piece.tile())
        .collect();
    for tile in needed {
        tiles.insert(tile, log.tile(tile, head.size).await?);
    }
    let hashes: Option<Vec<_>> = ranges
        .into_iter()
        .map(|range| over(range, &tiles))
        .collect();
    let wrong = || log.malformed("its tiles do not lead to its checkpoint");
    let hashes = hashes.ok_or_else(wrong)?;
    let root = Sha256Hash::new(head.root);
    verify_inclusion_proof(&hash_leaf(&body), index, head.size, &hashes, &root)
        .map_err(|_| wrong())?;
    let kind = Kind::of(&body).ok_or_else(|| log.malformed("the body of an entry"))?;
    Ok(Entry {
        log_index: index,
        log_id: head.log,
        kind: kind.kind,
        version: kind.api_version,
        integrated_time: None,
        promise: None,
        proof: Proof {
            log_index: index,
            root_hash: head.root,
            tree_size: head.size,
            hashes: hashes.iter().map(|hash| *hash.as_bytes()).collect(),
            checkpoint,
        },
        body,
    })
}

/// A log that is read.
struct Log<'a> {
    client: &'a Client<'a>,
    url: &'a Endpoint,
}

impl Log<'_> {
    fn malformed(&self, reason: &str) -> Error {
        Ask::new(Service::Rekor, self.url, 0).malformed(reason)
    }

    fn unshown(&self, reason: String) -> Error {
        Error::Unshown {
            host: self.url.host(),
            reason,
        }
    }

    /// A file of the log; none when there is no such file.
    async fn file(&self, path: &str, cap: usize) -> Result<Option<Bytes>, Error> {
        let url = self.url.below(&format!("api/v2/{path}"));
        let ask = Ask::new(Service::Rekor, &url, cap);
        let request = ask.get();
        let reply = self.client.fetch(&ask, &request).await?;
        match reply.status {
            200 => Ok(Some(reply.body)),
            404 => Ok(None),
            // A log whose reads lie elsewhere (measured: rekor-tiles answers 501 for them itself).
            401 | 403 | 405 | 501 => Err(self.unshown(format!(
                "it answers reads with status {} (they may lie at another address)",
                reply.status
            ))),
            _ => Err(ask.refusal(&reply)),
        }
    }

    /// The newest checkpoint that covers the entry.
    async fn head(&self, index: u64, root: &TrustRoot) -> Result<(String, LogHead), Error> {
        let limits = self.client.limits;
        for look in 1..=LOOKS {
            let file = self.file("checkpoint", limits.checkpoint_bytes).await?;
            let Some(bytes) = file else {
                return Err(self.unshown("it has no checkpoint at its address".to_owned()));
            };
            let text = String::from_utf8(bytes.to_vec())
                .map_err(|_| self.malformed("its checkpoint is no text"))?;
            let head = root
                .log_head(&text, limits)
                .map_err(|error| self.malformed(&error.to_string()))?;
            if index < head.size {
                return Ok((text, head));
            }
            if look == LOOKS || self.client.deadline.remaining() <= PAUSE {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(self.unshown("its checkpoint does not cover the entry yet".to_owned()))
    }

    /// A tile, partial or whole: the log may have dropped the partial one once it was full.
    async fn either(&self, name: &str, tile: u64, width: u64, cap: usize) -> Result<Bytes, Error> {
        let whole = format!("tile/{name}/{}", number(tile));
        if width < WIDTH {
            let partial = format!("{whole}.p/{width}");
            if let Some(bytes) = self.file(&partial, cap).await? {
                return Ok(bytes);
            }
        }
        let found = self.file(&whole, cap).await?;
        found.ok_or_else(|| self.unshown(format!("it has no `{whole}`")))
    }

    /// The hashes of a tile in a tree of that size.
    async fn tile(&self, tile: Tile, size: u64) -> Result<Vec<Sha256Hash>, Error> {
        let nodes = size.checked_shr(tile.level * HEIGHT).unwrap_or(0);
        let width = nodes
            .saturating_sub(tile.number.saturating_mul(WIDTH))
            .min(WIDTH);
        let name = tile.level.to_string();
        let bytes = self.either(&name, tile.number, width, TILE).await?;
        let (hashes, rest) = bytes.as_chunks::<HASH>();
        if !rest.is_empty() || u64::try_from(hashes.len()).map_or(true, |found| found < width) {
            return Err(self.malformed("a tile has another size than it must have"));
        }
        Ok(hashes.iter().copied().map(Sha256Hash::new).collect())
    }

    /// The entry itself.
    async fn body(&self, index: u64, size: u64) -> Result<Vec<u8>, Error> {
        let tile = index / WIDTH;
        let width = size.saturating_sub(tile.saturating_mul(WIDTH)).min(WIDTH);
        let bytes = self.either("entries", tile, width, BUNDLE).await?;
        let found = bundled(&bytes, usize::try_from(index % WIDTH).unwrap_or(usize::MAX));
        let body = found.ok_or_else(|| self.malformed("a bundle of entries is cut off"))?;
        Ok(body.to_vec())
    }
}

/// The entry at a place of a bundle: each has two bytes of length before it.
fn bundled(mut bytes: &[u8], place: usize) -> Option<&[u8]> {
    for at in 0..=place {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        if at == place {
            return Some(entry);
        }
        bytes = rest;
    }
    None
}

/// The number of a tile in a path: `x001/x234/067` is 1234067.
fn number(tile: u64) -> String {
    let mut text = format!("{:03}", tile % 1000);
    let mut rest = tile / 1000;
    while rest > 0 {
        text = format!("x{:03}/{text}", rest % 1000);
        rest /= 1000;
    }
    text
}

/// A tile of hashes.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Tile {
    level: u32,
    number: u64,
}

/// A complete subtree: 2^height entries from `start` on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Piece {
    height: u32,
    start: u64,
}

impl Piece {
    const fn level(self) -> u32 {
        self.height / HEIGHT
    }

    /// Where its first hash stands on its level.
    fn place(self) -> u64 {
        self.start.checked_shr(self.level() * HEIGHT).unwrap_or(0)
    }

    fn tile(self) -> Tile {
        Tile {
            level: self.level(),
            number: self.place() / WIDTH,
        }
    }

    /// Its root.
    fn root(self, tiles: &BTreeMap<Tile, Vec<Sha256Hash>>) -> Option<Sha256Hash> {
        let tile = tiles.get(&self.tile())?;
        let first = usize::try_from(self.place() % WIDTH).ok()?;
        let count = 1_usize.checked_shl(self.height % HEIGHT)?;
        let mut hashes = tile.get(first..first.checked_add(count)?)?.to_vec();
        while hashes.len() > 1 {
            let (pairs, _) = hashes.as_chunks::<2>();
            hashes = pairs
                .iter()
                .map(|[left, right]| hash_children(left, right))
                .collect();
        }
        hashes.pop()
    }
}

/// The largest power of two below `count`, which is two at least.
fn split(count: u64) -> u64 {
    let below = count.saturating_sub(1).max(1);
    1 << below.ilog2()
}

/// What stands beside the way from the entry to the root, from the entry on (RFC 6962, 2.1.1).
fn siblings(index: u64, size: u64) -> Vec<Range<u64>> {
    let mut ranges = Vec::new();
    let mut within = 0..size;
    while within.end.saturating_sub(within.start) > 1 {
        let middle = within.start + split(within.end - within.start);
        if index < middle {
            ranges.push(middle..within.end);
            within.end = middle;
        } else {
            ranges.push(within.start..middle);
            within.start = middle;
        }
    }
    ranges.reverse();
    ranges
}

/// The complete subtrees that a range is made of, the largest first.
fn pieces(mut range: Range<u64>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    while range.start < range.end {
        let height = (range.end - range.start).ilog2();
        pieces.push(Piece {
            height,
            start: range.start,
        });
        range.start += 1 << height;
    }
    pieces
}

/// The root over a range.
fn over(range: Range<u64>, tiles: &BTreeMap<Tile, Vec<Sha256Hash>>) -> Option<Sha256Hash> {
    let mut roots = pieces(range)
        .into_iter()
        .map(|piece| piece.root(tiles))
        .rev();
    let mut right = roots.next()??;
    for left in roots {
        right = hash_children(&left?, &right);
    }
    Some(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(index: u64) -> Sha256Hash {
        hash_leaf(&index.to_be_bytes())
    }

    /// The root over a range, by the definition (RFC 6962, section 2.1).
    fn defined(range: Range<u64>) -> Sha256Hash {
        if range.end - range.start == 1 {
            return leaf(range.start);
        }
        let middle = range.start + split(range.end - range.start);
        hash_children(&defined(range.start..middle), &defined(middle..range.end))
    }

    /// A tile as a log of that size has it.
    fn tile(tile: Tile, size: u64) -> Vec<Sha256Hash> {
        let step = 1_u64 << (tile.level * HEIGHT);
        let first = tile.number * WIDTH;
        (first..first + WIDTH)
            .map(|place| place * step..(place + 1) * step)
            .take_while(|range| range.end <= size)
            .map(defined)
            .collect()
    }

    #[test]
    fn the_way_of_every_entry_leads_to_the_root() {
        for size in [
            1, 2, 3, 4, 5, 7, 8, 255, 256, 257, 300, 512, 513, 1000, 70_000,
        ] {
            let root = defined(0..size);
            let step = (size / 7).max(1);
            let ends = [0, size - 1, size / 2, 255.min(size - 1), 256.min(size - 1)];
            for index in (0..size)
                .step_by(usize::try_from(step).unwrap())
                .chain(ends)
            {
                let ranges = siblings(index, size);
                let needed: BTreeSet<_> = ranges
                    .iter()
                    .flat_map(|range| pieces(range.clone()))
                    .map(Piece::tile)
                    .collect();
                assert!(needed.len() <= 6, "{needed:?}");
                let tiles = needed.iter().map(|one| (*one, tile(*one, size))).collect();
                let hashes: Vec<_> = ranges
                    .into_iter()
                    .map(|range| over(range, &tiles).unwrap())
                    .collect();
                let proven = verify_inclusion_proof(&leaf(index), index, size, &hashes, &root);
                assert!(proven.is_ok(), "{index} of {size}");
            }
        }
    }

    #[test]
    fn the_largest_tree_needs_few_tiles() {
        for index in [0, 1, u64::MAX / 2, u64::MAX - 1] {
            let ranges = siblings(index, u64::MAX);
            assert!(ranges.len() <= 64);
            let pieces = ranges.into_iter().flat_map(pieces);
            let tiles: BTreeSet<_> = pieces.map(Piece::tile).collect();
            assert!(tiles.len() <= 16, "{}", tiles.len());
        }
    }

    #[test]
    fn tiles_are_numbered_in_threes_and_entries_have_a_length() {
        assert_eq!(number(67), "067");
        assert_eq!(number(1_234_067), "x001/x234/067");
        let bundle = [0, 1, 7, 0, 0, 0, 2, 8, 9];
        assert_eq!(bundled(&bundle, 0), Some(&[7][..]));
        assert_eq!(bundled(&bundle, 1), Some(&[][..]));
        assert_eq!(bundled(&bundle, 2), Some(&[8, 9][..]));
        assert_eq!(bundled(&bundle, 3), None);
        assert_eq!(bundled(&[0, 2, 1], 0), None);
    }
}
