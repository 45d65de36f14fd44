package certsync

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// defaultAsk is how often the issuer is asked for the window if it does not say (RFC 9773,
// section 4.3.3).
const defaultAsk = 6 * time.Hour

// schedule draws when a certificate is to be renewed, unless it has been.
func (r *renewRun) schedule(ctx context.Context, s *renewal, b *Bundle, leaf *x509.Certificate) {
	fp, now := b.Fingerprint(), time.Now()
	if s.Fingerprint != fp {
		*s = renewal{Fingerprint: fp, Failures: s.Failures, Problem: s.Problem, Retry: s.Retry, Succeeded: s.Succeeded, Notified: s.Notified}
	}
	start, end := s.Start, s.End
	if !ahead(s.Ask) {
		info, err := r.ask(ctx, b, leaf)
		switch {
		case err == nil:
			start, end = info.Start, info.End
		case !errors.Is(err, errors.ErrUnsupported):
			loggerOf(r.Log).WarnContext(ctx, "cannot ask when to renew", "name", b.Name, "err", err)
		}
		// A minute and a day are the limits of RFC 9773, section 4.3.2.
		s.Ask = now.Add(min(max(cmp.Or(info.RetryAfter, defaultAsk), time.Minute), day))
	}
	if start.IsZero() { // it cannot say, and never could
		life := leaf.NotAfter.Sub(leaf.NotBefore)
		start = leaf.NotAfter.Add(-life / 3)
		end = start.Add(life / 30)
	}
	if !start.Equal(s.Start) || !end.Equal(s.End) {
		s.Start, s.End, s.At = start, end, start.Add(rand.N(max(end.Sub(start), 1)))
	}
}

// ask asks the issuer for a window that makes sense.
func (r *renewRun) ask(ctx context.Context, b *Bundle, leaf *x509.Certificate) (RenewalInfo, error) {
	informer, ok := r.Issuer.(RenewalInformer)
	if !ok {
		return RenewalInfo{}, errors.ErrUnsupported
	}
	info, err := informer.RenewalInfo(ctx, b)
	if err != nil {
		return RenewalInfo{}, err
	}
	if !info.End.After(info.Start) || info.End.After(leaf.NotAfter) {
		return RenewalInfo{}, fmt.Errorf("no certificate could be renewed from %s to %s", info.Start.Format(time.RFC3339), info.End.Format(time.RFC3339))
	}
	return info, nil
}
