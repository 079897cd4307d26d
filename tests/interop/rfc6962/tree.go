package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

var hasher = rfc6962.DefaultHasher

// tree holds the leaf hashes of a log as it was read, and the root of every size.
type tree struct {
	leaves, roots [][]byte
}

// head is what is kept of a tree.
type head struct {
	Size uint64 `json:"size"`
	Root []byte `json:"root"`
}

func newTree(entries [][]byte) (*tree, error) {
	t := &tree{roots: [][]byte{hasher.EmptyRoot()}}
	factory := &compact.RangeFactory{Hash: hasher.HashChildren}
	whole := factory.NewEmptyRange(0)
	for _, entry := range entries {
		leaf := hasher.HashLeaf(entry)
		if err := whole.Append(leaf, nil); err != nil {
			return nil, err
		}
		root, err := whole.GetRootHash(nil)
		if err != nil {
			return nil, err
		}
		t.leaves, t.roots = append(t.leaves, leaf), append(t.roots, root)
	}
	return t, nil
}

func (t *tree) size() uint64 { return uint64(len(t.leaves)) }

// stated compares a root that the log signed with the one of its entries.
func (t *tree) stated(size uint64, root []byte) error {
	if size > t.size() {
		return fmt.Errorf("a head of size %d over %d entries", size, t.size())
	}
	if !bytes.Equal(root, t.roots[size]) {
		return fmt.Errorf("root of size %d is %x and the entries give %x", size, root, t.roots[size])
	}
	return nil
}

// includes verifies an audit path.
func (t *tree) includes(index, size uint64, path [][]byte) error {
	if err := proof.VerifyInclusion(hasher, index, size, t.leaves[index], path, t.roots[size]); err != nil {
		return fmt.Errorf("inclusion of %d in %d: %w", index, size, err)
	}
	return nil
}

// extends verifies a consistency proof.
func (t *tree) extends(first, second uint64, path [][]byte) error {
	err := proof.VerifyConsistency(hasher, first, second, path, t.roots[first], t.roots[second])
	if err != nil {
		return fmt.Errorf("consistency of %d and %d: %w", first, second, err)
	}
	return nil
}

func (t *tree) save(path string) error {
	if path == "" {
		return nil
	}
	text, err := json.Marshal(head{t.size(), t.roots[t.size()]})
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

func (t *tree) since(path string) error {
	if path == "" {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var old head
	if err := json.Unmarshal(text, &old); err != nil {
		return err
	}
	if err := t.stated(old.Size, old.Root); err != nil {
		return fmt.Errorf("the log was rewritten: %w", err)
	}
	return nil
}
