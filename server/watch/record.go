package watch

// path returns the number of a path, none if nobody watches it.
func (r *Registry[C]) path(name string) uint32 {
	i := r.pathIndex.first(r.paths.hashName(name))
	for i != none && r.paths.at(i).name != name {
		i = *r.paths.link(i)
	}
	return i
}

// record returns the record with a path and key, none if there is none.
func (r *Registry[C]) record(path, key uint32) uint32 {
	i := r.recordIndex.first(hashRecord(path, key))
	for i != none {
		rec := r.records.at(i)
		if rec.path == path && rec.key() == key {
			break
		}
		i = rec.hashLink
	}
	return i
}

// newPath numbers a path that nobody watches.
func (r *Registry[C]) newPath(name string) uint32 {
	i := r.paths.take()
	*r.paths.at(i) = watched{name: name, first: [kinds]uint32{none, none, none}}
	r.pathIndex.insert(i)
	return i
}

// newRecord makes a record without marks.
func (r *Registry[C]) newRecord(path, key uint32) uint32 {
	i := r.records.take()
	rec := r.records.at(i)
	*rec = record{path: path, owner: key << 2, prevPath: none, prevConn: none}
	r.count(rec, 1)
	first := &r.paths.at(path).first[rec.kind()]
	if rec.nextPath = *first; rec.nextPath != none {
		r.records.at(rec.nextPath).prevPath = i
	}
	*first = i
	m := r.members.at(rec.conn())
	if rec.nextConn = m.first; rec.nextConn != none {
		r.records.at(rec.nextConn).prevConn = i
	}
	m.first = i
	r.recordIndex.insert(i)
	return i
}

// unmark removes marks from a record, and the record with its last one.
func (r *Registry[C]) unmark(i, marks uint32) {
	rec := r.records.at(i)
	if rec.owner &^= marks; rec.marks() == 0 {
		r.release(i)
	}
}

// release removes a record, and forgets its path if it was the last one there.
func (r *Registry[C]) release(i uint32) {
	rec := r.records.at(i)
	for _, c := range r.cursors {
		if c.next == i {
			c.leave(rec)
		}
	}
	w := r.paths.at(rec.path)
	if rec.prevPath != none {
		r.records.at(rec.prevPath).nextPath = rec.nextPath
	} else {
		w.first[rec.kind()] = rec.nextPath
	}
	if rec.nextPath != none {
		r.records.at(rec.nextPath).prevPath = rec.prevPath
	}
	if rec.prevConn != none {
		r.records.at(rec.prevConn).nextConn = rec.nextConn
	} else {
		r.members.at(rec.conn()).first = rec.nextConn
	}
	if rec.nextConn != none {
		r.records.at(rec.nextConn).prevConn = rec.prevConn
	}
	r.recordIndex.remove(i)
	r.count(rec, -1)
	if w.first == [kinds]uint32{none, none, none} {
		r.pathIndex.remove(rec.path)
		r.paths.drop(rec.path)
	}
	r.records.drop(i)
	if r.recordIndex.n == 0 && len(r.records.vacant) > 0 {
		r.reset() // with the lists of groups
	}
}

// count books a record that is about to be linked, or was unlinked.
func (r *Registry[C]) count(rec *record, by int) {
	r.size.Add(int64(by))
	r.members.at(rec.conn()).bytes += by * (recordBytes + len(r.paths.at(rec.path).name))
	other := inTree // the other kind of list of the data table
	switch rec.kind() {
	case inChild:
		r.counts.Watches += by
		return
	case inTree:
		r.recursive += by
		other = inData
	}
	w := r.paths.at(rec.path)
	if w.first[inData] == none && w.first[inTree] == none {
		r.counts.Paths += by
	}
	if w.first[other] != none && r.record(rec.path, key(rec.conn(), other)) != none {
		return
	}
	r.counts.Watches += by
	r.counts.Data += by
	m := r.members.at(rec.conn())
	m.data = uint32(int(m.data) + by)
	if int(m.data) == max(by, 0) { // somebody appears or disappears
		r.counts.Members += by
	}
}
