package cost

import (
	"encoding/binary"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// instructions counts the instructions that the calling thread executes outside of the kernel.
type instructions struct {
	file int // of perf_event_open; -1 if the machine does not count
}

// countInstructions begins to count. The goroutine stays on its thread until close.
func countInstructions() instructions {
	runtime.LockOSThread()
	attributes := unix.PerfEventAttr{
		Type: unix.PERF_TYPE_HARDWARE, Config: unix.PERF_COUNT_HW_INSTRUCTIONS,
		Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})), Bits: unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv,
	}
	const thisThread, anyCPU, noGroup = 0, -1, -1
	file, err := unix.PerfEventOpen(&attributes, thisThread, anyCPU, noGroup, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil { // a virtual machine without counters, or kernel.perf_event_paranoid
		file = -1
	}
	return instructions{file}
}

// read returns the number so far. It reports false if the machine does not count.
func (i instructions) read() (int64, bool) {
	var count [8]byte
	if i.file < 0 {
		return 0, false
	}
	if n, err := unix.Read(i.file, count[:]); err != nil || n != len(count) {
		return 0, false
	}
	return int64(binary.NativeEndian.Uint64(count[:])), true
}

func (i instructions) close() {
	if i.file >= 0 {
		_ = unix.Close(i.file) // nothing is written to it
	}
	runtime.UnlockOSThread()
}
