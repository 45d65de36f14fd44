package bhyve

import (
	"bytes"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// naive is a second reader, written from vm-bhyve's and sharing nothing with
// readLine: it goes through the bytes once.
func naive(text string) (keys []string, values map[string]string) {
	values = map[string]string{}
	for _, line := range strings.Split(text, "\n") {
		var out []byte
		blanks := 0
		for i := 0; i < len(line) && line[i] != '#'; i++ {
			if line[i] == ' ' {
				blanks++
				continue
			}
			for ; blanks > 0; blanks-- {
				out = append(out, ' ')
			}
			out = append(out, line[i])
		}
		if line == "" || !strings.Contains("abcdefghijklmnopqrstuvwxyz", line[:1]) {
			continue
		}
		out = bytes.ReplaceAll(out, []byte(`"`), nil)
		key, value := string(out), string(out)
		if i := bytes.IndexByte(out, '='); i >= 0 {
			key, value = string(out[:i]), string(out[i+1:])
		}
		if _, again := values[key]; !again {
			keys, values[key] = append(keys, key), value
		}
	}
	return keys, values
}

// seeds are files that everyone tries first.
func seeds(add func(text string)) {
	for _, row := range readerRows {
		add(row.text)
	}
	add(senateText)
	add(twoOfEach)
	add(strings.ReplaceAll(twoOfEach, "\n", "\r\n"))
	add("grub_run0=\"knetbsd\" -hs -r ld0a /netbsd\ngrub_run1= knetbsd  /netbsd -s\ngrub_run3=x")
	add("disk0_type=\ndisk00_name=x\nn\"etwork0_type\"=e\nnetwork0_type\nnetwork2_type=q")
}

// FuzzFile tries the five properties on any text and any edit.
func FuzzFile(f *testing.F) {
	seeds(func(text string) {
		for op := range byte(7) {
			f.Add([]byte(text), op, "disk0_name", "a b", 0)
			f.Add([]byte(text), op, "x", "2", 1)
		}
	})
	f.Fuzz(func(t *testing.T, data []byte, op byte, key, value string, n int) {
		file, err := Parse("senate.conf", data)
		if bytes.IndexByte(data, 0) >= 0 {
			var parseErr *ParseError
			require.ErrorAs(t, err, &parseErr)
			return
		}
		require.NoError(t, err)
		text := string(data)
		require.Equal(t, text, string(file.Bytes()), "Parse(x).Bytes() is x")
		setWhatIsThere(t, file)
		require.Equal(t, text, string(file.Bytes()), "setting what is there")
		for _, p := range file.Check() {
			require.LessOrEqual(t, p.Line, strings.Count(text, "\n")+1)
			if p.Col > 0 {
				require.LessOrEqual(t, p.Col, len(file.lines[p.Line-1])+1)
			}
		}

		_, before := naive(text)
		edit := []func(*testing.T, *File, map[string]string, string, string, int) error{
			fuzzSet, fuzzUnset, fuzzSetDisk, fuzzSetNIC, fuzzRemoveNIC, fuzzSingleUser, fuzzSetGuest,
		}[op%7]
		err = edit(t, file, before, key, value, n)
		if err != nil {
			var valueErr *ValueError
			require.ErrorAs(t, err, &valueErr)
			require.Equal(t, text, string(file.Bytes()), "a failed edit leaves the file untouched")
		}
		keys, after := naive(string(file.Bytes()))
		var got []string
		for k, v := range file.All() {
			got = append(got, k)
			require.Equal(t, after[k], v)
		}
		require.Equal(t, keys, got)
	})
}

func setWhatIsThere(t *testing.T, file *File) {
	for k, v := range file.All() {
		require.NoError(t, file.Set(k, v))
	}
	list, _ := file.Disks() // bad values are there too
	for i, d := range list {
		require.NoError(t, file.SetDisk(i, d))
	}
	ifs, _ := file.NICs()
	for i, n := range ifs {
		require.NoError(t, file.SetNIC(i, n))
	}
	if g, err := file.Guest(); err == nil {
		require.NoError(t, file.SetGuest(g))
	}
	if !file.SingleUser() {
		require.NoError(t, file.SetSingleUser(false))
	}
}

// only checks that an edit changed no key that changed does not name.
func only(t *testing.T, file *File, before map[string]string, changed func(key string) bool) {
	_, after := naive(string(file.Bytes()))
	for k, v := range before {
		if !changed(k) {
			got, ok := after[k]
			require.True(t, ok, "%q is gone", k)
			require.Equal(t, v, got)
		}
	}
	for k := range after {
		if _, ok := before[k]; !ok {
			require.True(t, changed(k), "%q is new", k)
		}
	}
}

func fuzzSet(t *testing.T, file *File, before map[string]string, key, value string, _ int) error {
	text := string(file.Bytes())
	if err := file.Set(key, value); err != nil {
		return err
	}
	_, after := naive(string(file.Bytes()))
	require.Equal(t, value, after[key], "parsing again returns what was set")
	only(t, file, before, func(k string) bool { return k == key })
	old := slices.Collect(strings.Lines(text))
	if _, had := before[key]; !had {
		// Without the new line it is the old text, of which the last line may
		// have had to be ended.
		i := 0
		for i < len(old) && (file.lines[i] == old[i] || file.lines[i] == old[i]+"\n") {
			i++
		}
		require.Equal(t, len(old)+1, len(file.lines), "one line more")
		require.True(t, slices.Equal(old[i:], file.lines[i+1:]), "no other line changed")
		return nil
	}
	require.Equal(t, len(old), len(file.lines), "no line more")
	changed := 0
	for i := range old {
		if old[i] != file.lines[i] {
			changed++
		}
	}
	require.LessOrEqual(t, changed, 1)
	return nil
}

func fuzzUnset(t *testing.T, file *File, before map[string]string, key, _ string, _ int) error {
	old := slices.Clone(file.lines)
	_, had := before[key]
	require.Equal(t, had, file.Unset(key))
	_, ok := file.Get(key)
	require.False(t, ok)
	only(t, file, before, func(k string) bool { return k == key })
	for _, line := range file.lines {
		i := slices.Index(old, line)
		require.GreaterOrEqual(t, i, 0, "nothing is new and the order stays")
		old = old[i+1:]
	}
	return nil
}

func fuzzSetDisk(t *testing.T, file *File, before map[string]string, key, value string, n int) error {
	d := Disk{Type: "virtio-blk", Name: value, Opts: key}
	if err := file.SetDisk(n, d); err != nil {
		return err
	}
	list, _ := parse(t, string(file.Bytes())).Disks()
	require.Equal(t, d, list[n])
	only(t, file, before, func(k string) bool {
		return slices.Contains([]string{disks.key(n, "_type"), disks.key(n, "_name"), disks.key(n, "_dev"), disks.key(n, "_opts")}, k)
	})
	return nil
}

func fuzzSetNIC(t *testing.T, file *File, before map[string]string, key, value string, n int) error {
	nic := NIC{Type: "e1000", Switch: value, Name: key, MAC: net.HardwareAddr{2, 0, 0, 0, 0, byte(n)}, Span: n%2 == 0}
	if err := file.SetNIC(n, nic); err != nil {
		return err
	}
	list, _ := parse(t, string(file.Bytes())).NICs()
	require.Equal(t, nic, list[n])
	only(t, file, before, func(k string) bool { return strings.HasPrefix(k, nics.key(n, "_")) })
	return nil
}

func fuzzRemoveNIC(t *testing.T, file *File, before map[string]string, _, _ string, n int) error {
	old, _ := file.NICs()
	removed := file.RemoveNIC(n)
	require.Equal(t, 0 <= n && n < len(old), removed)
	if !removed {
		return nil
	}
	list, _ := parse(t, string(file.Bytes())).NICs()
	require.Equal(t, append(slices.Clone(old[:n]), old[n+1:]...), append([]NIC{}, list...))
	only(t, file, before, func(k string) bool {
		fam, m, _ := splitKey(k)
		return fam == nics && m >= n
	})
	return nil
}

func fuzzSingleUser(t *testing.T, file *File, before map[string]string, _, _ string, _ int) error {
	was, text := file.SingleUser(), string(file.Bytes())
	if err := file.SetSingleUser(true); err != nil {
		require.False(t, was)
		return err
	}
	single := string(file.Bytes())
	require.True(t, file.SingleUser())
	require.NoError(t, file.SetSingleUser(true))
	require.Equal(t, single, string(file.Bytes()))
	require.NoError(t, file.SetSingleUser(false))
	require.False(t, file.SingleUser())
	if !was {
		require.Equal(t, text, string(file.Bytes()), "its own inverse")
	}
	only(t, file, before, func(k string) bool { return strings.HasPrefix(k, "grub_run") })
	return nil
}

func fuzzSetGuest(t *testing.T, file *File, before map[string]string, key, value string, n int) error {
	g := senate()
	g.CPU, g.GrubRun, g.Disks[0].Name = n, []string{value, key}, key
	if err := file.SetGuest(g); err != nil {
		return err
	}
	got, err := parse(t, string(file.Bytes())).Guest()
	require.NoError(t, err)
	require.Equal(t, g, got)
	only(t, file, before, func(k string) bool {
		fam, _, _ := splitKey(k)
		return fam != nil || slices.Contains([]string{"loader", "cpu", "memory", "uuid"}, k)
	})
	return nil
}

// FuzzSet tries to smuggle more than one value past Set.
func FuzzSet(f *testing.F) {
	for _, value := range []string{"1", "", " 1", "a b", "1\ncpu=9", "1\r", "a#b", `a"b`, "'a'", "$(reboot)", "`x`", `a\`, "a=b", "\x00", "1 ", "1\t", "é", "\xff", "\u2028"} {
		f.Add("cpu=1\nx=2", "cpu", value)
		f.Add("cpu=\"1\" # c\r\ncpu=3\r\n", "cpu", value)
		f.Add("loader=grub", "cpu", value)
		f.Add("x='1'\n", "x", value)
		f.Add("c\"pu\"=\"1#2\"\n", "cpu", value)
	}
	f.Fuzz(func(t *testing.T, text, key, value string) {
		file, err := Parse("senate.conf", []byte(text))
		if err != nil {
			t.Skip("a NUL byte")
		}
		_, before := naive(text)
		if err := fuzzSet(t, file, before, key, value, 0); err != nil {
			var valueErr *ValueError
			require.ErrorAs(t, err, &valueErr)
			require.Equal(t, text, string(file.Bytes()))
			return
		}
		if old, had := before[key]; had && old == value {
			return
		}
		// A shell, as sysrc(8) starts one, must see a plain assignment too.
		i, s := file.find(key)
		assert.True(t, isShellWord(s.rawValue), "%q", s.rawValue)
		assert.True(t, strings.HasPrefix(file.lines[i], key+"="))
		assert.Contains(t, " \n", s.rest[:1], "a comment begins behind a blank")
	})
}

// FuzzGuest checks that what New writes is what it was given, and sound.
func FuzzGuest(f *testing.F) {
	f.Add("grub", 1, uint64(2<<30), "", "virtio-net", "public", "disk0.img", "file", "6/0/0", "knetbsd -h -r ld0a /netbsd", []byte{2, 0, 0, 0, 0, 1}, true)
	f.Add("uefi", 4, uint64(512<<20), "5f1f1d2e-3c4b-11ef-9a64-0025905a1c2b", "e1000", "lan", "/dev/da0", "custom", "", "a\nb", []byte{}, false)
	f.Add("bhyveload", 1, uint64(1), "x", "e1000", "a b", "a,b", "zvol", "1/2/3=4:5", `a"b#c`, []byte{1, 0, 0, 0, 0, 1}, false)
	f.Fuzz(func(t *testing.T, loader string, cpu int, memory uint64, id, typ, sw, name, dev, pass, command string, addr []byte, span bool) {
		g := Guest{Loader: loader, CPU: cpu, Memory: Size(memory), UUID: id,
			NICs:    []NIC{{Type: typ, Switch: sw, Span: span}, {Type: "virtio-net", Switch: "public"}},
			Disks:   []Disk{{Type: "virtio-blk", Name: name, Dev: dev}},
			GrubRun: []string{command, "boot"}}
		if len(addr) > 0 {
			g.NICs[0].MAC = addr
		}
		if pass != "" {
			g.Passthru = []string{pass}
		}
		file, err := New(g)
		if err != nil {
			require.Nil(t, file)
			var valueErr *ValueError
			require.True(t, errors.As(err, &valueErr), "%v", err)
			return
		}
		require.NoError(t, file.Check().Err())
		back, err := parse(t, string(file.Bytes())).Guest()
		require.NoError(t, err)
		require.True(t, back.matches(g))
		require.NotEmpty(t, back.UUID)
		require.Len(t, back.NICs[1].MAC, 6)

		text := string(file.Bytes())
		require.NoError(t, file.SetGuest(back))
		require.NoError(t, file.SetGuest(g))
		require.Equal(t, text, string(file.Bytes()))
	})
}
