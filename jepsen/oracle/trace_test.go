package oracle_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/zabkeeper/zabkeeper/jepsen/oracle"
)

func written(t *testing.T, records []oracle.Record) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := oracle.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if w.Bytes != int64(b.Len()) {
		t.Errorf("%d bytes counted, %d written", w.Bytes, b.Len())
	}
	return b.Bytes()
}

func TestATraceReadsAsItWasWritten(t *testing.T) {
	records := goodStory(t).records
	got, err := oracle.Read(bytes.NewReader(written(t, records)))
	if err != nil || len(got) != len(records) {
		t.Fatalf("got %d records and %v, want %d", len(got), err, len(records))
	}
	for i := range got {
		if got[i].Kind != records[i].Kind || got[i].Conn != records[i].Conn || got[i].At != records[i].At || !bytes.Equal(got[i].Data, records[i].Data) {
			t.Errorf("record %d: got %+v, want %+v", i, got[i], records[i])
		}
	}
}

// Bytes that are no trace are refused, wherever they are cut or broken.
func TestABrokenTraceIsRefused(t *testing.T) {
	whole := written(t, []oracle.Record{{Kind: oracle.Dialled, Conn: 1, At: 5, Data: []byte("server")}})
	for i := range len(whole) {
		if i == len("zktrace1") {
			continue // no records
		}
		if _, err := oracle.Read(bytes.NewReader(whole[:i])); !errors.Is(err, oracle.ErrTrace) {
			t.Errorf("cut to %d bytes: got %v, want ErrTrace", i, err)
		}
	}
	for _, tail := range []string{
		"\x00\x01\x00\x00", "\x05\x01\x00\x00", "\x01\xff\xff\xff\xff\xff\x01\x00\x00", "\x01\x01\x00\xff\xff\xff\xff\x7f",
		"\x01\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00", "\x01\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00",
	} {
		if _, err := oracle.Read(bytes.NewReader(append(whole[:len(whole):len(whole)], tail...))); !errors.Is(err, oracle.ErrTrace) {
			t.Errorf("%x: got %v, want ErrTrace", tail, err)
		}
	}
}

type full struct{ room int }

func (f *full) Write(b []byte) (int, error) {
	if f.room -= len(b); f.room < 0 {
		return 0, errFull
	}
	return len(b), nil
}

var errFull = errors.New("no space left")

func TestAFullDiskIsTold(t *testing.T) {
	if _, err := oracle.NewWriter(&full{}); !errors.Is(err, errFull) {
		t.Errorf("got %v, want %v", err, errFull)
	}
	w, err := oracle.NewWriter(&full{room: 10})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(oracle.Record{Kind: oracle.Ended, Conn: 1}); !errors.Is(err, errFull) {
		t.Errorf("got %v, want %v", err, errFull)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("zktrace1\x01\x01\x05\x06server"))
	f.Fuzz(func(t *testing.T, b []byte) {
		records, err := oracle.Read(bytes.NewReader(b))
		if err != nil {
			return
		}
		again, err := oracle.Read(bytes.NewReader(written(t, records)))
		if err != nil || fmt.Sprint(again) != fmt.Sprint(records) {
			t.Fatalf("%v written and read is %v, %v", records, again, err)
		}
		oracle.Check(nil, records, oracle.Options{}) // must not panic, whatever clients seem to have done
	})
}
