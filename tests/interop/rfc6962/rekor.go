package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// noteKey verifies the notes of Rekor v1: ECDSA over SHA-256, with the first bytes of the key's hash as its name.
type noteKey struct {
	name string
	hint uint32
	key  *ecdsa.PublicKey
}

func (k noteKey) Name() string    { return k.name }
func (k noteKey) KeyHash() uint32 { return k.hint }
func (k noteKey) Verify(text, signature []byte) bool {
	digest := sha256.Sum256(text)
	return ecdsa.VerifyASN1(k.key, digest[:], signature)
}

type rekor1Proof struct {
	Checkpoint string   `json:"checkpoint"`
	Hashes     []string `json:"hashes"`
	LogIndex   uint64   `json:"logIndex"`
	RootHash   string   `json:"rootHash"`
	TreeSize   uint64   `json:"treeSize"`
}

// The order of the members is that of the canonical form.
type rekor1Promise struct {
	Body           string `json:"body"`
	IntegratedTime int64  `json:"integratedTime"`
	LogID          string `json:"logID"`
	LogIndex       uint64 `json:"logIndex"`
}

type rekor1Entry struct {
	rekor1Promise
	Verification struct {
		InclusionProof       rekor1Proof `json:"inclusionProof"`
		SignedEntryTimestamp []byte      `json:"signedEntryTimestamp"`
	} `json:"verification"`
}

type rekor1Log struct {
	url, origin string
	key         noteKey
	id          string
}

func verifyRekor1(o options) (*tree, error) {
	parsed, der, err := publicKey(o.key)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok {
		return nil, errors.New("the key is no ECDSA key")
	}
	var state struct {
		RootHash       string `json:"rootHash"`
		SignedTreeHead string `json:"signedTreeHead"`
		TreeID         string `json:"treeID"`
		TreeSize       uint64 `json:"treeSize"`
	}
	if err := fetchJSON(o.url+"/api/v1/log", &state); err != nil {
		return nil, err
	}
	origin, _, _ := strings.Cut(state.SignedTreeHead, "\n")
	host, id, ok := strings.Cut(origin, " - ")
	if !ok || id != state.TreeID {
		return nil, fmt.Errorf("origin %q does not name tree %s", origin, state.TreeID)
	}
	hash := sha256.Sum256(der)
	l := &rekor1Log{o.url, origin, noteKey{host, binary.BigEndian.Uint32(hash[:4]), key}, hex.EncodeToString(hash[:])}
	size, root, err := l.open(state.SignedTreeHead)
	if err != nil {
		return nil, err
	}
	if size != state.TreeSize || hex.EncodeToString(root) != state.RootHash {
		return nil, errors.New("the signed head is another than the stated one")
	}
	entries := make([]rekor1Entry, size)
	bodies := make([][]byte, size)
	for index := range entries {
		if bodies[index], err = l.read(uint64(index), &entries[index]); err != nil {
			return nil, fmt.Errorf("entry %d: %w", index, err)
		}
	}
	t, err := newTree(bodies)
	if err != nil {
		return nil, err
	}
	if err := t.stated(size, root); err != nil {
		return nil, err
	}
	for index := range entries {
		if err := l.proven(t, uint64(index), &entries[index].Verification.InclusionProof); err != nil {
			return nil, err
		}
	}
	return t, l.consistent(t)
}

func (l *rekor1Log) open(text string) (uint64, []byte, error) {
	checkpoint, _, _, err := log.ParseCheckpoint([]byte(text), l.origin, l.key)
	if err != nil {
		return 0, nil, fmt.Errorf("checkpoint: %w", err)
	}
	return checkpoint.Size, checkpoint.Hash, nil
}

// read fetches an entry and verifies its name and its promise.
func (l *rekor1Log) read(index uint64, entry *rekor1Entry) ([]byte, error) {
	answer := map[string]rekor1Entry{}
	if err := fetchJSON(fmt.Sprintf("%s/api/v1/log/entries?logIndex=%d", l.url, index), &answer); err != nil {
		return nil, err
	}
	if len(answer) != 1 {
		return nil, fmt.Errorf("%d entries", len(answer))
	}
	for id, one := range answer {
		body, err := base64.StdEncoding.DecodeString(one.Body)
		if err != nil {
			return nil, err
		}
		if !strings.HasSuffix(id, hex.EncodeToString(hasher.HashLeaf(body))) {
			return nil, errors.New("its name is not the hash of its body")
		}
		if one.LogIndex != index || one.LogID != l.id {
			return nil, errors.New("it names another place or log")
		}
		promise, err := json.Marshal(one.rekor1Promise)
		if err != nil {
			return nil, err
		}
		if !l.key.Verify(promise, one.Verification.SignedEntryTimestamp) {
			return nil, errors.New("the promise is not signed")
		}
		*entry = one
		return body, nil
	}
	return nil, nil
}

// proven verifies the proof of an entry, with the checkpoint in it.
func (l *rekor1Log) proven(t *tree, index uint64, p *rekor1Proof) error {
	size, root, err := l.open(p.Checkpoint)
	if err != nil {
		return err
	}
	if size != p.TreeSize || hex.EncodeToString(root) != p.RootHash || p.LogIndex != index {
		return fmt.Errorf("the proof of %d is for another head or place", index)
	}
	if err := t.stated(size, root); err != nil {
		return err
	}
	path, err := unhex(p.Hashes)
	if err != nil {
		return err
	}
	return t.includes(index, size, path)
}

func (l *rekor1Log) consistent(t *tree) error {
	for second := uint64(1); second <= t.size(); second++ {
		for first := uint64(1); first < second; first++ {
			var answer struct {
				Hashes []string `json:"hashes"`
			}
			url := fmt.Sprintf("%s/api/v1/log/proof?firstSize=%d&lastSize=%d", l.url, first, second)
			if err := fetchJSON(url, &answer); err != nil {
				return err
			}
			path, err := unhex(answer.Hashes)
			if err != nil {
				return err
			}
			if err := t.extends(first, second, path); err != nil {
				return err
			}
		}
	}
	return nil
}

func unhex(texts []string) ([][]byte, error) {
	var path [][]byte
	for _, text := range texts {
		one, err := hex.DecodeString(text)
		if err != nil {
			return nil, err
		}
		path = append(path, one)
	}
	return path, nil
}

func verifyRekor2(o options) (*tree, error) {
	parsed, _, err := publicKey(o.key)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("the key is no Ed25519 key")
	}
	text, err := note.NewEd25519VerifierKey(o.origin, key)
	if err != nil {
		return nil, err
	}
	verifier, err := note.NewVerifier(text)
	if err != nil {
		return nil, err
	}
	signed, err := fetch(o.url + "/api/v2/checkpoint")
	if err != nil {
		return nil, err
	}
	checkpoint, _, _, err := log.ParseCheckpoint(signed, o.origin, verifier)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	bodies, err := bundles(o.url, checkpoint.Size)
	if err != nil {
		return nil, err
	}
	t, err := newTree(bodies)
	if err != nil {
		return nil, err
	}
	if err := t.stated(checkpoint.Size, checkpoint.Hash); err != nil {
		return nil, err
	}
	return t, verifyTiles(o.url, t)
}

// bundles reads all entries (C2SP tlog-tiles): each after its length in two bytes.
func bundles(url string, size uint64) ([][]byte, error) {
	const width = 256
	var bodies [][]byte
	for start := uint64(0); start < size; start += width {
		tile := tlog.Tile{H: 8, L: -1, N: int64(start / width), W: int(min(width, size-start))}
		data, err := fetch(url + "/api/v2/" + tilePath(tile))
		if err != nil {
			return nil, err
		}
		for count := 0; count < tile.W; count++ {
			if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
				return nil, fmt.Errorf("bundle %d ends early", tile.N)
			}
			end := 2 + int(binary.BigEndian.Uint16(data))
			bodies, data = append(bodies, data[2:end]), data[end:]
		}
		if len(data) != 0 {
			return nil, fmt.Errorf("bundle %d goes on", tile.N)
		}
	}
	return bodies, nil
}

// tilePath is the path of a tile: the library's, without the height, which is always eight.
func tilePath(tile tlog.Tile) string {
	path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
	return strings.Replace(path, "tile/data/", "tile/entries/", 1)
}

type tileReader struct{ url string }

func (r tileReader) Height() int                         { return 8 }
func (r tileReader) SaveTiles(_ []tlog.Tile, _ [][]byte) {}
func (r tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		data, err := fetch(r.url + "/api/v2/" + tilePath(tile))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

// verifyTiles proves every entry, and every older tree, by tiles alone.
func verifyTiles(url string, t *tree) error {
	if t.size() == 0 {
		return nil
	}
	size := int64(t.size())
	root := tlog.Hash(t.roots[size])
	reader := tlog.TileHashReader(tlog.Tree{N: size, Hash: root}, tileReader{url})
	for index := int64(0); index < size; index++ {
		path, err := tlog.ProveRecord(size, index, reader)
		if err != nil {
			return fmt.Errorf("tiles: %w", err)
		}
		if err := tlog.CheckRecord(path, size, root, index, tlog.Hash(t.leaves[index])); err != nil {
			return fmt.Errorf("entry %d by tiles: %w", index, err)
		}
		older, err := tlog.ProveTree(size, index+1, reader)
		if err != nil {
			return fmt.Errorf("tiles: %w", err)
		}
		if err := tlog.CheckTree(older, size, root, index+1, tlog.Hash(t.roots[index+1])); err != nil {
			return fmt.Errorf("size %d by tiles: %w", index+1, err)
		}
	}
	stored, err := fetch(fmt.Sprintf("%s/api/v2/%s", url, tilePath(tlog.Tile{H: 8, W: int(min(256, t.size()))})))
	if err != nil {
		return err
	}
	if !bytes.Equal(stored, bytes.Join(t.leaves[:min(256, t.size())], nil)) {
		return errors.New("the first tile holds other hashes than the entries give")
	}
	return nil
}
