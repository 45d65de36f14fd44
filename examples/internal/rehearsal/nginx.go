package rehearsal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/rehost/rehost/certsync"
	"github.com/rehost/rehost/examples/internal/move"
)

// site has nginx read the site that a phase renders for the router.
func (r *rehearsal) site(phase int) func(context.Context) error {
	return func(ctx context.Context) error {
		proxied := false
		for _, s := range r.Move.Services {
			proxied = proxied || s.Via == move.Proxy
		}
		if !proxied {
			return nil
		}
		const check, how = "nginx takes the site's configuration", "nginx -t on the rendered files, in a network namespace of its own"
		root := filepath.Join(r.Dir, fmt.Sprint("nginx", phase))
		if err := os.MkdirAll(root, 0o700); err != nil {
			return err
		}
		if err := r.copyNginx(phase, root); err != nil {
			r.check(check, how, "", err)
			return nil
		}
		program := lookPath("nginx")
		if program == "" {
			r.notTried(check, how, "rendered but not tried: there is no nginx here")
			return nil
		}
		if said, err := testNginx(ctx, program, root, nginxPorts); err != nil {
			r.notTried(check, how, "rendered but not tried: "+why(said, err))
			return ctx.Err()
		}
		said, err := testNginx(ctx, program, root, "include etc/nginx/conf.d/*.conf;")
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			err = errors.New(why(said, err))
		}
		r.check(check, how, "", err)
		return nil
	}
}

// nginxFolders are where the rendered files refer to. Without the first slash they lie
// below nginx's prefix.
var nginxFolders = []string{"/etc/nginx/", "/var/cache/", "/var/lib/certsyncd/"}

// copyNginx copies the router's nginx files, as they are after a phase, below root, with
// the certificates that they name.
func (r *rehearsal) copyNginx(phase int, root string) error {
	for n := 2; n <= phase; n++ {
		base := path.Join(r.Phases[n-1].Dir, r.Move.Router.Name)
		err := fs.WalkDir(r.Rendered, path.Join(base, "etc/nginx"), func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				if missing(err) {
					return nil
				}
				return err
			}
			data, err := fs.ReadFile(r.Rendered, name)
			if err != nil {
				return err
			}
			for _, folder := range nginxFolders {
				data = bytes.ReplaceAll(data, []byte(" "+folder), []byte(" "+folder[1:]))
			}
			at := filepath.Join(root, filepath.FromSlash(strings.TrimPrefix(name, base+"/")))
			return errors.Join(os.MkdirAll(filepath.Dir(at), 0o700), os.WriteFile(at, data, 0o600))
		})
		if err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(root, "var/cache"), 0o700); err != nil {
		return err
	}
	to := certsync.Dir{Path: filepath.Join(root, "var/lib/certsyncd/nginx")}
	for _, c := range r.certificates() {
		b, err := r.published.Fetch(context.Background(), c.Name, certsync.Fingerprint{})
		if errors.Is(err, certsync.ErrNotFound) {
			continue // before phase 3
		}
		if err == nil {
			err = to.Install(context.Background(), b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// nginxConf keeps all that nginx makes below its prefix. There is no other user than root in
// its namespace.
const nginxConf = `user root root;
pid pid;
error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path client_body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	%s
}
`

// nginxPorts is a site that asks for no more than its ports. Where nginx refuses it, it is
// this machine that gives no such port, or no IPv6, and not the site that is wrong.
const nginxPorts = "server { listen 80; listen [::]:80; }"

// testNginx returns what nginx says of a configuration with some sites.
func testNginx(ctx context.Context, program, root, sites string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, programPatience)
	defer cancel()
	config := fmt.Sprintf(nginxConf, sites)
	if err := os.WriteFile(filepath.Join(root, "nginx.conf"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, "-t", "-q", "-p", root+"/", "-c", "nginx.conf", "-e", "stderr")
	cmd.WaitDelay = time.Second
	if err := isolate(cmd); err != nil {
		return nil, err
	}
	said, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return nil, ctx.Err() // not that it was killed
	}
	return said, err
}
