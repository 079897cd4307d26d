// Command registry is the peer that the interop ring pushes to and reads from: go-containerregistry's in-memory
// registry, one process per test, the referrers API on or off. It refuses to listen anywhere but on loopback.
//
// The first line on stdout is the address (host:port); nothing else is written there. One line per request goes to
// stderr with -log. With -until-eof the process ends when its stdin does, so that it can't outlive the test it serves.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on; loopback only")
	referrers := flag.Bool("referrers", true, "answer the referrers API (false: 404, clients use the fallback tag)")
	requests := flag.Bool("log", false, "write method, path and status of each request to stderr")
	untilEOF := flag.Bool("until-eof", false, "end when stdin ends")
	flag.Parse()
	if err := serve(*listen, *referrers, *requests, *untilEOF); err != nil {
		fmt.Fprintln(os.Stderr, "registry:", err)
		os.Exit(1)
	}
}

func serve(listen string, referrers, requests, untilEOF bool) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("%q is not a loopback address", listen)
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	quiet := log.New(io.Discard, "", 0)
	handler := registry.New(registry.WithReferrersSupport(referrers), registry.Logger(quiet))
	if requests {
		handler = logged(handler)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	if untilEOF {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			_ = server.Close()
		}()
	}
	fmt.Println(listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// statusRecorder keeps the status that a handler wrote.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(recorder, r)
		fmt.Fprintf(os.Stderr, "%s %s %d\n", r.Method, r.URL.RequestURI(), recorder.status)
	})
}
