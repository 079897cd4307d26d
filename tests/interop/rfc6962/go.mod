module scgate.dev/interop/rfc6962

go 1.25.0

require (
	github.com/google/certificate-transparency-go v1.3.3
	github.com/transparency-dev/formats v0.1.1
	github.com/transparency-dev/merkle v0.0.2
	golang.org/x/mod v0.37.0
)

require (
	github.com/go-logr/logr v1.4.3 // indirect
	golang.org/x/crypto v0.52.0 // indirect
	google.golang.org/protobuf v1.36.11 // indirect
	k8s.io/klog/v2 v2.130.1 // indirect
)
