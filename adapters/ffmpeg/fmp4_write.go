package ffmpeg

import "encoding/binary"

// writeMoof writes the moof box for samples of track 1 and the header of the mdat box that follows it, which is size
// bytes long. Pictures have flags and a composition offset each; every sample of sound is a sync sample.
func writeMoof(sequence uint32, decodeTime uint64, samples []sample, size int, pictures bool) []byte {
	const fixed = 8 + 16 + 8 + 16 + 20 + 20 // moof, mfhd, traf, tfhd, tfdt, trun
	flags, fields := uint32(trunDataOffset|trunDuration|trunSize), 2
	if pictures {
		flags, fields = flags|trunFlags|trunCTS|1<<24, 4 // version 1: offsets are signed
	}
	u32 := binary.BigEndian.AppendUint32
	moof := fixed + 4*fields*len(samples)
	header := func(b []byte, size int, kind string) []byte { return append(u32(b, uint32(size)), kind...) } //nolint:gosec // small
	b := header(make([]byte, 0, moof+8+size), moof, "moof")
	b = header(b, 16, "mfhd")
	b = u32(u32(b, 0), sequence)
	b = header(b, moof-24, "traf")
	b = header(b, 16, "tfhd")
	b = u32(u32(b, 0x020000), 1) // default-base-is-moof
	b = header(b, 20, "tfdt")
	b = binary.BigEndian.AppendUint64(u32(b, 1<<24), decodeTime)
	b = header(b, 20+4*fields*len(samples), "trun")
	b = u32(b, flags)
	b = u32(b, uint32(len(samples))) //nolint:gosec // small
	b = u32(b, uint32(moof+8))       //nolint:gosec // small
	for _, s := range samples {
		b = u32(u32(b, s.duration), s.size)
		if pictures {
			b = u32(u32(b, sampleFlags(s.sync)), uint32(s.offset)) //nolint:gosec // two's complement
		}
	}
	return header(b, size+8, "mdat")
}

// sampleFlags says whether other samples are needed to decode this one (ISO/IEC 14496-12, 8.8.3.1).
func sampleFlags(sync bool) uint32 {
	if sync {
		return 0x02000000 // depends on no other
	}
	return 0x01000000 | sampleNotSync
}
