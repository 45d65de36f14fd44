package zone

// A token is a word of a zone file (RFC 1035, section 5.1).
type token struct {
	text   []byte // as written, with its backslashes, without the quotes
	quoted bool
	start  int // of the token in the text that was read, with the quotes
	end    int
}
