package differ

import "slices"

// Shrink returns a script that is as short as it can be made while fails reports true for it.
// fails is called at most budget times.
func Shrink(script Script, budget int, fails func(Script) bool) Script {
	s := &shrinker{script: script, budget: budget, fails: fails}
	for before := -1; before != s.size(); {
		before = s.size()
		s.steps()
		s.parts()
		s.values()
	}
	return s.script
}

type shrinker struct {
	script Script
	budget int
	fails  func(Script) bool
}

// size is what gets smaller: steps, requests, items and letters.
func (s *shrinker) size() int { return len(s.script.String()) }

// try keeps a candidate that still fails.
func (s *shrinker) try(candidate Script) {
	if s.budget <= 0 || len(candidate.String()) >= s.size() {
		return
	}
	s.budget--
	if s.fails(candidate) {
		s.script = candidate
	}
}

// steps leaves out runs of steps, long ones first.
func (s *shrinker) steps() {
	for n := (len(s.script) + 1) / 2; n >= 1; n /= 2 {
		for i := len(s.script) - n; i >= 0; i -= n {
			if i+n <= len(s.script) {
				s.try(slices.Concat(s.script[:i], s.script[i+n:]))
			}
		}
	}
}

// with returns the script with another step in one place.
func (s *shrinker) with(i int, change func(*Step)) Script {
	candidate := slices.Clone(s.script)
	step := candidate[i].clone()
	change(&step)
	candidate[i] = step
	return candidate
}

// parts leaves out requests of bursts and operations of multis.
func (s *shrinker) parts() {
	for i := range s.script {
		for j := len(s.script[i].Requests) - 1; j >= 0; j-- {
			if len(s.script[i].Requests) > 1 {
				s.try(s.with(i, func(st *Step) { st.Requests = slices.Delete(st.Requests, j, j+1) }))
			}
		}
		for j := range s.script[i].Requests {
			for k := len(s.script[i].Requests[j].Items) - 1; k >= 0; k-- {
				s.try(s.with(i, func(st *Step) {
					st.Requests[j].Items = slices.Delete(st.Requests[j].Items, k, k+1)
				}))
			}
		}
	}
}

// values makes arguments simpler: ordinary xids and bodies, open lists, no data.
func (s *shrinker) values() {
	for i := range s.script {
		for j := range s.script[i].Requests {
			s.request(i, func(st *Step) *Request { return &st.Requests[j] })
			for k := range s.script[i].Requests[j].Items {
				s.request(i, func(st *Step) *Request { return &st.Requests[j].Items[k] })
			}
		}
	}
}

// request simplifies the request that at finds in step i.
func (s *shrinker) request(i int, at func(*Step) *Request) {
	s.try(s.with(i, func(st *Step) { at(st).Xid = 0 }))
	s.try(s.with(i, func(st *Step) { at(st).Cut = 0 }))
	r := at(&s.script[i])
	for k, f := range fieldsOf[r.Op] {
		if r.HasRaw || k >= len(r.Args) {
			break
		}
		set := func(a Arg) { s.try(s.with(i, func(st *Step) { at(st).Args[k] = a })) }
		switch f {
		case kBuf:
			set(Arg{})
		case kACL:
			set(openACL)
			for n := len(r.Args[k].ACL) - 1; n >= 0; n-- {
				if acl := at(&s.script[i]).Args[k].ACL; n < len(acl) {
					set(Arg{ACL: slices.Concat(acl[:n], acl[n+1:])})
				}
			}
		case kStrs:
			for n := len(r.Args[k].List) - 1; n >= 0; n-- {
				if list := at(&s.script[i]).Args[k].List; n < len(list) {
					set(Arg{List: slices.Concat(list[:n], list[n+1:])})
				}
			}
		case kNum, kLong, kFlag, kZxid:
			set(Arg{})
		case kStr:
		}
	}
}
