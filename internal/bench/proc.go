package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// ticks is how many a second /proc counts CPU time in: USER_HZ, which is 100 in
// every ABI that Go runs on.
const ticks = 100

// cpuOf is the CPU time that a process has used, in user and system mode.
func cpuOf(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseStat(stat)
}

// parseStat reads fields 14 and 15 of proc_pid_stat(5). Field 2, the program's
// name in parentheses, may hold anything.
func parseStat(stat []byte) (time.Duration, error) {
	at := bytes.LastIndexByte(stat, ')')
	fields := strings.Fields(string(stat[at+1:]))
	if at < 0 || len(fields) < 13 {
		return 0, errors.New("/proc/pid/stat has another form")
	}
	var sum int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/pid/stat: %w", err)
		}
		sum += n
	}
	return time.Duration(sum) * time.Second / ticks, nil
}

// peakOf is the most resident memory that a process has had, in bytes.
func peakOf(pid int) (int64, error) { return statusLine(pid, "VmHWM:") }

func statusLine(pid int, name string) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return parseStatus(string(status), name)
}

// parseStatus reads a line of proc_pid_status(5), in bytes.
func parseStatus(status, name string) (int64, error) {
	for line := range strings.Lines(status) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == name && fields[2] == "kB" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/pid/status has no line %s", name)
}
