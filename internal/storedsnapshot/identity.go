package storedsnapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"

	"k8s.io/client-go/rest"
)

// ClusterIdentity returns a hexadecimal SHA-256 that identifies an API server by its address and its CA bundle, for
// [snapshotfile.Binding]. It sends no request, because the API server may be unreachable. It fails only if the CA file
// cannot be read.
func ClusterIdentity(config *rest.Config) (string, error) {
	bundle := config.CAData
	if len(bundle) == 0 && config.CAFile != "" {
		var err error
		if bundle, err = os.ReadFile(config.CAFile); err != nil {
			return "", fmt.Errorf("read the CA bundle of the API server: %w", err)
		}
	}
	hash := sha256.New()
	fmt.Fprintf(hash, "%q %q\n", config.Host, bundle)
	return hex.EncodeToString(hash.Sum(nil)), nil
}
