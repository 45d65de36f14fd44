package rehost_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/rehost/rehost"

// packages are those of the module that people import.
var packages = []string{"zone", "blockcopy", "certsync", "natfwd", "wgpeer", "netbsdcfg", "pfrules", "bhyve"}

// violations returns the imports that break the module's rules, given every
// package with all that it depends on: a package depends on no sibling, and only
// certsync/acme, which is made for it, brings in lego. Examples compose. Nobody brings in
// lego's providers of DNS, of which there are more than a hundred, nor its program.
func violations(deps map[string][]string) []string {
	var found []string
	for pkg, all := range deps {
		path, _ := strings.CutPrefix(pkg, module+"/")
		own, _, _ := strings.Cut(path, "/")
		for _, dep := range all {
			if strings.HasPrefix(dep, "github.com/go-acme/lego/v4/providers/") || strings.HasPrefix(dep, "github.com/go-acme/lego/v4/cmd") {
				found = append(found, path+" imports "+dep)
			}
			if own == "examples" {
				continue
			}
			sibling, inModule := strings.CutPrefix(dep, module+"/")
			sibling, _, _ = strings.Cut(sibling, "/")
			if inModule && slices.Contains(packages, sibling) && sibling != own {
				found = append(found, path+" imports "+dep)
			}
			if strings.HasPrefix(dep, "github.com/go-acme/lego/") && path != "certsync/acme" {
				found = append(found, path+" imports "+dep)
			}
		}
	}
	slices.Sort(found)
	return found
}

func TestPackagesAreIndependent(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Deps " "}}`, "./...").Output()
	require.NoError(t, err)
	deps := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		deps[fields[0]] = fields[1:]
	}
	require.Contains(t, deps, module+"/bhyve")
	require.Contains(t, deps[module+"/bhyve"], module+"/internal/textfile")
	assert.Empty(t, violations(deps))
}

func TestViolationsAreFound(t *testing.T) {
	assert.Equal(t, []string{
		"bhyve imports " + module + "/pfrules",
		"certsync imports " + module + "/zone",
		"certsync/acme imports github.com/go-acme/lego/v4/providers/dns/desec",
		"examples/certsyncd imports github.com/go-acme/lego/v4/cmd",
		"zone imports github.com/go-acme/lego/v4/acme",
	}, violations(map[string][]string{
		module + "/bhyve":              {"fmt", module + "/internal/textfile", module + "/pfrules"},
		module + "/zone":               {"github.com/go-acme/lego/v4/acme", "github.com/miekg/dns"},
		module + "/certsync":           {module + "/zone"},
		module + "/certsync/acme":      {module + "/certsync", "github.com/go-acme/lego/v4/acme", "github.com/go-acme/lego/v4/providers/dns/desec"},
		module + "/examples/certsyncd": {module + "/certsync/acme", "github.com/go-acme/lego/v4/acme", "github.com/go-acme/lego/v4/cmd"},
		module + "/examples/migrate":   {module + "/bhyve", module + "/pfrules"},
	}))
}

// TestReadmeExampleCompiles builds the program of the README as it stands there.
func TestReadmeExampleCompiles(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	_, code, found := strings.Cut(string(readme), "```go\n")
	require.True(t, found)
	code, _, found = strings.Cut(code, "```\n")
	require.True(t, found)
	dir := t.TempDir()
	file := filepath.Join(dir, "main.go")
	require.NoError(t, os.WriteFile(file, []byte(code), 0o600))
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "example"), file).CombinedOutput()
	assert.NoError(t, err, "%s", out)
	out, err = exec.CommandContext(t.Context(), "gofmt", "-l", file).CombinedOutput()
	assert.NoError(t, err)
	assert.Empty(t, string(out))
}
