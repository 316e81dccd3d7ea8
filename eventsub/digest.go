package eventsub

import (
	"crypto/sha256"
	"encoding/hex"
)

// digest tells texts from each other.
func digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8])
}
