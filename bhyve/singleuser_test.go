package bhyve

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSetSingleUserAndBack(t *testing.T) {
	for _, row := range []struct{ name, multi, single string }{
		{"the case", `grub_run0="knetbsd -h -r ld0a /netbsd"`, `grub_run0="knetbsd -h -s -r ld0a /netbsd"`},
		{"no final newline, no quotes, comment", "grub_run0=knetbsd -r ld0a /netbsd # -s for single user", "grub_run0=knetbsd -s -r ld0a /netbsd # -s for single user"},
		{"odd spacing", "grub_run0=\" knetbsd  -h \t -r\tld0a   /netbsd \" \r\n", "grub_run0=\" knetbsd  -h -s \t -r\tld0a   /netbsd \" \r\n"},
		{"quotes inside", `grub_run0="knetbsd" "-h" "-r" ld0a /netbsd`, `grub_run0="knetbsd" "-h" -s "-r" ld0a /netbsd`},
		{"no root", "grub_run0=knetbsd -h com0 /netbsd\n", "grub_run0=knetbsd -s -h com0 /netbsd\n"},
		{"no option", "grub_run0=knetbsd /netbsd\n", "grub_run0=knetbsd -s /netbsd\n"},
		{"long root", "grub_run0=knetbsd -h --root=ld0a /netbsd\n", "grub_run0=knetbsd -h -s --root=ld0a /netbsd\n"},
		{"root in a cluster", "grub_run0=knetbsd -hr ld0a /netbsd\n", "grub_run0=knetbsd -s -hr ld0a /netbsd\n"},
		{"a root device that looks like the option", "grub_run0=knetbsd -h -r -s /netbsd\n", "grub_run0=knetbsd -h -s -r -s /netbsd\n"},
		{"behind --", "grub_run0=knetbsd -h -- -s\n", "grub_run0=knetbsd -s -h -- -s\n"},
		{"a CRLF file", "grub_run0=knetbsd /netbsd\r\ncpu=1\r\n", "grub_run0=knetbsd -s /netbsd\r\ncpu=1\r\n"},
		{"every kernel, and only kernels", "grub_run0=set a=-r\ngrub_run1=knetbsd -r ld0a /netbsd\ngrub_run2=knetbsd -r ld1a /netbsd\ngrub_run3=boot\n",
			"grub_run0=set a=-r\ngrub_run1=knetbsd -s -r ld0a /netbsd\ngrub_run2=knetbsd -s -r ld1a /netbsd\ngrub_run3=boot\n"},
		{"what is read, and not what is behind a gap or repeated", "grub_run0=knetbsd /a\ngrub_run0=knetbsd /b\n grub_run1=knetbsd /c\ngrub_run2=knetbsd /d\ngrub_install0=knetbsd /e\n",
			"grub_run0=knetbsd -s /a\ngrub_run0=knetbsd /b\n grub_run1=knetbsd /c\ngrub_run2=knetbsd /d\ngrub_install0=knetbsd /e\n"},
		{"another command that begins alike", "grub_run0=knetbsd /n\ngrub_run1=knetbsd_module -s /x\n", "grub_run0=knetbsd -s /n\ngrub_run1=knetbsd_module -s /x\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := parse(t, row.multi)
			assert.False(t, f.SingleUser())
			require.NoError(t, f.SetSingleUser(false))
			assert.Equal(t, row.multi, string(f.Bytes()))
			require.NoError(t, f.SetSingleUser(true))
			assert.Equal(t, row.single, string(f.Bytes()))
			assert.True(t, f.SingleUser())
			require.NoError(t, f.SetSingleUser(true))
			assert.Equal(t, row.single, string(f.Bytes()))
			require.NoError(t, f.SetSingleUser(false))
			assert.Equal(t, row.multi, string(f.Bytes()))
		})
	}
}

func TestSingleUserOtherSpellingsAreTakenOut(t *testing.T) {
	for _, row := range []struct{ name, single, multi string }{
		{"combined", `grub_run0="knetbsd -hs -r ld0a /netbsd"`, `grub_run0="knetbsd -h -r ld0a /netbsd"`},
		{"combined, first", "grub_run0=knetbsd -sh /netbsd", "grub_run0=knetbsd -h /netbsd"},
		{"combined with the root", "grub_run0=knetbsd -hsr ld0a /netbsd", "grub_run0=knetbsd -hr ld0a /netbsd"},
		{"long", "grub_run0=knetbsd --single -r ld0a /netbsd", "grub_run0=knetbsd -r ld0a /netbsd"},
		{"at the end", `grub_run0="knetbsd /netbsd -s"`, `grub_run0="knetbsd /netbsd"`},
		{"twice", `grub_run0="knetbsd -s /netbsd -ss -s"`, `grub_run0="knetbsd /netbsd"`},
		{"in one of two lines", "grub_run0=knetbsd /a\ngrub_run1=knetbsd -s /b\n", "grub_run0=knetbsd /a\ngrub_run1=knetbsd /b\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := parse(t, row.single)
			assert.True(t, f.SingleUser())
			require.NoError(t, f.SetSingleUser(false))
			assert.Equal(t, row.multi, string(f.Bytes()))
			assert.False(t, f.SingleUser())
		})
	}
}

func TestSingleUserCompletesAMixedFile(t *testing.T) {
	f := parse(t, "grub_run0=knetbsd /a\ngrub_run1=knetbsd -s /b\n")
	require.NoError(t, f.SetSingleUser(true))
	assert.Equal(t, "grub_run0=knetbsd -s /a\ngrub_run1=knetbsd -s /b\n", string(f.Bytes()))
}

func TestSingleUserNeedsANetBSDKernel(t *testing.T) {
	for _, text := range []string{"", "grub_run0=linux /vmlinuz -s\n", "grub_run0=knetbsd\n", "grub_run1=knetbsd /netbsd\n", "grub_run0=kopenbsd -s /bsd\n"} {
		f := parse(t, text)
		assert.False(t, f.SingleUser(), text)
		require.NoError(t, f.SetSingleUser(false), text)
		var valueErr *ValueError
		require.ErrorAs(t, f.SetSingleUser(true), &valueErr, text)
		assert.Equal(t, text, string(f.Bytes()))
	}
}
