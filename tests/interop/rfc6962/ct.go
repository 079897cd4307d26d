package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	ct "github.com/google/certificate-transparency-go"
	"github.com/google/certificate-transparency-go/client"
	"github.com/google/certificate-transparency-go/ctutil"
	"github.com/google/certificate-transparency-go/jsonclient"
	"github.com/google/certificate-transparency-go/x509"
	"github.com/google/certificate-transparency-go/x509util"
)

func verifyCT(o options) (*tree, error) {
	key, err := os.ReadFile(o.key)
	if err != nil {
		return nil, err
	}
	// With a key, the client verifies tree heads and SCTs.
	log, err := client.New(o.url, web, jsonclient.Options{PublicKey: string(key)})
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	var chain []*x509.Certificate
	if o.chain != "" {
		if chain, err = readChain(o.chain); err != nil {
			return nil, err
		}
		// Handed in once more, as a final certificate, it is promised a place of its own.
		var handed []ct.ASN1Cert
		for _, one := range chain {
			handed = append(handed, ct.ASN1Cert{Data: one.Raw})
		}
		if _, err := log.AddChain(ctx, handed); err != nil {
			return nil, fmt.Errorf("add-chain: %w", err)
		}
	}
	sth, err := log.GetSTH(ctx)
	if err != nil {
		return nil, fmt.Errorf("get-sth: %w", err)
	}
	var inputs [][]byte
	for uint64(len(inputs)) < sth.TreeSize {
		got, err := log.GetRawEntries(ctx, int64(len(inputs)), int64(sth.TreeSize)-1)
		if err != nil {
			return nil, fmt.Errorf("get-entries: %w", err)
		}
		for i := range got.Entries {
			if err := verifyEntry(int64(len(inputs)), &got.Entries[i]); err != nil {
				return nil, fmt.Errorf("entry %d: %w", len(inputs), err)
			}
			inputs = append(inputs, got.Entries[i].LeafInput)
		}
	}
	t, err := newTree(inputs)
	if err != nil {
		return nil, err
	}
	if err := t.stated(sth.TreeSize, sth.SHA256RootHash[:]); err != nil {
		return nil, err
	}
	if err := verifyProofs(ctx, log, t); err != nil {
		return nil, err
	}
	if chain == nil {
		return t, nil
	}
	return t, verifyEmbedded(o, chain, t)
}

func verifyProofs(ctx context.Context, log *client.LogClient, t *tree) error {
	for size := uint64(1); size <= t.size(); size++ {
		for index := uint64(0); index < size; index++ {
			got, err := log.GetProofByHash(ctx, t.leaves[index], size)
			if err != nil {
				return fmt.Errorf("get-proof-by-hash: %w", err)
			}
			if got.LeafIndex != int64(index) {
				return fmt.Errorf("the leaf %d is said to be %d", index, got.LeafIndex)
			}
			if err := t.includes(index, size, got.AuditPath); err != nil {
				return err
			}
		}
		for first := uint64(1); first < size; first++ {
			path, err := log.GetSTHConsistency(ctx, first, size)
			if err != nil {
				return fmt.Errorf("get-sth-consistency: %w", err)
			}
			if err := t.extends(first, size, path); err != nil {
				return err
			}
		}
	}
	return nil
}

// verifyEntry verifies that an entry is what it is said to be over: the precertificate without its poison, by the
// issuer that it names, who signed it.
func verifyEntry(index int64, leaf *ct.LeafEntry) error {
	entry, err := ct.LogEntryFromLeaf(index, leaf)
	if err != nil && x509.IsFatal(err) {
		return err
	}
	if len(entry.Chain) == 0 {
		return errors.New("no chain")
	}
	var chain []*x509.Certificate
	for _, one := range entry.Chain {
		certificate, err := x509.ParseCertificate(one.Data)
		if err != nil {
			return err
		}
		chain = append(chain, certificate)
	}
	// The root signed itself.
	for i, one := range chain {
		if err := one.CheckSignatureFrom(chain[min(i+1, len(chain)-1)]); err != nil {
			return fmt.Errorf("chain: %w", err)
		}
	}
	issuer := chain[0]
	if entry.Precert == nil {
		if entry.X509Cert == nil {
			return errors.New("neither certificate nor precertificate")
		}
		return entry.X509Cert.CheckSignatureFrom(issuer)
	}
	submitted, err := x509.ParseCertificate(entry.Precert.Submitted.Data)
	if err != nil && x509.IsFatal(err) {
		return err
	}
	if err := submitted.CheckSignatureFrom(issuer); err != nil {
		return err
	}
	if !submitted.IsPrecertificate() {
		return errors.New("the precertificate has no poison")
	}
	tbs, err := x509.RemoveCTPoison(submitted.RawTBSCertificate)
	if err != nil {
		return err
	}
	if !bytes.Equal(tbs, entry.Precert.TBSCertificate.Raw) {
		return errors.New("the leaf is over another certificate than the precertificate")
	}
	if entry.Precert.IssuerKeyHash != sha256.Sum256(issuer.RawSubjectPublicKeyInfo) {
		return errors.New("the leaf names another issuer")
	}
	return nil
}

// verifyEmbedded verifies the SCT in a certificate, and that the log kept what it promised.
func verifyEmbedded(o options, chain []*x509.Certificate, t *tree) error {
	key, _, err := publicKey(o.key)
	if err != nil {
		return err
	}
	scts, err := x509util.ParseSCTsFromCertificate(chain[0].Raw)
	if err != nil {
		return err
	}
	if len(scts) != 1 {
		return fmt.Errorf("%d SCTs", len(scts))
	}
	if err := ctutil.VerifySCT(key, chain, scts[0], true); err != nil {
		return fmt.Errorf("SCT: %w", err)
	}
	hash, err := ctutil.LeafHash(chain, scts[0], true)
	if err != nil {
		return err
	}
	for _, leaf := range t.leaves {
		if bytes.Equal(leaf, hash[:]) {
			return nil
		}
	}
	return errors.New("the log does not hold what its SCT promised")
}

func readChain(path string) ([]*x509.Certificate, error) {
	rest, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var chain []*x509.Certificate
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		one, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		chain = append(chain, one)
	}
	if len(chain) < 2 {
		return nil, fmt.Errorf("%s: a leaf and its issuer are needed", path)
	}
	return chain, nil
}
