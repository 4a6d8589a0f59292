package differ

import (
	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
)

// zxids gives the zxids that scripts name.
type zxids struct{ mark, last int64 }

// appendBody appends the body of a request.
func (r *Request) appendBody(dst []byte, z zxids) []byte {
	start := len(dst)
	switch {
	case r.HasRaw:
		dst = append(dst, r.Raw...)
	case isMulti(r.Op):
		for i := range r.Items {
			dst = appendMultiHeader(dst, r.Items[i].Op, false)
			dst = r.Items[i].appendBody(dst, z)
		}
		dst = appendMultiHeader(dst, proto.OpError, true)
	default:
		for i, k := range fieldsOf[r.Op] {
			if i < len(r.Args) {
				dst = r.Args[i].append(dst, k, z)
			}
		}
	}
	for range -r.Cut {
		dst = append(dst, padding)
	}
	return dst[:max(start, len(dst)-max(0, r.Cut))]
}

// padding is what over-long bodies are filled with.
const padding = 0x5a

func appendMultiHeader(dst []byte, op proto.Op, done bool) []byte {
	return jute.AppendInt(jute.AppendBool(jute.AppendInt(dst, int32(op)), done), -1)
}

func (a *Arg) append(dst []byte, k kind, z zxids) []byte {
	switch {
	case k == kFlag:
		return append(dst, byte(a.N))
	case k == kNum:
		return jute.AppendInt(dst, int32(a.N))
	case k == kLong:
		return jute.AppendLong(dst, a.N)
	case k == kZxid:
		return jute.AppendLong(dst, map[string]int64{"": a.N, "mark": z.mark, "last": z.last}[a.Name])
	case a.Null:
		return jute.AppendNull(dst)
	case k == kACL:
		dst = jute.AppendCount(dst, len(a.ACL))
		for i := range a.ACL {
			dst = jute.AppendInt(dst, a.ACL[i].Perms)
			dst = a.ACL[i].Scheme.append(dst, kStr, z)
			dst = a.ACL[i].ID.append(dst, kStr, z)
		}
	case k == kStrs:
		dst = jute.AppendCount(dst, len(a.List))
		for _, s := range a.List {
			dst = jute.AppendString(dst, s)
		}
	default:
		dst = jute.AppendString(dst, a.Text)
	}
	return dst
}
