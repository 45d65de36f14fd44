package certsync

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// update makes one certificate the source's. If there is none to be had, what is wrong with
// the files is put right all the same.
func (r *syncRun) update(ctx context.Context, cert Certificate) {
	have, sound := r.look(ctx, cert.Name)
	r.installed[cert.Name] = have
	b, err := r.offered(ctx, cert.Name, have)
	if err != nil {
		r.fail(cert.Name, err, r.left(cert.Name) > 0)
	}
	offered := b != nil
	if !offered && !sound {
		var lost error
		if b, lost = r.Dir.kept(ctx, cert.Name); lost != nil && err == nil {
			r.fail(cert.Name, lost, false)
		}
	}
	if b == nil {
		return
	}
	policy := r.Policy
	policy.Names = domains(cert.Name, cert.Domains)
	if !r.Force {
		policy.Installed = r.leaf(ctx, cert.Name)
	}
	err = b.Validate(policy)
	if err == nil && r.state.forget(b) {
		// What is put right may have been read while it was wrong.
		err = writeState(r.statePath(), r.state)
	}
	if err == nil {
		err = r.Dir.Install(ctx, b)
	}
	if err != nil {
		r.fail(cert.Name, err, false)
		return
	}
	r.event(cert.Name).New = b.Fingerprint()
	r.installed[cert.Name] = b.Fingerprint()
	if offered {
		delete(r.state.Rejected, cert.Name)
	}
}

// offered returns what the source has and is to be installed: nil if that is what is there.
func (r *syncRun) offered(ctx context.Context, name string, have Fingerprint) (*Bundle, error) {
	b, err := r.Source.Fetch(ctx, name, have)
	if err == nil && b == nil {
		return nil, errNoBundle
	}
	if errors.Is(err, ErrNotModified) && !have.IsZero() || err == nil && b.Fingerprint() == have {
		if r.left(name) <= 0 {
			return nil, fmt.Errorf("it ends %s, and the source has no newer one", r.state.Known[name].NotAfter.Format(time.RFC3339))
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if b.Name != name {
		renamed := *b
		renamed.Name = name
		b = &renamed
	}
	if rej := r.state.Rejected[name]; rej.Fingerprint == b.Fingerprint() && ahead(rej.Until) && !r.Force {
		return nil, fmt.Errorf("the new certificate was rolled back, and is not tried again before %s", rej.Until.Format(time.RFC3339))
	}
	return b, nil
}

// leaf returns the installed certificate, or nil.
func (r *syncRun) leaf(ctx context.Context, name string) *x509.Certificate {
	b, err := r.Dir.Fetch(ctx, name, Fingerprint{})
	if err != nil {
		return nil
	}
	leaf, err := b.Leaf()
	if err != nil {
		return nil
	}
	return leaf
}

// look returns the fingerprint of what is installed, and whether all is as it should be.
func (r *syncRun) look(ctx context.Context, name string) (have Fingerprint, sound bool) {
	stamp := r.Dir.stamp(name, r.own)
	if k := r.state.Known[name]; stamp != "" && k.Stamp == stamp {
		return k.Fingerprint, true
	}
	delete(r.state.Known, name)
	have, sound = r.Dir.inspect(name, r.own)
	leaf := r.leaf(ctx, name)
	if leaf == nil {
		return have, sound
	}
	if r.state.Known == nil {
		r.state.Known = map[string]known{}
	}
	k := known{"", have, leaf.NotBefore, leaf.NotAfter}
	if sound {
		k.Stamp = stamp
	}
	r.state.Known[name] = k
	return have, sound
}

// left is the time until the installed certificate should have been replaced. If there is
// none, that is now.
func (r *syncRun) left(name string) time.Duration {
	k, ok := r.state.Known[name]
	if !ok {
		return 0
	}
	return time.Until(k.NotAfter) - alarmBefore(k.NotBefore, k.NotAfter, r.Alarm)
}

// alarmBefore is how long before its end a certificate should have been replaced.
func alarmBefore(notBefore, notAfter time.Time, alarm time.Duration) time.Duration {
	return cmp.Or(alarm, min(14*day, notAfter.Sub(notBefore)/5))
}
