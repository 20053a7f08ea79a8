package guard

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/rc4"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
)

// passwordPad fills passwords up, and is the empty one (ISO 32000-1, 7.6.3.3,
// algorithm 2).
const passwordPad = "\x28\xBF\x4E\x5E\x4E\x75\x8A\x41\x64\x00\x4E\x56\xFF\xFA\x01\x08\x2E\x2E\x00\xB6\xD0\x68\x3E\x80\x2F\x0C\xA9\xFE\x64\x53\x69\x7A"

// opensWithoutPassword reports whether the empty user password opens a document:
// its owner has forbidden something, such as printing, and every reader shows
// it. Only the standard security handler is known.
func opensWithoutPassword(d pdfDict, id []byte) bool {
	r, _ := d["R"].(int64)
	u, _ := d["U"].(pdfString)
	if d["Filter"] != pdfName("Standard") {
		return false
	}
	switch r {
	case 2, 3, 4:
		return opensByMD5(d, r, u, id)
	case 5:
		if len(u) < 40 {
			return false
		}
		sum := sha256.Sum256(u[32:40])
		return bytes.Equal(sum[:], u[:32])
	case 6:
		return len(u) >= 40 && bytes.Equal(hardened(u[32:40]), u[:32])
	}
	return false
}

// opensByMD5 is algorithms 2, 4 and 5 of ISO 32000-1, 7.6.3.
func opensByMD5(d pdfDict, r int64, u, id []byte) bool {
	o, _ := d["O"].(pdfString)
	if len(o) < 32 || len(u) < 16 || r == 2 && len(u) < 32 {
		return false
	}
	permissions, _ := d["P"].(int64)
	bits, ok := d["Length"].(int64)
	v, _ := d["V"].(int64)
	switch {
	case v >= 4:
		bits = 128
	case !ok || r == 2:
		bits = 40
	}
	if bits < 40 || bits > 128 {
		return false
	}
	h := md5.New()
	h.Write([]byte(passwordPad))
	h.Write(o[:32])
	h.Write(binary.LittleEndian.AppendUint32(nil, uint32(permissions)))
	h.Write(id)
	if r >= 4 && d["EncryptMetadata"] == "false" {
		h.Write([]byte{0xFF, 0xFF, 0xFF, 0xFF})
	}
	key := h.Sum(nil)[:bits/8]
	if r == 2 {
		return bytes.Equal(rc4Of(key, []byte(passwordPad)), u[:32])
	}
	for range 50 {
		sum := md5.Sum(key)
		key = sum[:bits/8]
	}
	sum := md5.Sum(append([]byte(passwordPad), id...))
	out := sum[:]
	for i := range byte(20) {
		turned := bytes.Clone(key)
		for j := range turned {
			turned[j] ^= i
		}
		out = rc4Of(turned, out)
	}
	return bytes.Equal(out, u[:16])
}

func rc4Of(key, b []byte) []byte {
	c, err := rc4.NewCipher(key)
	if err != nil {
		return nil
	}
	out := make([]byte, len(b))
	c.XORKeyStream(out, b)
	return out
}

// hardened is algorithm 2.B of ISO 32000-2, 7.6.4.3.4, for the empty password.
func hardened(salt []byte) []byte {
	sum := sha256.Sum256(salt)
	k := sum[:]
	for round := 0; ; round++ {
		e := bytes.Repeat(k, 64)
		block, err := aes.NewCipher(k[:16])
		if err != nil {
			return nil
		}
		cipher.NewCBCEncrypter(block, k[16:32]).CryptBlocks(e, e)
		rest := 0
		for _, c := range e[:16] {
			rest += int(c)
		}
		switch rest % 3 {
		case 0:
			sum := sha256.Sum256(e)
			k = sum[:]
		case 1:
			sum := sha512.Sum384(e)
			k = sum[:]
		case 2:
			sum := sha512.Sum512(e)
			k = sum[:]
		}
		if round >= 63 && int(e[len(e)-1]) <= round-31 {
			return k[:32]
		}
	}
}
