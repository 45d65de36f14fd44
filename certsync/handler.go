package certsync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Handler publishes bundles: GET and HEAD of /NAME, and nothing else, give what
// [Bundle.Combined] returns. Allow decides who may have which name, and is asked before
// the source is; nil allows no one. It is a [Publisher] without a log.
func Handler(src Source, allow func(r *http.Request, name string) bool) http.Handler {
	return &Publisher{Source: src, Allow: allow}
}

// AllowFrom allows every name to the addresses from which a connection comes, and to
// nobody else: none if there are no prefixes. An IPv4 address is the same in the form of an
// IPv6 one, and a zone counts for nothing. What a header says of other addresses, such as
// X-Forwarded-For, is never believed: behind a proxy all requests come from the proxy.
func AllowFrom(prefixes ...netip.Prefix) func(*http.Request, string) bool {
	prefixes = slices.Clone(prefixes)
	return func(r *http.Request, _ string) bool {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		return err == nil && within(prefixes, peer.Addr())
	}
}

// A Publisher is a [Handler] that says in a log who got what. It answers
//
//	200 with the bundle, its fingerprint as a strong ETag
//	304 if the client has it already, by If-None-Match (RFC 9110, section 13.1.2)
//	403 if Allow says no, whether there is such a bundle or not
//	404 if there is none, and for any path but the plain /NAME, percent-encoded ones too
//	405 for other methods than GET and HEAD
//	500 if the source fails, or its key is not the leaf's: such a bundle is never sent
//
// No answer may be kept by a cache, or asked for in ranges, and none says what failed. Serve
// it with TLS, or inside a tunnel: it sends private keys. http.StripPrefix puts it below
// another path.
type Publisher struct {
	Source Source
	// Allow decides who may have which name, for example by r.RemoteAddr as [AllowFrom]
	// does or by r.TLS.VerifiedChains. Nil: no one.
	Allow func(r *http.Request, name string) bool
	// Log gets what was sent and unchanged (Debug), who was refused (Warn), and what failed
	// (Error), never a key. Nil: nobody.
	Log *slog.Logger
}

// ServeHTTP answers a request.
func (p *Publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	name := strings.TrimPrefix(r.URL.Path, "/")
	// The comparison finds whatever the server has decoded or cut off on the way to Path.
	if checkName(name) != nil || r.URL.String() != "/"+name {
		p.refuse(w, r, http.StatusNotFound)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		p.refuse(w, r, http.StatusMethodNotAllowed)
		return
	}
	if p.Allow == nil || !p.Allow(r, name) {
		p.refuse(w, r, http.StatusForbidden)
		return
	}
	tags := entityTags(r.Header)
	b, fingerprint, err := p.fetch(r.Context(), name, tags)
	switch {
	case errors.Is(err, ErrNotFound):
		p.refuse(w, r, http.StatusNotFound)
	case err != nil:
		p.log(r, slog.LevelError, "failed", slog.Any("err", err))
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	case b == nil || slices.Contains(tags, "*") || slices.Contains(tags, entityTag(fingerprint)):
		h.Set("ETag", entityTag(fingerprint))
		w.WriteHeader(http.StatusNotModified)
		p.log(r, slog.LevelDebug, "unchanged", slog.Any("fingerprint", fingerprint))
	default:
		text := b.Combined()
		h.Set("ETag", entityTag(fingerprint))
		h.Set("Content-Type", "application/x-pem-file")
		h.Set("Content-Length", strconv.Itoa(len(text)))
		w.Write(text)
		p.log(r, slog.LevelDebug, "sent", slog.Any("fingerprint", fingerprint))
	}
}

// fetch asks the source. The bundle is nil if the client has the one of that fingerprint.
func (p *Publisher) fetch(ctx context.Context, name string, tags []string) (*Bundle, Fingerprint, error) {
	var have Fingerprint
	if len(tags) == 1 {
		have = taggedFingerprint(tags[0])
	}
	b, err := p.Source.Fetch(ctx, name, have)
	if errors.Is(err, ErrNotModified) && !have.IsZero() {
		return nil, have, nil
	}
	if err == nil && b == nil {
		err = errNoBundle
	}
	if err != nil {
		return nil, have, err
	}
	if err := b.checkKey(); err != nil {
		return nil, have, fmt.Errorf("not sent: %w", err)
	}
	return b, b.Fingerprint(), nil
}

// refuse answers with an error that is the client's.
func (p *Publisher) refuse(w http.ResponseWriter, r *http.Request, status int) {
	http.Error(w, http.StatusText(status), status)
	p.log(r, slog.LevelWarn, "refused", slog.Int("status", status))
}

// maxLogged is how much of a path or a method is logged, in bytes: more than a name has.
// Who is not allowed anything could fill the disk with them.
const maxLogged = 256

func (p *Publisher) log(r *http.Request, level slog.Level, what string, attr slog.Attr) {
	if p.Log != nil {
		cut := func(text string) string { return text[:min(len(text), maxLogged)] }
		p.Log.LogAttrs(r.Context(), level, what, slog.String("from", r.RemoteAddr), slog.String("method", cut(r.Method)), slog.String("path", cut(r.URL.Path)), attr)
	}
}

// entityTag is a fingerprint as an ETag (RFC 9110, section 8.8.3).
func entityTag(f Fingerprint) string { return `"` + f.String() + `"` }

// taggedFingerprint is the fingerprint that an entity tag is made of, or none.
func taggedFingerprint(tag string) Fingerprint {
	f, err := ParseFingerprint(strings.Trim(tag, `"`))
	if err != nil || entityTag(f) != tag {
		return Fingerprint{}
	}
	return f
}

// entityTags are those of If-None-Match. They are compared weakly, so that W/ does not
// matter. A comma within a tag splits it in two that match nothing: neither has both quotes.
func entityTags(h http.Header) []string {
	var tags []string
	for _, line := range h.Values("If-None-Match") {
		for tag := range strings.SplitSeq(line, ",") {
			if tag = strings.TrimPrefix(strings.Trim(tag, " \t"), "W/"); tag != "" {
				tags = append(tags, tag)
			}
		}
	}
	return tags
}

// within reports whether an address lies in one of the prefixes.
func within(prefixes []netip.Prefix, a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return unmapPrefix(p).Contains(a) })
}

// unmapPrefix is an IPv4 prefix that was written in the form of an IPv6 one.
func unmapPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}
