package proto_test

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
)

// generators holds one for every record of the package but the bodies of transactions.
var generators = map[string]func(t *rapid.T) proto.Record{
	"ConnectRequest": func(t *rapid.T) proto.Record {
		r := &proto.ConnectRequest{
			ProtocolVersion: genInt(t), LastZxidSeen: genZxid(t), TimeOut: genInt(t),
			SessionID: proto.SessionID(genLong(t)), Passwd: genBuffer(t), HasReadOnly: genBool(t),
		}
		r.ReadOnly = r.HasReadOnly && genBool(t)
		return r
	},
	"ConnectResponse": func(t *rapid.T) proto.Record {
		id := proto.SessionID(genLong(t))
		r := &proto.ConnectResponse{
			ProtocolVersion: genInt(t), TimeOut: genInt(t), SessionID: id, Passwd: proto.Password(id), HasReadOnly: genBool(t),
		}
		r.ReadOnly = r.HasReadOnly && genBool(t)
		return r
	},
	"RequestHeader": func(t *rapid.T) proto.Record {
		return &proto.RequestHeader{Xid: proto.Xid(genInt(t)), Op: proto.Op(genInt(t))}
	},
	"ReplyHeader": func(t *rapid.T) proto.Record {
		return &proto.ReplyHeader{Xid: proto.Xid(genInt(t)), Zxid: genZxid(t), Err: proto.Code(genInt(t))}
	},
	"ErrorResponse": func(t *rapid.T) proto.Record { return &proto.ErrorResponse{Err: proto.Code(genInt(t))} },
	"WatcherEvent": func(t *rapid.T) proto.Record {
		return &proto.WatcherEvent{
			Type: proto.EventType(genInt(t)), State: proto.EventState(genInt(t)), Path: genString(t),
		}
	},
	"ID":               func(t *rapid.T) proto.Record { return &proto.ID{Scheme: genString(t), ID: genString(t)} },
	"ACL":              func(t *rapid.T) proto.Record { return &proto.ACL{Perms: proto.Perms(genInt(t))} },
	"Stat":             func(t *rapid.T) proto.Record { s := genStat(t); return &s },
	"CreateRequest":    func(t *rapid.T) proto.Record { return genCreate(t) },
	"CreateTTLRequest": func(t *rapid.T) proto.Record { return genCreateTTL(t) },
	"DeleteRequest": func(t *rapid.T) proto.Record {
		return &proto.DeleteRequest{Path: genString(t), Version: genInt(t)}
	},
	"DeleteContainerRequest": func(t *rapid.T) proto.Record {
		return &proto.DeleteContainerRequest{Path: genString(t)}
	},
	"SetDataRequest": func(t *rapid.T) proto.Record {
		return &proto.SetDataRequest{Path: genString(t), Data: genBuffer(t), Version: genInt(t)}
	},
	"SetACLRequest": func(t *rapid.T) proto.Record {
		return &proto.SetACLRequest{Path: genString(t), ACL: genNullACL(t), Version: genInt(t)}
	},
	"CheckVersionRequest": func(t *rapid.T) proto.Record {
		return &proto.CheckVersionRequest{Path: genString(t), Version: genInt(t)}
	},
	"ReconfigRequest": func(t *rapid.T) proto.Record {
		return &proto.ReconfigRequest{
			JoiningServers: genNullString(t), LeavingServers: genNullString(t), NewMembers: genNullString(t),
			CurConfigID: genZxid(t),
		}
	},
	"ReadRequest": func(t *rapid.T) proto.Record { return &proto.ReadRequest{Path: genString(t), Watch: genBool(t)} },
	"PathRequest": func(t *rapid.T) proto.Record { return &proto.PathRequest{Path: genString(t)} },
	"SyncRequest": func(t *rapid.T) proto.Record { return &proto.SyncRequest{Path: genNullString(t)} },
	"GetEphemeralsRequest": func(t *rapid.T) proto.Record {
		return &proto.GetEphemeralsRequest{PrefixPath: genString(t)}
	},
	"RemoveWatchesRequest": func(t *rapid.T) proto.Record {
		return &proto.RemoveWatchesRequest{Path: genString(t), Type: proto.WatcherType(genInt(t))}
	},
	"AddWatchRequest": func(t *rapid.T) proto.Record {
		return &proto.AddWatchRequest{Path: genString(t), Mode: proto.AddWatchMode(genInt(t))}
	},
	"SetWatches": func(t *rapid.T) proto.Record { s := genSetWatches(t); return &s },
	"SetWatches2": func(t *rapid.T) proto.Record {
		return &proto.SetWatches2{SetWatches: genSetWatches(t), Persistent: genStrings(t), PersistentRecursive: genStrings(t)}
	},
	"AuthPacket": func(t *rapid.T) proto.Record {
		return &proto.AuthPacket{Type: genInt(t), Scheme: genString(t), Auth: genBuffer(t)}
	},
	"SASLToken":      func(t *rapid.T) proto.Record { return &proto.SASLToken{Token: genBuffer(t)} },
	"CreateResponse": func(t *rapid.T) proto.Record { return &proto.CreateResponse{Path: genString(t)} },
	"Create2Response": func(t *rapid.T) proto.Record {
		return &proto.Create2Response{Path: genString(t), Stat: genStat(t)}
	},
	"StatResponse": func(t *rapid.T) proto.Record { return &proto.StatResponse{Stat: genStat(t)} },
	"GetDataResponse": func(t *rapid.T) proto.Record {
		return &proto.GetDataResponse{Data: genBuffer(t), Stat: genStat(t)}
	},
	"GetACLResponse": func(t *rapid.T) proto.Record {
		return &proto.GetACLResponse{ACL: genNullACL(t), Stat: genStat(t)}
	},
	"GetChildrenResponse": func(t *rapid.T) proto.Record {
		return &proto.GetChildrenResponse{Children: genStrings(t)}
	},
	"GetChildren2Response": func(t *rapid.T) proto.Record {
		return &proto.GetChildren2Response{Children: genStrings(t), Stat: genStat(t)}
	},
	"SyncResponse": func(t *rapid.T) proto.Record { return &proto.SyncResponse{Path: genNullString(t)} },
	"GetAllChildrenNumberResponse": func(t *rapid.T) proto.Record {
		return &proto.GetAllChildrenNumberResponse{TotalNumber: genInt(t)}
	},
	"GetEphemeralsResponse": func(t *rapid.T) proto.Record {
		return &proto.GetEphemeralsResponse{Ephemerals: genStrings(t)}
	},
	"ClientInfo": func(t *rapid.T) proto.Record {
		return &proto.ClientInfo{AuthScheme: genString(t), User: genString(t)}
	},
	"WhoAmIResponse": func(t *rapid.T) proto.Record {
		r := &proto.WhoAmIResponse{}
		for _, s := range genStrings(t) {
			r.ClientInfo = append(r.ClientInfo, proto.ClientInfo{AuthScheme: s, User: genString(t)})
		}
		return r
	},
	"MultiHeader": func(t *rapid.T) proto.Record {
		return &proto.MultiHeader{Type: proto.Op(genInt(t)), Done: genBool(t), Err: proto.Code(genInt(t))}
	},
	"MultiRequest":  func(t *rapid.T) proto.Record { return genMulti(t) },
	"MultiResponse": func(t *rapid.T) proto.Record { return genMultiResponse(t) },
}

// Every record comes back as it went, and every shorter run of its bytes is an error or, where
// a record ends in something optional, another record; never a panic.
func TestRecordsRoundTrip(t *testing.T) {
	for name, gen := range generators {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				rec := gen(rt)
				b := rec.Append(nil)
				if got := decode(rt, b, rec); !reflect.DeepEqual(got, rec) {
					rt.Fatalf("decoded %#v, want %#v", got, rec)
				}
				checkTruncated(rt, rec, b)
			})
		})
	}
}

func checkTruncated(t *rapid.T, rec proto.Record, b []byte) {
	if len(b) == 0 {
		return
	}
	cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
	c := jute.NewCursor(b[:cut])
	short := reflect.New(reflect.TypeOf(rec).Elem()).Interface().(proto.Record)
	if m, ok := rec.(*proto.MultiRequest); ok {
		short.(*proto.MultiRequest).Read = m.Read
	}
	short.Decode(&c)
	if optionalTail(rec) && cut == len(b)-1 {
		if c.Err() != nil {
			t.Fatalf("without its optional last byte: %v", c.Err())
		}
		return
	}
	if !errors.Is(c.Err(), jute.ErrMalformed) {
		t.Fatalf("%d of %d bytes decode without an error", cut, len(b))
	}
}

func optionalTail(rec proto.Record) bool {
	switch r := rec.(type) {
	case *proto.ConnectRequest:
		return r.HasReadOnly
	case *proto.ConnectResponse:
		return r.HasReadOnly
	}
	return false
}

func TestTxnsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		txn := genTxn(t)
		b := proto.AppendTxn([]byte("kept"), &txn)[4:]
		got, err := proto.DecodeTxn(b)
		if err != nil || !reflect.DeepEqual(got, txn) {
			t.Fatalf("decoded %+v, %v, want %+v", got, err, txn)
		}
		cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
		if _, err := proto.DecodeTxn(b[:cut]); err == nil {
			whole := len(b)
			if txn.HasDigest {
				whole -= 12
			}
			if old := txn.Type == proto.OpCloseSession && cut == 32; cut < whole && !old {
				t.Fatalf("%d of %d bytes of a transaction decode without an error", cut, whole)
			}
		}
	})
}

// Decode must overwrite whatever the record held before.
func TestDecodeOverwrites(t *testing.T) {
	for name, gen := range generators {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				rec, want := gen(rt), gen(rt)
				if r, ok := rec.(*proto.MultiRequest); ok {
					r.Read = want.(*proto.MultiRequest).Read
				}
				c := jute.NewCursor(want.Append(nil))
				rec.Decode(&c)
				if c.Err() != nil || !reflect.DeepEqual(rec, want) {
					rt.Fatalf("decoded %#v, %v, want %#v", rec, c.Err(), want)
				}
				if !bytes.Equal(rec.Append(nil), want.Append(nil)) {
					rt.Fatalf("encodings differ")
				}
			})
		})
	}
}
