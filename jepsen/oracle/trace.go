package oracle

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Kind says what a Record is about.
type Kind uint8

// The kinds of records.
const (
	// Dialled begins a connection; Data is the server's address.
	Dialled Kind = iota + 1
	// Sent is a frame of the client, without its length, noted before it was written.
	Sent
	// Received is a frame of the server, noted after it was read.
	Received
	// Ended says that nothing more of the connection counts.
	Ended
	kindEnd
)

// Record is one thing that happened on one connection.
type Record struct {
	Kind Kind
	Conn uint32 // numbers connections, from 1
	At   int64  // ns since the start of the run, one monotonic clock; never below the record before
	Data []byte
}

// A trace is a file of records, in the order in which they were noted:
//
//	"zktrace1" | record*
//	record: kind u8 | conn uvarint | ns since the record before uvarint | length uvarint | data
const magic = "zktrace1"

// maxRecord bounds the data of one record, in bytes: more than any frame that a server sends.
const maxRecord = 64 << 20

// ErrTrace is returned for bytes that are no trace.
var ErrTrace = errors.New("oracle: not a trace")

// Writer writes a trace. It does not buffer; one goroutine at a time.
type Writer struct {
	w    io.Writer
	last int64
	buf  []byte
	// Bytes is what was written so far.
	Bytes int64
}

// NewWriter begins a trace.
func NewWriter(w io.Writer) (*Writer, error) {
	n, err := io.WriteString(w, magic)
	if err != nil {
		return nil, fmt.Errorf("oracle: write trace: %w", err)
	}
	return &Writer{w: w, Bytes: int64(n)}, nil
}

// Write adds a record. A time below that of the record before counts as that one.
func (w *Writer) Write(r Record) error {
	r.At = max(r.At, w.last)
	w.buf = append(w.buf[:0], byte(r.Kind))
	w.buf = binary.AppendUvarint(w.buf, uint64(r.Conn))
	w.buf = binary.AppendUvarint(w.buf, uint64(r.At-w.last))
	w.buf = binary.AppendUvarint(w.buf, uint64(len(r.Data)))
	w.buf = append(w.buf, r.Data...)
	w.last = r.At
	n, err := w.w.Write(w.buf)
	w.Bytes += int64(n)
	if err != nil {
		return fmt.Errorf("oracle: write trace: %w", err)
	}
	return nil
}

// Read reads a whole trace. The error for bytes that are none is ErrTrace.
func Read(r io.Reader) ([]Record, error) {
	b := bufio.NewReader(r)
	var head [len(magic)]byte
	if _, err := io.ReadFull(b, head[:]); err != nil || string(head[:]) != magic {
		return nil, fmt.Errorf("%w: it does not begin with %q", ErrTrace, magic)
	}
	var records []Record
	var at int64
	for {
		record, err := readRecord(b, at)
		if errors.Is(err, io.EOF) {
			return records, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: record %d: %w", ErrTrace, len(records), err)
		}
		at = record.At
		records = append(records, record)
	}
}

// readRecord reads the record behind one of the given time; io.EOF is the end of the trace.
func readRecord(b *bufio.Reader, at int64) (Record, error) {
	kind, err := b.ReadByte()
	if err != nil {
		return Record{}, err
	}
	var numbers [3]uint64 // connection, time, length
	for i := range numbers {
		if numbers[i], err = binary.ReadUvarint(b); err != nil {
			return Record{}, cut(err)
		}
	}
	switch {
	case Kind(kind) == 0 || Kind(kind) >= kindEnd:
		return Record{}, fmt.Errorf("kind %d", kind)
	case numbers[0] > 1<<32-1:
		return Record{}, fmt.Errorf("connection %d", numbers[0])
	case numbers[1] > uint64(1<<62-at):
		return Record{}, fmt.Errorf("%d ns", numbers[1])
	case numbers[2] > maxRecord:
		return Record{}, fmt.Errorf("%d bytes", numbers[2])
	}
	record := Record{Kind: Kind(kind), Conn: uint32(numbers[0]), At: at + int64(numbers[1])}
	// The length is believed as far as there are bytes.
	if record.Data, err = io.ReadAll(io.LimitReader(b, int64(numbers[2]))); err != nil {
		return Record{}, err
	}
	if uint64(len(record.Data)) < numbers[2] {
		return Record{}, cut(io.EOF)
	}
	return record, nil
}

// cut is the error for a record that ends too early.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
