// Package keystore reads the files that hold keys and certificates, and keeps the TLS
// configuration of a listener up to date with them.
//
// ReadKeys and ReadTrust read one store, in any of the formats that configurations of ZooKeeper
// name (spec operations 6.1):
//
//	PEM     a private key (PKCS #8, encrypted or not, PKCS #1 or SEC 1) and certificates, in
//	        any order; a trust store holds certificates only
//	PKCS12  as openssl and keytool write it
//	JKS     Java's own, and PKCS12 as well, which keytool writes under this name, too
//	BCFKS   is refused with a word of what to do
//
// A Keeper, made by Open, holds what was read and makes a tls.Config of it that may be used for
// any number of connections. Its Run looks at the files every few seconds. What has changed is
// used for the connections that begin from then on; what cannot be used is reported and the old
// material stays. Sessions of TLS are never resumed, so a certificate is judged by the trust store
// and the clock of the moment, at every connection.
//
// Files are bounded in size, and so is the work that a file can ask for to be decrypted. Errors name
// the file and the reason, and never a password.
//
// # Concurrency
//
// Functions and the methods of Keeper are safe for concurrent use. A Keeper's one goroutine is
// that of whoever calls Run.
package keystore
