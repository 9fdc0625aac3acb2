package abi

// SignatureSection is the custom section of a signature, which must be the last
// section of its module, and the only one of the name.
const SignatureSection = "sw.signature"

// The layout of a signature record: tag, key id, signature.
const (
	SignatureTag  = "swg1"
	PublicKeyTag  = "swp1"
	PrivateKeyTag = "sws1"
	KeyIDBytes    = 8
	// SignatureContext goes before the SHA-256 of what is signed; both together
	// are the message of Ed25519.
	SignatureContext = "sandwarp plugin signature v1\n"
)
