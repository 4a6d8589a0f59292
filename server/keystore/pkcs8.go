package keystore

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"hash"
)

// encryptedKey is EncryptedPrivateKeyInfo of RFC 5208.
type encryptedKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

// pbes2 and pbkdf2Params are those of RFC 8018, appendix A.
type pbes2 struct {
	KDF    pkix.AlgorithmIdentifier
	Cipher pkix.AlgorithmIdentifier
}

type pbkdf2Params struct {
	Salt       []byte
	Iterations int
	KeyLength  int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

const (
	oidPBES2  = "1.2.840.113549.1.5.13"
	oidPBKDF2 = "1.2.840.113549.1.5.12"
)

// prfs are the hashes under HMAC; none means SHA-1.
var prfs = map[string]func() hash.Hash{
	"":                    sha1.New,
	"1.2.840.113549.2.7":  sha1.New,
	"1.2.840.113549.2.8":  sha256.New224,
	"1.2.840.113549.2.9":  sha256.New,
	"1.2.840.113549.2.10": sha512.New384,
	"1.2.840.113549.2.11": sha512.New,
}

// blockCipher is a cipher in CBC mode.
type blockCipher struct {
	keyLen int
	make   func(key []byte) (cipher.Block, error)
}

var blockCiphers = map[string]blockCipher{
	"2.16.840.1.101.3.4.1.2":  {16, aes.NewCipher},
	"2.16.840.1.101.3.4.1.22": {24, aes.NewCipher},
	"2.16.840.1.101.3.4.1.42": {32, aes.NewCipher},
	"1.2.840.113549.3.7":      {24, des.NewTripleDESCipher},
}

// decryptPKCS8 reads an encrypted private key: PBES2 with PBKDF2, and AES or Triple DES in CBC mode,
// which is what openssl and Java write.
func decryptPKCS8(der []byte, password string) (crypto.PrivateKey, error) {
	var enc encryptedKey
	if err := unmarshal(der, &enc); err != nil {
		return nil, err
	}
	if id := enc.Algorithm.Algorithm.String(); id != oidPBES2 {
		return nil, fmt.Errorf("%w: encryption %s is not supported; convert the key with openssl pkcs8 -topk8 -v2 aes-256-cbc", ErrFormat, id)
	}
	var params pbes2
	if err := unmarshal(enc.Algorithm.Parameters.FullBytes, &params); err != nil {
		return nil, err
	}
	block, err := deriveCipher(&params, password)
	if err != nil {
		return nil, err
	}
	var iv []byte
	if err := unmarshal(params.Cipher.Parameters.FullBytes, &iv); err != nil {
		return nil, err
	}
	size := block.BlockSize()
	if len(iv) != size || len(enc.Data) == 0 || len(enc.Data)%size != 0 {
		return nil, fmt.Errorf("%w: %d bytes of encrypted data with an initial vector of %d", ErrFormat, len(enc.Data), len(iv))
	}
	plain := make([]byte, len(enc.Data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, enc.Data)
	pad := int(plain[len(plain)-1])
	if pad == 0 || pad > size || !bytes.Equal(plain[len(plain)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, ErrPassword
	}
	key, err := x509.ParsePKCS8PrivateKey(plain[:len(plain)-pad])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPassword, err)
	}
	return key, nil
}

// deriveCipher makes the cipher with the key that follows from the password.
func deriveCipher(params *pbes2, password string) (cipher.Block, error) {
	if id := params.KDF.Algorithm.String(); id != oidPBKDF2 {
		return nil, fmt.Errorf("%w: key derivation %s is not supported", ErrFormat, id)
	}
	var kdf pbkdf2Params
	if err := unmarshal(params.KDF.Parameters.FullBytes, &kdf); err != nil {
		return nil, err
	}
	if kdf.Iterations < 1 || kdf.Iterations > maxIterations {
		return nil, fmt.Errorf("%w: %d iterations of key derivation", ErrFormat, kdf.Iterations)
	}
	prf, ok := prfs[kdf.PRF.Algorithm.String()]
	if !ok {
		return nil, fmt.Errorf("%w: pseudo-random function %v is not supported", ErrFormat, kdf.PRF.Algorithm)
	}
	c, ok := blockCiphers[params.Cipher.Algorithm.String()]
	if !ok {
		return nil, fmt.Errorf("%w: cipher %v is not supported", ErrFormat, params.Cipher.Algorithm)
	}
	key, err := pbkdf2.Key(prf, password, kdf.Salt, kdf.Iterations, c.keyLen)
	if err != nil {
		return nil, err
	}
	return c.make(key)
}

// unmarshal reads all of der.
func unmarshal(der []byte, into any) error {
	rest, err := asn1.Unmarshal(der, into)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if len(rest) > 0 {
		return fmt.Errorf("%w: %d bytes too many", ErrFormat, len(rest))
	}
	return nil
}
