package clock

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Clock is the wall clock of a process.
type Clock struct {
	pid    int
	offset int64 // where the offset is in its memory
}

// errBusy is returned when a thread of the process is reading the clock.
var errBusy = errors.New("clock: a thread is reading the clock, try again")

// Take puts the clock of a process into our hands; it goes on to tell the true time. The process
// must be stopped by SIGSTOP. When a thread was stopped while it read the clock an error for
// which Busy is true is returned: let it go on and try again.
func Take(pid int) (*Clock, error) {
	page, base, err := vdso(pid)
	if err != nil {
		return nil, err
	}
	file, err := elf.NewFile(bytes.NewReader(page))
	if err != nil {
		return nil, fmt.Errorf("clock: vDSO: %w", err)
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return nil, fmt.Errorf("clock: vDSO: %w", err)
	}
	entry := int64(-1)
	for _, s := range symbols {
		if s.Name == "__vdso_clock_gettime" {
			entry = int64(s.Value)
		}
	}
	// The section headers at the end are of no use to anybody at run time: room for our function.
	const sectionHeaders, headerSize = 40, 58 // e_shoff, e_shentsize of an ELF header
	room := int64(binary.LittleEndian.Uint64(page[sectionHeaders:]))
	space := int64(binary.LittleEndian.Uint16(page[headerSize:])) * int64(len(file.Sections))
	if entry < 0 || room <= 0 || room+space > int64(len(page)) || space < int64(len(function)+offsetLen) {
		return nil, errors.New("clock: the vDSO has no clock_gettime, or no room")
	}
	if err := resting(pid, base, base+int64(len(page))); err != nil {
		return nil, err
	}
	jump := binary.LittleEndian.AppendUint32([]byte{jmp}, uint32(int32(room-entry-jmpLen)))
	// Our function must be there before anything leads to it.
	if err := errors.Join(write(pid, base+room, append(bytes.Clone(function), make([]byte, offsetLen)...)), write(pid, base+entry, jump)); err != nil {
		return nil, err
	}
	return &Clock{pid: pid, offset: base + room + int64(len(function))}, nil
}

// Busy reports whether Take may succeed when it is tried again.
func Busy(err error) bool { return errors.Is(err, errBusy) }

// Set puts the clock so many seconds ahead of the true time, or behind it. The process need not be
// stopped.
func (c *Clock) Set(seconds int64) error {
	return write(c.pid, c.offset, binary.LittleEndian.AppendUint64(nil, uint64(seconds)))
}

const (
	jmp       = 0xe9 // jmp rel32
	jmpLen    = 5
	offsetLen = 8
)

// function is clock_gettime(clock in edi, timespec in rsi) with the offset, in seconds, right behind
// it. Its length is a multiple of eight, so that the offset changes in one piece.
var function = []byte{
	0xb8, 0xe4, 0x00, 0x00, 0x00, // mov  eax, 228 (clock_gettime)
	0x0f, 0x05, //                   syscall
	0x85, 0xff, //                   test edi, edi (CLOCK_REALTIME is 0)
	0x75, 0x0a, //                   jne  +10, to ret
	0x48, 0x8b, 0x0d, 0x0e, 0x00, 0x00, 0x00, // mov  rcx, [rip+14], the offset
	0x48, 0x01, 0x0e, //             add  [rsi], rcx
	0xc3,                                     // ret
	0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, // up to the multiple of eight
	0x90, 0x90, 0x90,
}

// vdso returns the vDSO of a process and where it lies.
func vdso(pid int) (page []byte, base int64, err error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil, 0, fmt.Errorf("clock: %w", err)
	}
	for line := range strings.Lines(string(maps)) {
		if !strings.HasSuffix(strings.TrimSpace(line), "[vdso]") {
			continue
		}
		var low, high int64
		if _, err := fmt.Sscanf(line, "%x-%x", &low, &high); err != nil {
			return nil, 0, fmt.Errorf("clock: maps: %q: %w", line, err)
		}
		page = make([]byte, high-low)
		mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
		if err != nil {
			return nil, 0, fmt.Errorf("clock: %w", err)
		}
		defer mem.Close() //nolint:errcheck // it was read only
		if _, err := mem.ReadAt(page, low); err != nil {
			return nil, 0, fmt.Errorf("clock: read the vDSO: %w", err)
		}
		return page, low, nil
	}
	return nil, 0, fmt.Errorf("clock: process %d has no vDSO", pid)
}

// resting makes sure that no thread of a stopped process is between two addresses.
func resting(pid int, low, high int64) error {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", pid))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("clock: no threads of process %d (%w)", pid, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("clock: %w", err)
		}
		fields := strings.Fields(string(text)) // the last one is the program counter
		at, err := strconv.ParseUint(strings.TrimPrefix(fields[len(fields)-1], "0x"), 16, 64)
		if err != nil || int64(at) >= low && int64(at) < high {
			return errBusy
		}
	}
	return nil
}

// write writes into the memory of a process.
func write(pid int, at int64, b []byte) error {
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("clock: %w", err)
	}
	_, err = mem.WriteAt(b, at)
	if err = errors.Join(err, mem.Close()); err != nil {
		return fmt.Errorf("clock: write to process %d: %w", pid, err)
	}
	return nil
}
