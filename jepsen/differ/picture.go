package differ

import (
	"fmt"
	"slices"
	"strings"

	"github.com/zabkeeper/zabkeeper/proto"
)

// The generator's picture of the tree is a guess: it knows of no rights, and it takes every multi
// for one that succeeds. A script whose requests mostly fail compares little.

// maxPaths bounds the picture.
const maxPaths = 24

// parentOf returns the path above, "" for the root's children and the root.
func parentOf(path string) string { return path[:max(0, strings.LastIndexByte(path, '/'))] }

// created notes what a create makes, if it is likely to succeed.
func (g *generator) created(r *Request, owner string) {
	path, mode := r.Args[0].Text, proto.CreateMode(r.Args[3].N)
	parent := parentOf(path)
	_, childless := g.owners[parent]
	possible := strings.HasPrefix(path, "/") && mode.Valid() && storable(r.Args[2]) && !childless &&
		(parent == "" || slices.Contains(g.paths, parent))
	if !possible || slices.Contains(g.paths, path) {
		return
	}
	if mode.Sequential() {
		if parent == "" {
			return // the root's counter has a past
		}
		path += fmt.Sprintf("%010d", g.counters[parent])
	}
	if strings.HasSuffix(path, "/") || slices.Contains(oddPaths, path) {
		return
	}
	g.counters[parent]++
	g.counters[path] = 0
	g.paths = append(g.paths, path)
	delete(g.mortal, path)
	switch {
	case r.Op == proto.OpCreateContainer || r.Op == proto.OpCreateTTL && r.Args[4].N == shortTTL:
		g.mortal[path] = r.Op == proto.OpCreateContainer
	case mode.Ephemeral():
		g.owners[path] = owner
	}
}

// storable reports whether everybody may store the list.
func storable(acl Arg) bool {
	for _, item := range acl.ACL {
		if item.Scheme.Text == "auth" || !slices.Contains(goodIDs, item.Scheme.Text+":"+item.ID.Text) {
			return false
		}
	}
	return len(acl.ACL) > 0
}

// deleted notes what a delete takes away, if it is likely to succeed.
func (g *generator) deleted(r *Request) {
	path := r.Args[0].Text
	hasChildren := slices.ContainsFunc(g.paths, func(p string) bool { return parentOf(p) == path })
	if !hasChildren && (r.Args[1].N == -1 || r.Args[1].N == 0 && g.chance(70)) {
		g.forget(path)
	}
}

func (g *generator) forget(path string) {
	g.paths = slices.DeleteFunc(g.paths, func(p string) bool { return p == path })
	delete(g.owners, path)
}

// swept notes what the cleaner takes away.
func (g *generator) swept() {
	if !g.w.Cleaner {
		return
	}
	for _, path := range slices.Backward(slices.Clone(g.paths)) {
		container, mortal := g.mortal[path]
		childless := !slices.ContainsFunc(g.paths, func(p string) bool { return parentOf(p) == path })
		if mortal && childless && (!container || g.counters[path] > 0) {
			g.forget(path)
		}
	}
}

// ended notes the end of a client's session.
func (g *generator) ended(name string) {
	for _, path := range slices.Clone(g.paths) {
		if g.owners[path] == name {
			g.forget(path)
		}
	}
}
