// Package logfile keeps the event log, or a part of it, as a file that is carried from one place to another and may be
// kept as a backup. It may import domain and commands, no other adapter.
//
// The file is JSON Lines, UTF-8. The first line says what it is; after is 0, or the position that the part begins
// after, with the hash of the commit that ends there; head is the position of the last event:
//
//	{"format":"cinelog-events","format_version":1,"after":0,"after_hash":"","head":3}
//
// Then there is a line for each event, in the order of positions:
//
//	{"position":1,"stream":"0198…","version":1,"commit":"9f2c…","time":"2026-03-01T11:00:00.123456Z",
//	 "meta":{"actor":"local"},"type":"video.created.v1","data":{…}}
//
// (in one line). Version is the event's in its stream. Events with the same commit were appended at once and share
// stream, commit, time (UTC, to the microsecond) and meta; the last of them also has the commit's hash, before data, which
// is domain.ChainHash in hex. The version of an event's schema is the end of its type. Data is what the log has, to the
// byte, so that whoever folds the hashes comes to those of the log.
//
// The last line says that nothing was cut off; hash is that of the last commit, which stands for all before it:
//
//	{"end":{"events":3,"position":3,"hash":"…"}}
//
// An event whose texts were erased has a tombstone as its data, which ends with the SHA-256 of what it was; the chain is made
// of that. Events with texts have a random salt in their data, which nothing reads.
//
// There is nothing in it of when or where it was made: the same part of the same log gives the same bytes.
package logfile
