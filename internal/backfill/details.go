package backfill

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"

	"github.com/chartpost/chartpost/schemas"
)

// details keeps what the last event of each line said: in a temporary file, and
// in memory eight bytes a line.
type details struct {
	file *os.File
	w    *bufio.Writer
	end  int64
	// at are the places in the file, and one more; 0 is none.
	at []int64
}

func newDetails(dir string, last int64) (*details, error) {
	file, err := os.CreateTemp(dir, "chartpost-report-*")
	if err != nil {
		return nil, fmt.Errorf("a temporary file for the report: %w", err)
	}
	_ = os.Remove(file.Name())
	return &details{file: file, w: bufio.NewWriterSize(file, 256<<10), at: make([]int64, last+1)}, nil
}

func (d *details) has(line int64) bool { return line < int64(len(d.at)) && d.at[line] > 0 }

// add notes an event; the last of a line counts.
func (d *details) add(line int64, event *schemas.Event) error {
	row := Row{JobID: event.Subject}
	row.from(event.Data, event.Time)
	data, err := json.Marshal(row)
	if err != nil {
		return err
	}
	record := append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...)
	if _, err := d.w.Write(record); err != nil {
		return fmt.Errorf("writing the temporary file of the report: %w", err)
	}
	d.at[line] = d.end + 1
	d.end += int64(len(record))
	return nil
}

// read fills in a row.
func (d *details) read(row *Row) error {
	if err := d.w.Flush(); err != nil {
		return fmt.Errorf("writing the temporary file of the report: %w", err)
	}
	at := d.at[row.Line] - 1
	var size [4]byte
	if _, err := d.file.ReadAt(size[:], at); err != nil {
		return fmt.Errorf("reading the temporary file of the report: %w", err)
	}
	data := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := d.file.ReadAt(data, at+int64(len(size))); err != nil {
		return fmt.Errorf("reading the temporary file of the report: %w", err)
	}
	line, id := row.Line, row.JobID
	if err := json.Unmarshal(data, row); err != nil {
		return fmt.Errorf("reading the temporary file of the report: %w", err)
	}
	if row.Line = line; id != "" {
		row.JobID = id
	}
	return nil
}

func (d *details) close() {
	_ = d.file.Close()
	_ = os.Remove(d.file.Name())
}
