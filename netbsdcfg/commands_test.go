package netbsdcfg_test

var quirks = map[string]string{
	"plain":                             "up\ninet 10.0.0.1/24\n",
	"last line without newline is lost": "up\ninet 10.0.0.1/24",
}
