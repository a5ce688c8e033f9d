// Package message holds the rules for requests and answers as HTTP/2 and HTTP/3
// carry them: field sections that begin with pseudo-fields (RFC 9113 §8.1 to
// §8.5, which RFC 9114 §4.1 to §4.4 repeats; extended CONNECT is RFC 8441 and
// RFC 9220). Both engines use this one copy.
//
// A Head is read from the decoded field section of a request, an Answer from
// the status and the header map that a handler leaves. Everything here is pure:
// it knows neither connections nor locks, encoders nor flow control. What a
// rule means for those (a stream error, a counter, a GOAWAY) is for the engine
// to do with the result.
//
//	field section -> Head.Read -> Fault: malformed, Status: answered at once, or
//	                 Head.Fill -> the request's header map
//	WriteHeader   -> Answer.Begin -> Fields, kept as they are now
//	end           -> Answer.Finish -> the length, if only the end tells it
//	encoding      -> Clean for each field, then content-type, content-length, date
//	behind it     -> Answer.NoteTrailers -> Fields, now of the trailer section
//
// It may change before v1.
package message
