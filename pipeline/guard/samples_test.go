package guard

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/chartpost/chartpost/internal/fault"
)

// judge asks with the key and the type that the job states, as the pipeline does,
// and gives the type with its charset.
func judge(p Policy, key, job string, data []byte) (string, error) {
	v, err := p.Judge(fileOf(key, job, "", data))
	if err != nil {
		return "", err
	}
	return v.String(), nil
}

// fileOf is a file whose bytes are data.
func fileOf(key, job, store string, data []byte) File {
	return File{Key: key, Job: job, Store: store, Size: int64(len(data)), Read: func(offset, length int64) ([]byte, error) {
		return data[offset : offset+length], nil
	}}
}

func codeOf(err error) string {
	if err == nil {
		return ""
	}
	return fault.Of(err).Code
}

// moduleDir gives the directory of a module of go.mod.
func moduleDir(t testing.TB, module string) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func goroot(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func read(t testing.TB, path ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(path[len(path)-1], ".base64") {
		if data, err = base64.StdEncoding.DecodeString(strings.ReplaceAll(string(data), "\n", "")); err != nil {
			t.Fatal(err)
		}
	}
	return data
}

// noise is the same in every run, and no text.
func noise(n int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func join(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b = append(b, p...)
		case []byte:
			b = append(b, p...)
		}
	}
	return b
}

// makePDF gives a PDF with size bytes of incompressible stream.
func makePDF(size int, trailer string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%%PDF-1.7\n%%\xe2\xe3\xcf\xd3\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n2 0 obj\n<</Type/Pages/Kids[]/Count 0>>\nendobj\n")
	fmt.Fprintf(&b, "3 0 obj\n<</Length %d>>\nstream\n%s\nendstream\nendobj\n", size, noise(size))
	at := b.Len()
	fmt.Fprintf(&b, "xref\n0 1\n0000000000 65535 f \ntrailer\n<</Size 4/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n", trailer, at)
	return b.Bytes()
}

// makeXrefPDF gives a PDF whose trailer is a cross-reference stream.
func makeXrefPDF(entries string) []byte {
	return join("%PDF-1.5\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<</Type/Catalog>>\nendobj\n", noise(90_000),
		"\n9 0 obj\n<</Type/XRef/Size 10/W[1 2 1]/Root 1 0 R", entries, "/Length 900>>\nstream\n", noise(900), "\nendstream\nendobj\nstartxref\n90060\n%%EOF")
}

func makeZip(names ...string) []byte { return makeZipWith(300, names...) }

// makeZipWith gives a zip whose members hold size bytes each.
func makeZipWith(size int, names ...string) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range names {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err == nil {
			_, err = f.Write(noise(size))
		}
		if err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func makeOffice(main string, more ...string) []byte {
	return makeZip(append([]string{"[Content_Types].xml", "_rels/.rels", "docProps/app.xml", main}, more...)...)
}

func makeODF(kind string, more ...string) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	put := func(name, content string) {
		f, err := w.CreateRaw(&zip.FileHeader{Name: name, Method: zip.Store, UncompressedSize64: uint64(len(content)), CompressedSize64: uint64(len(content))})
		if err == nil {
			_, err = f.Write([]byte(content))
		}
		if err != nil {
			panic(err)
		}
	}
	put("mimetype", "application/vnd.oasis.opendocument."+kind)
	for _, name := range append([]string{"content.xml", "styles.xml", "Basic/script-lc.xml", "META-INF/manifest.xml"}, more...) {
		put(name, "<x/>")
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// makeOLE gives a compound file with its directory behind gap sectors. The
// names are those below the root, in a chain of right siblings, and behind an
// empty one those deeper down.
func makeOLE(gap int, class []byte, names ...string) []byte {
	return makeOLEIn(gap, 0, class, names...)
}

// makeOLEIn has the sectors of its directory apart from each other by so many.
func makeOLEIn(gap, apart int, class []byte, names ...string) []byte {
	const none, end, taken = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
	entry := func(name string, kind byte, right, child uint32) []byte {
		e := make([]byte, oleEntry)
		copy(e, wide(name))
		binary.LittleEndian.PutUint16(e[64:], uint16(2*len(name)+2))
		e[66] = kind
		binary.LittleEndian.PutUint32(e[68:], none)
		binary.LittleEndian.PutUint32(e[72:], right)
		binary.LittleEndian.PutUint32(e[76:], child)
		binary.LittleEndian.PutUint32(e[116:], end)
		return e
	}
	root := entry("Root Entry", 5, none, 1)
	copy(root[80:], class)
	dir := root
	for i, name := range names {
		right := uint32(i + 2)
		if i == len(names)-1 || names[i+1] == "" {
			right = none
		}
		dir = append(dir, entry(name, 2, right, none)...)
	}
	for len(dir)%512 != 0 {
		dir = append(dir, make([]byte, oleEntry)...)
	}
	sectors := gap + len(dir)/512*(1+apart) + 4
	fatSectors := (sectors + 127) / 128
	sectors += fatSectors
	fatSectors = (sectors + 127) / 128
	body := noise(sectors * 512)
	fat := bytes.Repeat([]byte{0xFF}, fatSectors*512)
	next := func(sector int, to uint32) { binary.LittleEndian.PutUint32(fat[4*sector:], to) }
	for i := 0; i < len(dir)/512; i++ {
		at := gap + i*(1+apart)
		copy(body[at*512:], dir[i*512:(i+1)*512])
		next(at, uint32(at+1+apart))
		if (i+1)*512 == len(dir) {
			next(at, end)
		}
	}
	head := make([]byte, 512)
	copy(head, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
	binary.LittleEndian.PutUint16(head[26:], 3)
	binary.LittleEndian.PutUint16(head[28:], 0xFFFE)
	binary.LittleEndian.PutUint16(head[30:], 9)
	binary.LittleEndian.PutUint16(head[32:], 6)
	binary.LittleEndian.PutUint32(head[44:], uint32(fatSectors))
	binary.LittleEndian.PutUint32(head[48:], uint32(gap))
	binary.LittleEndian.PutUint32(head[56:], 4096)
	binary.LittleEndian.PutUint32(head[60:], end)
	binary.LittleEndian.PutUint32(head[68:], end)
	for i := 76; i < 512; i += 4 {
		binary.LittleEndian.PutUint32(head[i:], none)
	}
	for i := range fatSectors {
		at := sectors - fatSectors + i
		next(at, taken)
		binary.LittleEndian.PutUint32(head[76+4*i:], uint32(at))
	}
	for i := range fatSectors {
		copy(body[(sectors-fatSectors+i)*512:], fat[i*512:(i+1)*512])
	}
	return join(head, body)
}

func wide(s string) []byte {
	out := make([]byte, 0, 2*len(s))
	for i := range len(s) {
		out = append(out, s[i], 0)
	}
	return out
}

func picture() image.Image {
	m := image.NewPaletted(image.Rect(0, 0, 160, 120), color.Palette{color.Black, color.White, color.RGBA{200, 60, 50, 255}})
	for i, c := range noise(len(m.Pix)) {
		m.Pix[i] = c % 3
	}
	return m
}

func makeJPEG() []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, picture(), nil); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func makePNG() []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, picture()); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func makeGIF() []byte {
	var b bytes.Buffer
	if err := gif.Encode(&b, picture(), nil); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func makeFtyp(brand string) []byte {
	return join("\x00\x00\x00\x18ftyp", brand, "\x00\x00\x02\x00", brand, "mif1", "\x00\x00\x4e\x20mdat", noise(20_000))
}

func makeMP3() []byte {
	frame := join("\xff\xfb\x90\x00", make([]byte, 413)) // 128 kbit/s, 44.1 kHz: 417 bytes
	return bytes.Repeat(frame, 30)
}

// makeDICOM gives elements with explicit values, with or without the prefix.
func makeDICOM(prefix bool) []byte {
	var b []byte
	put := func(group, element uint16, vr, value string) {
		b = binary.LittleEndian.AppendUint16(b, group)
		b = binary.LittleEndian.AppendUint16(b, element)
		b = append(b, vr...)
		b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
		b = append(b, value...)
	}
	if prefix {
		b = append(make([]byte, 128), "DICM"...)
		put(2, 0, "UL", "\x10\x00\x00\x00")
		put(2, 0x10, "UI", "1.2.840.10008.1.2.1\x00")
	}
	put(8, 5, "CS", "ISO_IR 100")
	put(8, 8, "CS", `ORIGINAL\PRIMARY`)
	put(8, 0x16, "UI", "1.2.840.10008.5.1.4.1.1.7\x00")
	put(0x10, 0x10, "PN", "Canary^Test ")
	return join(b, noise(9000))
}

// makePE gives a Windows program of which the first 4 KB are right.
func makePE() []byte {
	b := make([]byte, 6000)
	copy(b, "MZ\x90\x00\x03")
	b[0x3C] = 0x80
	copy(b[0x80:], "PE\x00\x00\x64\x86")
	return b
}

func utf16(s string) []byte { return join("\xff\xfe", wide(s)) }

// sourceDir is that of this package.
func sourceDir(t testing.TB) string {
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("no caller")
	}
	return filepath.Dir(file)
}

func glob(t testing.TB, pattern ...string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(pattern...))
	if err != nil || len(found) == 0 {
		t.Fatalf("no files match %v: %v", pattern, err)
	}
	slices.Sort(found)
	return found
}

// makePackage gives a zip of names and what they hold in turn, packed.
func makePackage(pairs ...string) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		f, err := w.Create(pairs[i])
		if err == nil {
			_, err = f.Write([]byte(pairs[i+1]))
		}
		if err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}
