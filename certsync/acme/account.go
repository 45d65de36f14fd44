package acme

import (
	"context"
	"crypto"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-acme/lego/v4/acme/api"
	"github.com/go-acme/lego/v4/certcrypto"
	"github.com/go-acme/lego/v4/registration"

	"github.com/rehost/rehost/certsync"
	"github.com/rehost/rehost/internal/textfile"
)

// An account is one at the authority, as the lego program keeps it:
//
//	accounts/HOST_PORT/EMAIL/account.json
//	accounts/HOST_PORT/EMAIL/keys/EMAIL.key
type account struct {
	Email        string                 `json:"email"`
	Registration *registration.Resource `json:"registration"` // nil: not registered yet
	key          crypto.PrivateKey
}

// GetEmail, GetRegistration and GetPrivateKey are what lego asks of an account.
func (a *account) GetEmail() string                        { return a.Email }
func (a *account) GetRegistration() *registration.Resource { return a.Registration }
func (a *account) GetPrivateKey() crypto.PrivateKey        { return a.key }

// accountDir is where the account lies, and the name of its key.
func (i *Issuer) accountDir() (dir, key string) {
	user := i.cfg.Email
	if user == "" {
		user = "noemail@example.com" // as lego has it
	}
	dir = filepath.Join(i.cfg.Path, "accounts", strings.ReplaceAll(i.host, ":", "_"), user)
	return dir, filepath.Join(dir, "keys", user+".key")
}

// loadAccount reads the account. If there is none, it makes a key.
func (i *Issuer) loadAccount(ctx context.Context) (*account, error) {
	dir, keyFile := i.accountDir()
	a := &account{Email: i.cfg.Email}
	data, err := os.ReadFile(keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		if a.key, err = certcrypto.GeneratePrivateKey(certcrypto.EC256); err != nil {
			return nil, err
		}
		return a, save(ctx, keyFile, pem.EncodeToMemory(certcrypto.PEMBlock(a.key)))
	}
	if err != nil {
		return nil, err
	}
	if a.key, err = certcrypto.ParsePEMPrivateKey(data); err != nil {
		return nil, &certsync.ParseError{File: keyFile, Err: err}
	}
	file := filepath.Join(dir, "account.json")
	data, err = os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, a); err != nil {
		return nil, &certsync.ParseError{File: file, Err: err}
	}
	if a.Registration != nil && a.Registration.URI == "" {
		a.Registration = nil
	}
	return a, nil
}

// register makes the account at the authority, or finds the one that has its key already
// (RFC 8555, section 7.3.1), as after a crash.
func (i *Issuer) register(ctx context.Context, a *account) error {
	core, err := api.New(i.client(ctx), userAgent, i.cfg.Directory, "", a.key)
	if err != nil {
		return err
	}
	registrar := registration.NewRegistrar(core, a)
	if i.cfg.KeyID != "" {
		a.Registration, err = registrar.RegisterWithExternalAccountBinding(registration.RegisterEABOptions{
			TermsOfServiceAgreed: true, Kid: i.cfg.KeyID, HmacEncoded: i.cfg.HMAC.Reveal(),
		})
	} else {
		a.Registration, err = registrar.Register(registration.RegisterOptions{TermsOfServiceAgreed: true})
	}
	if err != nil {
		return fmt.Errorf("register the account: %w", err)
	}
	i.log.InfoContext(ctx, "registered an account", "authority", i.host, "account", a.Registration.URI)
	data, err := json.MarshalIndent(a, "", "\t")
	if err != nil {
		return err
	}
	dir, _ := i.accountDir()
	return save(ctx, filepath.Join(dir, "account.json"), data)
}

// save writes a file at once, for nobody else to read.
func save(ctx context.Context, path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	_, err = certsync.Output{Path: path, Mode: 0o600, Data: data}.Save(ctx, "/")
	return err
}

// lock keeps others who have the same path away. It waits as long as the context allows,
// and ends with the process.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	return textfile.Lock(ctx, filepath.Join(path, ".lock"))
}
