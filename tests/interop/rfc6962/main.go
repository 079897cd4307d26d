// Command rfc6962 is the peer that judges the logs of the sandbox: it reads a whole log over HTTP and verifies
// everything that the log says of itself, with the libraries of the transparency.dev and Certificate Transparency
// projects. It exits with 1 at the first thing that does not hold.
//
//	rfc6962 ct     -url URL -key key.pem [-chain chain.pem]   a CT log (RFC 6962) and a certificate from it
//	rfc6962 rekor1 -url URL -key key.pem                      Rekor v1
//	rfc6962 rekor2 -url URL -key key.pem -origin NAME         Rekor v2: checkpoint and tiles (C2SP tlog-tiles)
//
// With -save the tree head goes into a file; with -since the log must have grown out of the head in such a file.
package main

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// The sandbox answers in milliseconds; this is only so that a hung one fails.
var web = &http.Client{Timeout: 30 * time.Second}

type options struct {
	url, key, origin, chain, save, since string
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "rfc6962:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 0 {
		return errors.New("which log: ct, rekor1 or rekor2")
	}
	var o options
	flags := flag.NewFlagSet(arguments[0], flag.ContinueOnError)
	flags.StringVar(&o.url, "url", "", "where the log is")
	flags.StringVar(&o.key, "key", "", "PEM file of its public key")
	flags.StringVar(&o.origin, "origin", "", "first line of its checkpoints (rekor2)")
	flags.StringVar(&o.chain, "chain", "", "PEM file of a certificate with an SCT and its chain (ct)")
	flags.StringVar(&o.save, "save", "", "file that the tree head goes into")
	flags.StringVar(&o.since, "since", "", "file of an earlier tree head")
	if err := flags.Parse(arguments[1:]); err != nil {
		return err
	}
	logs := map[string]func(options) (*tree, error){"ct": verifyCT, "rekor1": verifyRekor1, "rekor2": verifyRekor2}
	verify, ok := logs[arguments[0]]
	if !ok {
		return fmt.Errorf("%q is no log", arguments[0])
	}
	t, err := verify(o)
	if err != nil {
		return err
	}
	if err := t.since(o.since); err != nil {
		return err
	}
	if err := t.save(o.save); err != nil {
		return err
	}
	fmt.Printf("ok: %d entries\n", t.size())
	return nil
}

func publicKey(path string) (crypto.PublicKey, []byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, nil, fmt.Errorf("%s: no PEM", path)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	return key, block.Bytes, err
}

func fetch(url string) ([]byte, error) {
	answer, err := web.Get(url)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s: %s", url, answer.Status, strings.TrimSpace(string(body)))
	}
	return body, nil
}

func fetchJSON(url string, to any) error {
	body, err := fetch(url)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, to); err != nil {
		return fmt.Errorf("%s: %w", url, err)
	}
	return nil
}
