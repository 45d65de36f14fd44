package acme_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-acme/lego/v4/challenge/dns01"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/certsync"
	"github.com/rehost/rehost/certsync/acme"
)

// An endless authority never comes to the end of a validation, and asks for patience.
type endless struct{ retryAfter string }

func (e endless) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	const base = "https://acme.example.net/"
	path := strings.TrimPrefix(req.URL.String(), base)
	body := map[string]string{
		"directory": `{"newNonce": "BASEnonce", "newAccount": "BASEaccount", "newOrder": "BASEorder"}`,
		"account":   `{"status": "valid"}`,
		"order": `{"status": "pending", "identifiers": [{"type": "dns", "value": "senate.example.net"}],
			"authorizations": ["BASEauthorization"], "finalize": "BASEfinalize"}`,
		"authorization": `{"status": "pending", "identifier": {"type": "dns", "value": "senate.example.net"},
			"challenges": [{"type": "dns-01", "url": "BASEchallenge", "token": "token", "status": "pending"}]}`,
		"challenge": `{"type": "dns-01", "url": "BASEchallenge", "token": "token", "status": "processing"}`,
	}[path]
	header := http.Header{"Replay-Nonce": {"nonce"}, "Location": {base + path + "/1"}, "Link": {"<" + base + `authorization>;rel="up"`}}
	if path == "challenge" {
		header.Set("Retry-After", e.retryAfter)
	}
	return &http.Response{StatusCode: http.StatusOK, Request: req, Header: header,
		Body: readCloser{strings.NewReader(strings.ReplaceAll(body, "BASE", base))}}, nil
}

// A zone tells when records come and go.
type zone struct {
	mu      sync.Mutex
	changes []string
}

func (z *zone) Present(_, _, _ string) error { return z.add("present") }
func (z *zone) CleanUp(_, _, _ string) error { return z.add("clean up") }

func (z *zone) add(change string) error {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.changes = append(z.changes, change)
	return nil
}

func (z *zone) all() []string {
	z.mu.Lock()
	defer z.mu.Unlock()
	return slices.Clone(z.changes)
}

func endlessConfig(t *testing.T, retryAfter string) (acme.Config, *zone) {
	t.Setenv("LEGO_DISABLE_CNAME_SUPPORT", "true") // nobody is asked for names here
	z := &zone{}
	return acme.Config{
		Directory: "https://acme.example.net/directory", AcceptTerms: true, Path: t.TempDir(),
		HTTP: &http.Client{Transport: endless{retryAfter}}, DNS01: z,
		DNS01Options: []dns01.ChallengeOption{dns01.WrapPreCheck(func(_, _, _ string, _ dns01.PreCheckFunc) (bool, error) { return true, nil })},
	}, z
}

func TestAuthorityThatComesToNoEnd(t *testing.T) {
	cfg, _ := endlessConfig(t, "1000000")
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := issuer(t, cfg).Issue(t.Context(), certsync.Request{Name: "senate.example.net"})
		assert.ErrorContains(t, err, "acme.example.net: no certificate after 2h0m0s")
		assert.Equal(t, 2*time.Hour, time.Since(start))
		time.Sleep(1000 * time.Hour) // lego wakes up, and sees that it is over
	})
}

func TestIssueWaitsForWhatWasCancelled(t *testing.T) {
	cfg, z := endlessConfig(t, "600")
	synctest.Test(t, func(t *testing.T) {
		i := issuer(t, cfg)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("stopped"))
		defer cancel()
		start := time.Now()
		_, err := i.Issue(ctx, certsync.Request{Name: "senate.example.net"})
		require.ErrorContains(t, err, "stopped")
		assert.Equal(t, time.Minute, time.Since(start))
		require.Equal(t, []string{"present"}, z.all())

		again, cancelAgain := context.WithTimeout(t.Context(), time.Hour)
		defer cancelAgain()
		_, err = i.Issue(again, certsync.Request{Name: "senate.example.net"})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, []string{"present", "clean up", "present"}, z.all())
		time.Sleep(time.Hour)
		assert.Equal(t, []string{"present", "clean up", "present", "clean up"}, z.all())
	})
}

// A fault gives one answer to all requests.
type fault struct {
	status int
	body   io.Reader
}

func (f fault) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: f.status, Request: req, Header: http.Header{}, Body: io.NopCloser(f.body)}, nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestAnswersOfAServerAtFault(t *testing.T) {
	ca, err := certsync.NewLocalCA(nil)
	require.NoError(t, err)
	b, err := ca.Issue(t.Context(), certsync.Request{Name: "senate.example.net"})
	require.NoError(t, err)
	for name, test := range map[string]struct {
		answer func() fault
		want   string
	}{
		"a page": {func() fault {
			return fault{502, strings.NewReader("<html>\r\n\x1b[2J" + strings.Repeat("sorry ", 9999))}
		}, "<html> [2Jsorry sorry "},
		"no end":          {func() fault { return fault{200, zeros{}} }, "too large"},
		"no end of error": {func() fault { return fault{500, zeros{}} }, "too large"},
		"no directory":    {func() fault { return fault{200, strings.NewReader("{}")} }, "directory missing"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, _ := endlessConfig(t, "")
			cfg.HTTP = &http.Client{Transport: test.answer()}
			_, issueErr := issuer(t, cfg).Issue(t.Context(), certsync.Request{Name: "senate.example.net"})
			cfg.HTTP = &http.Client{Transport: test.answer()}
			_, infoErr := issuer(t, cfg).RenewalInfo(t.Context(), b)
			for _, err := range []error{issueErr, infoErr} {
				require.ErrorContains(t, err, test.want)
				assert.Less(t, len(err.Error()), 2100)
				assert.NotRegexp(t, `[[:cntrl:]]`, err.Error())
			}
		})
	}
}

type silent struct{}

func (silent) RoundTrip(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

func TestRequestsEndWithoutATimeoutOfTheClient(t *testing.T) {
	cfg, _ := endlessConfig(t, "")
	cfg.HTTP = &http.Client{Transport: silent{}}
	ca, err := certsync.NewLocalCA(nil)
	require.NoError(t, err)
	b, err := ca.Issue(t.Context(), certsync.Request{Name: "senate.example.net"})
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := issuer(t, cfg).RenewalInfo(t.Context(), b)
		assert.Error(t, err)
		assert.Equal(t, time.Minute, time.Since(start))
	})
}
