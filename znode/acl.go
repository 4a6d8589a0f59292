package znode

import (
	"slices"
	"strings"

	"github.com/zabkeeper/zabkeeper/proto"
)

// The authentication schemes that this package knows (spec semantics 7.4).
const (
	SchemeWorld  = "world"
	SchemeAuth   = "auth"
	SchemeDigest = "digest"
	SchemeIP     = "ip"
	SchemeSuper  = "super"
	SchemeX509   = "x509"
	SchemeSASL   = "sasl"
)

const anyone = "anyone"

// SuperID is the identity that every ACL allows everything. A server that skips ACL checks
// gives it to all its connections' reads.
func SuperID() proto.ID { return proto.ID{Scheme: SchemeSuper} }

// Allowed reports whether a connection with the given identities, as Schemes.Judged returns
// them, may do at least one of the needed things under acl (spec semantics 7.2). A nil or
// empty list allows everything.
func Allowed(acl []proto.ACL, needed proto.Perms, ids []proto.ID) bool {
	if len(acl) == 0 {
		return true
	}
	for i := range ids {
		if ids[i].Scheme == SchemeSuper {
			return true
		}
	}
	for i := range acl {
		if acl[i].Perms&needed != 0 && matchesAny(&acl[i].ID, ids) {
			return true
		}
	}
	return false
}

// matchesAny reports whether one of ids is meant by the identity of an ACL entry.
func matchesAny(entry *proto.ID, ids []proto.ID) bool {
	switch entry.Scheme {
	case SchemeWorld:
		return entry.ID == anyone
	case SchemeDigest:
		return slices.Contains(ids, *entry)
	case SchemeX509:
		return slices.Contains(ids, *entry) || slices.Contains(ids, proto.ID{Scheme: SchemeX509, ID: x509Super})
	case SchemeSASL:
		return slices.Contains(ids, *entry) || slices.Contains(ids, proto.ID{Scheme: SchemeSASL, ID: saslSuper})
	case SchemeIP:
		network, ok := parseNetwork(entry.ID)
		if !ok {
			return false
		}
		for i := range ids {
			if ids[i].Scheme == SchemeIP && network.contains(ids[i].ID) {
				return true
			}
		}
	}
	return false
}

// FixACL returns the list that is stored when a client with the given identities asks for
// acl (spec semantics 7.3): exact duplicates removed, "auth" replaced by the identities
// that stand for a person. The list may be acl itself. The code is CodeInvalidACL for a list
// that is empty or holds an entry that no client may store, CodeMarshallingError if the
// result would be longer than maxBytes encoded.
func (s *Schemes) FixACL(acl []proto.ACL, ids []proto.ID, maxBytes int) ([]proto.ACL, proto.Code) {
	if len(acl) == 0 {
		return nil, proto.CodeInvalidACL
	}
	acl = uniqueACL(acl)
	expand := false
	for i := range acl {
		switch id := &acl[i].ID; {
		case id.Scheme == SchemeAuth:
			expand = true
		case !s.validEntry(id):
			return nil, proto.CodeInvalidACL
		}
	}
	if !expand {
		return acl, proto.CodeOK
	}
	return s.expandAuth(acl, ids, maxBytes)
}

// expandAuth replaces the "auth" entries. Duplicates that arise stay, as in ZooKeeper.
func (s *Schemes) expandAuth(acl []proto.ACL, ids []proto.ID, maxBytes int) ([]proto.ACL, proto.Code) {
	people := make([]proto.ID, 0, len(ids))
	for _, id := range ids {
		if s.known(id.Scheme) {
			people = append(people, id)
		}
	}
	if len(people) == 0 {
		return nil, proto.CodeInvalidACL
	}
	fixed := make([]proto.ACL, 0, len(acl)+len(people))
	size := lenCount
	add := func(a proto.ACL) bool {
		fixed = append(fixed, a)
		size += sizeACL(&a)
		return size <= maxBytes
	}
	for _, a := range acl {
		if a.ID.Scheme != SchemeAuth {
			if !add(a) {
				return nil, proto.CodeMarshallingError
			}
			continue
		}
		for _, id := range people {
			if !add(proto.ACL{Perms: a.Perms, ID: id}) {
				return nil, proto.CodeMarshallingError
			}
		}
	}
	return fixed, proto.CodeOK
}

// smallACL is the length up to which uniqueACL compares every pair.
const smallACL = 16

// uniqueACL returns acl without exact duplicates, in order; acl itself if it has none. A
// request can hold tens of thousands of entries, so long lists go through a map.
func uniqueACL(acl []proto.ACL) []proto.ACL {
	if len(acl) <= smallACL {
		for i := range acl {
			if slices.Contains(acl[:i], acl[i]) {
				return dropDuplicates(acl)
			}
		}
		return acl
	}
	return dropDuplicates(acl)
}

func dropDuplicates(acl []proto.ACL) []proto.ACL {
	seen := make(map[proto.ACL]struct{}, len(acl))
	unique := make([]proto.ACL, 0, len(acl))
	for _, a := range acl {
		if _, dup := seen[a]; !dup {
			seen[a] = struct{}{}
			unique = append(unique, a)
		}
	}
	return unique
}

// RedactACL returns acl as somebody sees it who may read but not administer a node: with
// the hashes of digest identities replaced by "x" (spec semantics 7.5, CVE-2019-0201).
func RedactACL(acl []proto.ACL) []proto.ACL {
	redacted := slices.Clone(acl)
	for i := range redacted {
		id := &redacted[i].ID
		if id.Scheme != SchemeDigest {
			continue
		}
		if user, _, found := strings.Cut(id.ID, ":"); found {
			id.ID = user + ":x"
		}
	}
	return redacted
}

// compactACL returns the form in which a node keeps acl: nil for world:anyone:all, and for
// lists without entries, which allow the same.
func compactACL(acl []proto.ACL) []proto.ACL {
	if len(acl) == 0 {
		return nil
	}
	if a := &acl[0]; len(acl) == 1 && a.Perms == proto.PermAll && a.ID.Scheme == SchemeWorld && a.ID.ID == anyone {
		return nil
	}
	return acl
}

// fullACL undoes compactACL.
func fullACL(acl []proto.ACL) []proto.ACL {
	if acl == nil {
		return proto.WorldACL(proto.PermAll)
	}
	return acl
}
