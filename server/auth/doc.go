// Package auth decides who a client is.
//
// An Authenticator is made once from the configuration and serves all connections. It knows
// the schemes that the configuration offers, one provider each (spec semantics 7.4):
//
//	ip        the address of the connection; every connection has it from the start
//	digest    a name and the hash of name and password; proves itself
//	ensemble  a client names the ensemble that it means; no identity
//	x509      the name of the certificate that the client has shown
//	sasl      an exchange of tokens, DIGEST-MD5; see Exchange
//
// What a client sends with operation auth goes to Authenticate. Identities that it proves are
// added to those of its connection by the caller, and stay for the life of the connection. The
// tokens of operation sasl go to an Exchange, of which a connection has one. An Authenticator
// also says whether a connection has proved enough to be served at all (Admits), and what user
// is behind an identity (User).
//
// Whether an identity may do something is not decided here but by znode, from an ACL.
//
// # Concurrency
//
// An Authenticator is immutable and safe for concurrent use. An Exchange belongs to the
// reader of one connection.
package auth
