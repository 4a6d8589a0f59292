package watch

import "math/bits"

const (
	groupBits = 6
	groupLen  = 1 << groupBits
)

// pool keeps entries of T that are numbered, in groups of 64. A number stays what it is while its
// entry is in use, and is given out again later. A group goes as soon as its last entry does, so
// that what is left of a crowd holds no more than a group per entry; one empty group is kept for
// who comes next. Nothing is ever moved.
type pool[T any] struct {
	groups []*[groupLen]T // nil: vacant
	infos  []groupInfo
	// open are the groups with room, in the order in which they are filled from the end, and vacant
	// those that are not there.
	open, vacant []uint32
	// spare says that an open group is empty.
	spare bool
}

type groupInfo struct {
	used  uint64 // a bit for each entry
	place uint32 // in open, none if the group is full or vacant
}

func (p *pool[T]) at(i uint32) *T { return &p.groups[i>>groupBits][i&(groupLen-1)] }

// has reports whether an entry with this number is in use.
func (p *pool[T]) has(i uint32) bool {
	g := i >> groupBits
	return int(g) < len(p.infos) && p.infos[g].used>>(i&(groupLen-1))&1 != 0
}

// seek returns the first number from i on that is in use, none if there is none.
func (p *pool[T]) seek(i uint32) uint32 {
	for g := i >> groupBits; int(g) < len(p.infos); g++ {
		if used := p.infos[g].used >> (i & (groupLen - 1)); used != 0 {
			return i + uint32(bits.TrailingZeros64(used))
		}
		i = (g + 1) << groupBits
	}
	return none
}

// take returns the number of an entry that is zero and in use from now on.
func (p *pool[T]) take() uint32 {
	if len(p.open) == 0 {
		p.grow()
	}
	g := p.open[len(p.open)-1]
	info := &p.infos[g]
	if info.used == 0 {
		p.spare = false
	}
	bit := uint32(bits.TrailingZeros64(^info.used))
	info.used |= 1 << bit
	if info.used == ^uint64(0) {
		p.open, info.place = p.open[:len(p.open)-1], none
	}
	return g<<groupBits | bit
}

// grow opens another group.
func (p *pool[T]) grow() {
	var g uint32
	if n := len(p.vacant); n > 0 {
		g = p.vacant[n-1]
		p.vacant = p.vacant[:n-1]
	} else {
		g = uint32(len(p.groups))
		p.groups, p.infos = append(p.groups, nil), append(p.infos, groupInfo{})
	}
	p.groups[g] = new([groupLen]T)
	p.infos[g] = groupInfo{place: uint32(len(p.open))}
	p.open = append(p.open, g)
	p.spare = true
}

// drop gives an entry up.
func (p *pool[T]) drop(i uint32) {
	var zero T
	*p.at(i) = zero
	g := i >> groupBits
	info := &p.infos[g]
	info.used &^= 1 << (i & (groupLen - 1))
	if info.place == none {
		info.place = uint32(len(p.open))
		p.open = append(p.open, g)
	}
	if info.used != 0 {
		return
	}
	if !p.spare {
		p.spare = true
		return
	}
	last := p.open[len(p.open)-1]
	p.open[info.place], p.infos[last].place = last, info.place
	p.open = p.open[:len(p.open)-1]
	p.groups[g], info.place = nil, none
	p.vacant = append(p.vacant, g)
}
