package storedsnapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"

	"k8s.io/client-go/rest"
)

// ClusterIdentity names the API server that a configuration leads to, by its address and the authority that vouches for it: the
// hexadecimal digits of a SHA-256. It asks nobody, as the API server may be away.
func ClusterIdentity(config *rest.Config) (string, error) {
	authority := config.CAData
	if len(authority) == 0 && config.CAFile != "" {
		var err error
		if authority, err = os.ReadFile(config.CAFile); err != nil {
			return "", fmt.Errorf("read the authority of the API server: %w", err)
		}
	}
	hash := sha256.New()
	fmt.Fprintf(hash, "%q %q\n", config.Host, authority)
	return hex.EncodeToString(hash.Sum(nil)), nil
}
