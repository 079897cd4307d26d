//! An append-only Merkle tree (RFC 6962, section 2.1) with the proofs that logs give.
//!
//! Every complete inner node is kept, so that a root or a proof of any size costs a logarithm of
//! the tree, and the tiles of a Rekor v2 log are slices of it. It hashes as
//! [`super::mint::leaf`] and [`super::mint::node`] do.

use super::mint::HashKind;
use super::mint::leaf;
use super::mint::node;

/// A hash of the tree: SHA-256.
pub(super) type Hash = Vec<u8>;

/// The tree of a log. Sizes and indexes are counts of leaves.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    /// The complete nodes of each height; leaves are at height zero.
    levels: Vec<Vec<Hash>>,
}

impl Ledger {
    /// How many leaves there are.
    pub(super) fn size(&self) -> usize {
        self.levels.first().map_or(0, Vec::len)
    }

    /// Adds an entry and gives back its index.
    pub(super) fn append(&mut self, entry: &[u8]) -> usize {
        let index = self.size();
        let mut hash = leaf(entry);
        for height in 0.. {
            if self.levels.len() == height {
                self.levels.push(Vec::new());
            }
            let Some(level) = self.levels.get_mut(height) else {
                break;
            };
            level.push(hash);
            // A complete pair becomes a node of the next height.
            let [.., left, right] = level.as_slice() else {
                break;
            };
            if level.len() % 2 == 1 {
                break;
            }
            hash = node(left, right);
        }
        index
    }

    /// The hash of the entry at `index`.
    pub(super) fn leaf(&self, index: usize) -> Option<&Hash> {
        self.levels.first()?.get(index)
    }

    /// Where the entry with this leaf hash stands.
    pub(super) fn find(&self, hash: &[u8]) -> Option<usize> {
        self.levels.first()?.iter().position(|leaf| leaf == hash)
    }

    /// The root of the tree of the first `size` leaves (RFC 6962, section 2.1).
    pub(super) fn root(&self, size: usize) -> Option<Hash> {
        if size > self.size() {
            return None;
        }
        if size == 0 {
            return Some(HashKind::Sha256.of(&[]));
        }
        self.range(0, size)
    }

    /// The audit path of a leaf in the tree of the first `size` leaves (section 2.1.1).
    pub(super) fn inclusion(&self, index: usize, size: usize) -> Option<Vec<Hash>> {
        if index >= size || size > self.size() {
            return None;
        }
        let (mut from, mut to) = (0, size);
        let mut path = Vec::new();
        while to - from > 1 {
            let middle = from + split(to - from);
            if index < middle {
                path.push(self.range(middle, to)?);
                to = middle;
            } else {
                path.push(self.range(from, middle)?);
                from = middle;
            }
        }
        path.reverse();
        Some(path)
    }

    /// The proof that the tree of the first `second` leaves extends that of the first `first`
    /// (section 2.1.2). Both must be at least one.
    pub(super) fn consistency(&self, first: usize, second: usize) -> Option<Vec<Hash>> {
        if first == 0 || first > second || second > self.size() {
            return None;
        }
        let (mut from, mut to) = (0, second);
        let mut path = Vec::new();
        // The old root is known to whoever asks as long as the old tree is a whole left part.
        let mut is_known = true;
        while first != to {
            let middle = from + split(to - from);
            if first <= middle {
                path.push(self.range(middle, to)?);
                to = middle;
            } else {
                path.push(self.range(from, middle)?);
                from = middle;
                is_known = false;
            }
        }
        if !is_known {
            path.push(self.range(from, to)?);
        }
        path.reverse();
        Some(path)
    }

    /// The complete hashes of one height, for a tile: `count` of them from `start`.
    pub(super) fn slice(&self, height: usize, start: usize, count: usize) -> Option<&[Hash]> {
        let level = self.levels.get(height)?;
        level.get(start..start.checked_add(count)?)
    }

    /// The hash over the leaves `from..to`, of which there is at least one.
    fn range(&self, from: usize, to: usize) -> Option<Hash> {
        let length = to.checked_sub(from)?;
        if length.is_power_of_two() && from.is_multiple_of(length) {
            let height = usize::try_from(length.trailing_zeros()).ok()?;
            return self.levels.get(height)?.get(from / length).cloned();
        }
        let middle = from + split(length);
        Some(node(&self.range(from, middle)?, &self.range(middle, to)?))
    }
}

/// The largest power of two below `length`, which is at least two.
const fn split(length: usize) -> usize {
    length.next_power_of_two() / 2
}

#[cfg(test)]
mod tests {
    use sigstore_merkle::verify_consistency_proof;
    use sigstore_merkle::verify_inclusion_proof;
    use sigstore_types::Sha256Hash;

    use super::*;

    fn hash(bytes: &[u8]) -> Sha256Hash {
        Sha256Hash::new(bytes.try_into().unwrap())
    }

    fn wide(number: usize) -> u64 {
        u64::try_from(number).unwrap()
    }

    fn hashes(path: &[Hash]) -> Vec<Sha256Hash> {
        path.iter().map(|one| hash(one)).collect()
    }

    #[test]
    fn every_proof_of_small_trees_holds() {
        let mut ledger = Ledger::default();
        for number in 0..40_u8 {
            assert_eq!(ledger.append(&[number]), usize::from(number));
        }
        for size in 1..=40 {
            let root = hash(&ledger.root(size).unwrap());
            for index in 0..size {
                let path = ledger.inclusion(index, size).unwrap();
                let leaf = hash(ledger.leaf(index).unwrap());
                let (index, size) = (wide(index), wide(size));
                verify_inclusion_proof(&leaf, index, size, &hashes(&path), &root).unwrap();
            }
            for first in 1..=size {
                let path = ledger.consistency(first, size).unwrap();
                let old = hash(&ledger.root(first).unwrap());
                let (first, size) = (wide(first), wide(size));
                verify_consistency_proof(first, size, &hashes(&path), &old, &root).unwrap();
            }
        }
    }

    #[test]
    fn what_is_not_there_has_no_proof() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.root(0), Some(HashKind::Sha256.of(&[])));
        assert_eq!(ledger.root(1), None);
        ledger.append(b"a");
        assert_eq!(ledger.inclusion(1, 1), None);
        assert_eq!(ledger.inclusion(0, 2), None);
        assert_eq!(ledger.consistency(0, 1), None);
        assert_eq!(ledger.consistency(1, 1), Some(Vec::new()));
        assert_eq!(ledger.consistency(2, 1), None);
        assert_eq!(ledger.find(&leaf(b"a")), Some(0));
        assert_eq!(ledger.find(&leaf(b"b")), None);
    }
}
