package streamcheck

import (
	"fmt"
	"math/bits"
	"strings"

	"github.com/Eyevinn/mp4ff/avc"
	"github.com/Eyevinn/mp4ff/hevc"
	"github.com/Eyevinn/mp4ff/mp4"
)

// sampleEntry is what a sample description says of its samples.
type sampleEntry struct {
	format        string // four characters: avc1, mp4a
	codec         string // RFC 6381
	width, height int    // of the sample entry
	coded         [2]int // of the parameter sets; 0 where they are not read
	aspect        [2]uint32
	profile       int
	level         int // AVC: 41 for 4.1; HEVC: 123 for 4.1; AV1: index
	bitDepth      int
	chroma        int // 1 for 4:2:0
	interlaced    bool
	transfer      int // colour transfer characteristics (ISO/IEC 23091-2); 2 for unknown
	channels      int
	lengthSize    int // bytes of the length before a NAL unit
}

func (s sampleEntry) avc() bool  { return s.format == "avc1" || s.format == "avc3" }
func (s sampleEntry) hevc() bool { return s.format == "hvc1" || s.format == "hev1" }
func (s sampleEntry) aac() bool  { return strings.HasPrefix(s.codec, "mp4a.40.") }

func readSampleEntry(stsd *mp4.StsdBox) sampleEntry {
	s := sampleEntry{transfer: 2, lengthSize: 4}
	if len(stsd.Children) == 0 {
		return s
	}
	s.format = stsd.Children[0].Type()
	s.codec = s.format
	switch e := stsd.Children[0].(type) {
	case *mp4.VisualSampleEntryBox:
		s.width, s.height = int(e.Width), int(e.Height)
		if e.Pasp != nil {
			s.aspect = [2]uint32{e.Pasp.HSpacing, e.Pasp.VSpacing}
		}
		switch {
		case e.AvcC != nil:
			s.readAVC(e.AvcC)
		case e.HvcC != nil:
			s.readHEVC(e.HvcC)
		case e.Av1C != nil:
			s.readAV1(e.Av1C)
		}
	case *mp4.AudioSampleEntryBox:
		s.channels = int(e.ChannelCount)
		if e.Esds != nil {
			s.readAAC(e.Esds)
		}
	}
	return s
}

func (s *sampleEntry) readAVC(c *mp4.AvcCBox) {
	r := c.DecConfRec
	s.codec = fmt.Sprintf("%s.%02x%02x%02x", s.format, r.AVCProfileIndication, r.ProfileCompatibility, r.AVCLevelIndication)
	s.profile, s.level, s.bitDepth, s.chroma = int(r.AVCProfileIndication), int(r.AVCLevelIndication), 8, 1
	if len(r.SPSnalus) == 0 {
		return
	}
	sps, err := avc.ParseSPSNALUnit(r.SPSnalus[0], true)
	if err != nil {
		return
	}
	s.coded = [2]int{int(sps.Width), int(sps.Height)}
	s.bitDepth, s.chroma = 8+int(sps.BitDepthLumaMinus8), int(sps.ChromaFormatIDC)
	s.interlaced = !sps.FrameMbsOnlyFlag
	if v := sps.VUI; v != nil && v.ColourDescriptionFlag {
		s.transfer = int(v.TransferCharacteristics)
	}
}

// readHEVC makes the codec string of ISO/IEC 14496-15, annex E.3.
func (s *sampleEntry) readHEVC(c *mp4.HvcCBox) {
	r := c.DecConfRec
	space, tier := "", "L"
	if r.GeneralProfileSpace > 0 {
		space = string(rune('A' + r.GeneralProfileSpace - 1))
	}
	if r.GeneralTierFlag {
		tier = "H"
	}
	s.codec = fmt.Sprintf("%s.%s%d.%X.%s%d", s.format, space, r.GeneralProfileIDC,
		bits.Reverse32(r.GeneralProfileCompatibilityFlags), tier, r.GeneralLevelIDC)
	constraints := r.GeneralConstraintIndicatorFlags << 16 // six bytes, of which those that are 0 are left out at the end
	for ; constraints > 0; constraints <<= 8 {
		s.codec += fmt.Sprintf(".%X", constraints>>56)
	}
	s.profile, s.level = int(r.GeneralProfileIDC), int(r.GeneralLevelIDC)
	s.bitDepth, s.chroma = 8+int(r.BitDepthLumaMinus8), int(r.ChromaFormatIDC)
	s.lengthSize = int(r.LengthSizeMinusOne) + 1
	for _, nalu := range r.GetNalusForType(hevc.NALU_SPS) {
		sps, err := hevc.ParseSPSNALUnit(nalu)
		if err != nil {
			continue
		}
		w, h := sps.ImageSize()
		s.coded = [2]int{int(w), int(h)}
		s.interlaced = sps.ProfileTierLevel.GeneralInterlacedSourceFlag && !sps.ProfileTierLevel.GeneralProgressiveSourceFlag
		if v := sps.VUI; v != nil && v.ColourDescriptionFlag {
			s.transfer = int(v.TransferCharacteristics)
		}
	}
}

// readAV1 makes the codec string of the AV1 codec ISO media file format binding, section 5.
func (s *sampleEntry) readAV1(c *mp4.Av1CBox) {
	r := c.CodecConfRec
	s.bitDepth, s.profile, s.level, s.chroma = 8, int(r.SeqProfile), int(r.SeqLevelIdx0), 1
	if r.HighBitdepth > 0 {
		s.bitDepth = 10
	}
	if r.TwelveBit > 0 {
		s.bitDepth = 12
	}
	tier := "M"
	if r.SeqTier0 > 0 {
		tier = "H"
	}
	s.codec = fmt.Sprintf("av01.%d.%02d%s.%02d", r.SeqProfile, r.SeqLevelIdx0, tier, s.bitDepth)
}

// readAAC reads the AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1).
func (s *sampleEntry) readAAC(e *mp4.EsdsBox) {
	d := e.DecConfigDescriptor
	if d == nil {
		return
	}
	s.codec = fmt.Sprintf("mp4a.%02X", d.ObjectType)
	if d.DecSpecificInfo == nil || len(d.DecSpecificInfo.DecConfig) < 2 || d.ObjectType != 0x40 {
		return
	}
	config := d.DecSpecificInfo.DecConfig
	s.codec = fmt.Sprintf("mp4a.40.%d", config[0]>>3)
	const escape = 0xf // of the sampling frequency: then 24 bits follow, and the channels are elsewhere
	if frequency := config[0]&7<<1 | config[1]>>7; frequency != escape {
		if layout := int(config[1] >> 3 & 0xf); layout > 0 && layout <= 6 {
			s.channels = layout
		}
	}
}

// sameCodec tells whether a codec string names what a sample description holds. Of HEVC the constraints after the level
// may be left out, of AV1 more may follow than we read.
func sameCodec(announced, found string) bool {
	a, f := strings.ToLower(announced), strings.ToLower(found)
	switch a[:min(4, len(a))] {
	case "hvc1", "hev1":
		const withLevel = 4 // parts
		return a == f || (strings.HasPrefix(f, a+".") && strings.Count(a, ".")+1 >= withLevel)
	case "av01":
		return a == f || strings.HasPrefix(a, f+".")
	}
	return a == f
}

// isVideoCodec tells whether a codec string is one of video.
func isVideoCodec(codec string) bool {
	switch strings.ToLower(codec[:min(4, len(codec))]) {
	case "avc1", "avc3", "hvc1", "hev1", "av01", "dvh1", "dvhe", "vp09", "vp08", "mp4v", "vvc1":
		return true
	}
	return false
}
