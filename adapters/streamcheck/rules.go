package streamcheck

import (
	"slices"
)

// rule is a clause that can be checked. Its text and its advice are ours; the clause is where the words stand.
type rule struct {
	clause   string
	severity Severity // Error where the clause says MUST
	text     string
	advice   string
	check    func(*presentation, *reporter)
}

// Clause is a clause that is checked.
type Clause struct {
	Clause   string
	Severity Severity
	Text     string
}

// Clauses lists what is checked, of HLS and of DASH, in the order of the tables.
func Clauses() []Clause {
	var all []Clause
	for _, r := range slices.Concat(rules(), manifestRules()) {
		all = append(all, Clause{r.clause, r.severity, r.text})
	}
	return all
}

// rules are those for HLS. The numbers are of RFC 8216 (August 2017) and of Apple's HLS Authoring Specification for
// Apple devices as it stood in 2025.
func rules() []rule {
	return slices.Concat(textRules(), multivariantRules(), mediaPlaylistRules(), codecRules(), rateRules(), segmentRules(),
		alignmentRules(), trickPlayRules(), captionRules(), deliveryRules())
}

// textRules are about playlists as texts.
func textRules() []rule {
	return []rule{
		{"RFC 8216, 6.2.1", Error, "what is named can be had", "store the file, or take it out of the playlist", everythingIsThere},
		{"RFC 8216, 4.3.1.1", Error, "a playlist begins with #EXTM3U", "write #EXTM3U as the first line", beginsWithEXTM3U},
		{"RFC 8216, 4.1", Error, "a playlist is UTF-8 without byte order mark and control characters", "write the playlist as plain UTF-8", isPlainText},
		{"RFC 8216, 4.2", Error, "attribute lists are well formed", "quote strings, name each attribute once", attributesAreWellFormed},
		{"RFC 8216, 4.3.1.2", Error, "at most one EXT-X-VERSION, a whole number", "write EXT-X-VERSION once", oneVersion},
		{"RFC 8216, 7", Error, "EXT-X-VERSION is high enough for what is used", "raise EXT-X-VERSION", versionIsEnough},
		{"RFC 8216, 4.3.3", Error, "no tag of media playlists in a multivariant playlist", "move the tag to the media playlists", noMediaTags},
		{"RFC 8216, 4.3.4", Error, "no tag of multivariant playlists in a media playlist", "list media playlists, not multivariant ones", noMultivariantTags},
	}
}

// multivariantRules are about the list of variants.
func multivariantRules() []rule {
	return []rule{
		{"RFC 8216, 4.3.4.1", Error, "EXT-X-MEDIA has TYPE, GROUP-ID and NAME, and URI as its type asks", "add the attribute", mediaIsComplete},
		{"RFC 8216, 4.3.4.1.1", Error, "names in a group are unique, one member at most is the default", "rename it, or leave one DEFAULT=YES", groupsAreSound},
		{"RFC 8216, 4.3.4.1.1", Error, "groups of one type have the same members, but for URI and CHANNELS", "list every member in each group", groupsAreAlike},
		{"RFC 8216, 4.3.4.1.1", Warning, "members that are AUTOSELECT=YES differ in language or purpose", "write AUTOSELECT=YES for one of them", selectedOnesDiffer},
		{"RFC 8216, 4.3.4.1", Error, "LANGUAGE is a language tag of RFC 5646", "write a tag such as en or pt-BR; \"und\" where it is not known", languagesAreTags},
		{"RFC 8216, 4.3.4.2", Error, "EXT-X-STREAM-INF has BANDWIDTH and an address after it", "add what is missing", variantsAreComplete},
		{"RFC 8216, 4.3.4.2", Error, "a group that is named is there", "add an EXT-X-MEDIA with that GROUP-ID, or drop the attribute", groupsAreThere},
		{"RFC 8216, 4.3.4.2", Error, "CLOSED-CAPTIONS=NONE is on all variants or on none", "write it on all", captionsNoneOnAll},
		{"RFC 8216, 4.3.4.3", Error, "EXT-X-I-FRAME-STREAM-INF has BANDWIDTH and URI", "add what is missing", iFrameVariantsAreComplete},
		{"RFC 8216, 4.3.5.2", Error, "EXT-X-START has TIME-OFFSET", "add TIME-OFFSET", startHasOffset},
		{"Apple, 8.9", Error, "separate audio is declared by EXT-X-MEDIA", "list it as EXT-X-MEDIA:TYPE=AUDIO", audioIsDeclared},
		{"Apple, 8.10", Error, "EXT-X-MEDIA has LANGUAGE", "add LANGUAGE; \"und\" where it is not known", mediaHasLanguage},
		{"Apple, 9.1", Error, "EXT-X-STREAM-INF has CODECS", "add CODECS from the sample descriptions", variantHasCodecs},
		{"Apple, 9.2", Error, "EXT-X-STREAM-INF of video has RESOLUTION", "add RESOLUTION", variantHasResolution},
		{"Apple, 9.3", Error, "EXT-X-I-FRAME-STREAM-INF has CODECS", "add CODECS", iFramesHaveCodecs},
		{"Apple, 9.4", Error, "EXT-X-I-FRAME-STREAM-INF has RESOLUTION", "add RESOLUTION", iFramesHaveResolution},
		{"Apple, 9.5", Warning, "video and audio are separate streams", "put audio into a rendition of its own", audioIsSeparate},
		{"Apple, 9.9", Error, "video comes in several bit rates", "encode more than one variant", severalVariants},
		{"Apple, 9.10", Warning, "HD has two variants at the highest resolution", "add a second bit rate at the highest resolution", twoAtTheTop},
		{"Apple, 9.11", Warning, "EXT-X-INDEPENDENT-SEGMENTS is in the multivariant playlist", "add the tag", independentInMultivariant},
		{"Apple, 9.12", Error, "EXT-X-INDEPENDENT-SEGMENTS is in one of both, where segments begin with an IDR picture", "add the tag", independentSomewhere},
		{"Apple, 9.14", Error, "each variant has AVERAGE-BANDWIDTH", "add AVERAGE-BANDWIDTH, measured", hasAverage},
		{"Apple, 9.15", Error, "EXT-X-STREAM-INF of video has FRAME-RATE", "add FRAME-RATE", variantHasFrameRate},
		{"Apple, 9.16", Error, "VIDEO-RANGE is given unless all is SDR", "add VIDEO-RANGE=PQ or HLG", hasVideoRange},
	}
}

// mediaPlaylistRules are about media playlists by themselves.
func mediaPlaylistRules() []rule {
	return []rule{
		{"RFC 8216, 4.3.3.1", Error, "EXT-X-TARGETDURATION is there once, a whole number", "write it once", oneTarget},
		{"RFC 8216, 4.3.3.1", Error, "no EXTINF, rounded, is over the target duration", "raise EXT-X-TARGETDURATION", noSegmentOverTarget},
		{"RFC 8216, 4.3.2.1", Error, "each segment has EXTINF", "write EXTINF before the address", segmentsHaveDuration},
		{"RFC 8216, 4.3.3.2", Error, "EXT-X-MEDIA-SEQUENCE stands once, before the first segment", "move it to the head", sequenceBeforeSegments},
		{"RFC 8216, 4.3.3.5", Error, "EXT-X-PLAYLIST-TYPE is VOD or EVENT, and VOD has ended", "write VOD when nothing will be added, with EXT-X-ENDLIST", typeIsKnown},
		{"RFC 8216, 4.3.2.2", Error, "EXT-X-BYTERANGE has a length, and an offset where it needs one", "write length@offset", rangesAreSound},
		{"RFC 8216, 4.3.2.5", Error, "EXT-X-MAP has a URI", "add URI", mapHasURI},
		{"Apple, 8.20", Error, "fragmented MP4 has EXT-X-MAP", "write EXT-X-MAP before the first segment", fragmentsHaveMap},
		{"Apple, 8.6", Error, "a playlist that is complete says VOD", "write EXT-X-PLAYLIST-TYPE:VOD", completeIsVOD},
		{"Apple, 8.8", Error, "a playlist that grows from a fixed start says EVENT", "write EXT-X-PLAYLIST-TYPE:EVENT", growingIsEvent},
		{"Apple, 7.5", Warning, "the target duration is 6 s", "make segments of about 6 s", targetIsSix},
		{"Apple, 7.6", Warning, "segments last about 6 s", "make segments of about 6 s", segmentsAreSix},
		{"Apple, 7.7", Error, "no segment is over the target duration by more than 0.5 s", "raise EXT-X-TARGETDURATION, or cut shorter", mediaWithinTarget},
	}
}

// codecRules compare what is said of the formats with the sample descriptions.
func codecRules() []rule {
	return []rule{
		{"RFC 8216, 4.3.4.2", Error, "CODECS names what is in the media", "write what the sample descriptions say", codecsAreTrue},
		{"RFC 8216, 4.3.4.2", Error, "RESOLUTION is that of the video", "write the size at which the video is shown", resolutionIsTrue},
		{"RFC 8216, 4.3.4.2", Error, "FRAME-RATE is that of the video, to three places", "write the highest frame rate of the variant", frameRateIsTrue},
		{"RFC 8216, 4.3.4.1", Error, "CHANNELS is the number of channels", "write what the sample description says", channelsAreTrue},
		{"RFC 8216, 4.3.4.1", Warning, "EXT-X-MEDIA of audio has CHANNELS", "add CHANNELS", audioHasChannels},
		{"Apple, 1.1", Error, "video is AVC, HEVC, Dolby Vision or AV1", "encode it as one of these", videoCodecIsKnown},
		{"Apple, 1.3b", Error, "AVC is at most High Profile, Level 5.2", "encode 8-bit 4:2:0 at a lower level", avcIsPlayable},
		{"Apple, 1.4", Warning, "AVC is High Profile", "encode with the High Profile", avcIsHigh},
		{"Apple, 1.6b", Error, "HEVC is at most Main 10 Profile, Level 5.1", "encode at a lower level", hevcIsPlayable},
		{"Apple, 1.37", Error, "AV1 is at most Level 6.2", "encode at a lower level", av1IsPlayable},
		{"Apple, 1.10", Warning, "parameter sets are in the sample descriptions", "write avc1 or hvc1", parameterSetsOutside},
		{"Apple, 1.14", Error, "video is not interlaced", "deinterlace it", notInterlaced},
		{"Apple, 1.18", Warning, "the frame rate is a usual one", "keep the source's, where it is a usual one", frameRateIsUsual},
		{"Apple, 1.19", Error, "no more than 60 frames a second", "drop frames", frameRateIsBounded},
		{"Apple, 1.33", Warning, "all variants have the same aspect ratio", "scale all rungs alike", sameAspect},
		{"Apple, 2.3", Error, "where there is audio, there is AAC of one or two channels", "add a stereo AAC rendition", stereoAAC},
		{"Apple, 2.4", Warning, "no HE-AAC above 64 kbit/s", "use AAC-LC", heAACIsSmall},
		{"Apple, 2.17", Error, "a segment has one audio stream at most", "put each into a rendition of its own", oneAudioPerSegment},
	}
}

// rateRules compare what is said of the bit rates with the sizes of the segments.
func rateRules() []rule {
	return []rule{
		{"Apple, 1.26", Error, "AVERAGE-BANDWIDTH is within 10 % of the measured average (video on demand)", "write the measured average", averageIsTrue},
		{"Apple, 1.27", Error, "BANDWIDTH is within 10 % of the measured peak (video on demand)", "write the measured peak", peakIsTrue},
		{"Apple, 1.29", Error, "the measured peak is under 125 % of BANDWIDTH (while it grows)", "announce more", growingPeakIsTrue},
		{"Apple, 9.13", Error, "BANDWIDTH is the sum of the peaks of what is played together", "add the largest audio rendition's peak", peakIsASum},
		{"Apple, 1.30", Warning, "the peak is at most twice the average (video on demand)", "bound the encoder's rate", peakIsBounded},
		{"Apple, 1.32", Warning, "the first variant is that of about 2000 kbit/s", "list the variant nearest to 2000 kbit/s first", firstIsMiddle},
	}
}

// segmentRules are about media segments.
func segmentRules() []rule {
	return []rule{
		{"RFC 8216, 3.3", Error, "media is what its initialization section says", "write ftyp and moov into EXT-X-MAP, moof and mdat into segments", mediaIsReadable},
		{"RFC 8216, 3.3", Error, "a track fragment has its decode time", "write tfdt", fragmentsHaveTime},
		{"RFC 8216, 3.2", Warning, "media is fragmented MP4 (transport streams are not read by this check)", "use a checker for transport streams", isFragmented},
		{"Apple, 7.1", Error, "media is continuous across segments", "cut without a gap", mediaIsContinuous},
		{"Apple, 7.3", Error, "the decode time follows from the segment before", "write the sum of all durations before into tfdt", decodeTimesFollow},
		{"Apple, 7.4", Error, "a segment of video begins with an IDR picture", "cut at closed groups of pictures", beginsWithIDR},
		{"RFC 8216, 4.3.5.1", Error, "EXT-X-INDEPENDENT-SEGMENTS: each segment begins with a sync sample", "cut at keyframes, and flag them", beginsWithSync},
		{"Apple, 1.13", Warning, "keyframes come every two seconds", "set the encoder's longest group of pictures", keyframesAreOften},
		{"Apple, 8.1", Error, "EXTINF, added up, stays within a frame of the media", "write the durations of the samples", durationsAreTrue},
		{"Apple, 8.14", Error, "the frame rate changes at a discontinuity only", "encode at a constant rate", frameRateIsConstant},
	}
}

// alignmentRules compare playlists with each other.
func alignmentRules() []rule {
	return []rule{
		{"RFC 8216, 6.2.4", Error, "matching content has matching times: all begin together", "start video and audio at the same time", allBeginTogether},
		{"Apple, 8.2", Error, "audio and video have the same target duration", "write one target duration for all", sameTarget},
		{"Apple, 8.3", Error, "audio and video last equally long (within 0.1 s)", "pad or cut the audio", sameDuration},
		{"Apple, 8.7", Error, "all media playlists of type VOD cover the same time", "end all at the same time", sameRange},
		{"Apple, 8.15", Error, "discontinuities are at the same places in all", "cut all alike", sameDiscontinuities},
		{"Apple, 8.22", Warning, "segments are cut at the same times in all video renditions", "use one grid for all rungs", sameBoundaries},
	}
}

// trickPlayRules are about playlists of keyframes.
func trickPlayRules() []rule {
	return []rule{
		{"Apple, 6.1", Error, "there are I-frame playlists", "list EXT-X-I-FRAME-STREAM-INF", hasIFrames},
		{"Apple, 6.6", Warning, "there are several I-frame playlists", "add one for each rendition", severalIFrames},
		{"Apple, 6.8", Error, "an I-frame playlist says EXT-X-I-FRAMES-ONLY", "add the tag", iFramesSaySo},
		{"Apple, 6.10", Error, "a part of an I-frame playlist has the moof of its frame", "begin the part at the moof", iFramesHaveMoof},
		{"RFC 8216, 4.3.3.6", Error, "a part of an I-frame playlist is one whole keyframe", "let the part end with the first sample", iFramesAreFrames},
		{"Apple, 8.7", Error, "I-frames cover the time of the video", "list every keyframe, each until the next", iFramesCoverAll},
	}
}

// captionRules are about subtitles.
func captionRules() []rule {
	return []rule{
		{"Apple, 5.3", Error, "WebVTT has X-TIMESTAMP-MAP", "write X-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000 after WEBVTT", captionsHaveMap},
		{"Apple, 5.5", Error, "subtitles cover the whole video", "add empty segments to the end", captionsCoverAll},
		{"Apple, 4.6", Error, "subtitles for people who are hard of hearing are AUTOSELECT=YES", "add AUTOSELECT=YES", accessibleIsSelected},
		{"RFC 8216, 4.3.4.1", Error, "DEFAULT=YES goes with AUTOSELECT=YES", "write AUTOSELECT=YES", defaultIsSelected},
	}
}

// deliveryRules are about the server.
func deliveryRules() []rule {
	return []rule{
		{"RFC 8216, 4.1", Error, "a playlist is known by .m3u8 or its content type", "serve application/vnd.apple.mpegurl", playlistIsKnown},
		{"Apple, 10.1", Error, "playlists are delivered with gzip", "compress playlists", playlistsAreZipped},
		{"Apple, 10.4", Warning, "content types are the recommended ones", "set the content type of the stored file", contentTypes},
		{"Apple, 8.18", Error, "media is not redirected", "give the final address in the playlist", noRedirects},
		{"Apple, 11.1", Warning, "multivariant playlists are delivered with TLS", "serve https", multivariantTLS},
		{"Apple, 11.2", Warning, "media playlists are delivered with TLS", "serve https", playlistTLS},
		{"Apple, 11.3", Warning, "media is delivered with TLS", "serve https", mediaTLS},
	}
}
