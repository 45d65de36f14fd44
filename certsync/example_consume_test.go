package certsync_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/rehost/rehost/certsync"
)

// A directory has versions, and a link to the one that daemons read.
func ExampleDir() {
	ctx := context.Background()
	temp, err := os.MkdirTemp("", "certs")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(temp)
	ca, err := certsync.NewLocalCA(nil)
	if err != nil {
		log.Fatal(err)
	}

	dir := &certsync.Dir{Path: temp, Mode: 0o640}
	for range 2 {
		b, err := ca.Issue(ctx, certsync.Request{Name: "example.net"})
		if err != nil {
			log.Fatal(err)
		}
		if err := dir.Install(ctx, b); err != nil {
			log.Fatal(err)
		}
	}
	show := func() {
		version, err := os.Readlink(filepath.Join(temp, "example.net", "live"))
		if err != nil {
			log.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(temp, "example.net", "live", "*"))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print("version ", version[:6], ":")
		for _, path := range files {
			fmt.Print(" ", filepath.Base(path))
		}
		fmt.Println()
	}
	show()
	if err := dir.Rollback(ctx, "example.net"); err != nil {
		log.Fatal(err)
	}
	show()
	// Output:
	// version 000002: combined.pem fullchain.pem privkey.pem
	// version 000001: combined.pem fullchain.pem privkey.pem
}

// A run installs what is new and tells the daemon that serves it; the next has nothing to
// do.
func ExampleConsumer() {
	ctx := context.Background()
	temp, err := os.MkdirTemp("", "certs")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(temp)
	ca, err := certsync.NewLocalCA(nil)
	if err != nil {
		log.Fatal(err)
	}
	published := &certsync.Dir{Path: filepath.Join(temp, "published"), Layout: certsync.Combined}
	b, err := ca.Issue(ctx, certsync.Request{Name: "senate", Domains: []string{"senate.example.net", "example.net"}})
	if err != nil {
		log.Fatal(err)
	}
	if err := published.Install(ctx, b); err != nil {
		log.Fatal(err)
	}

	consumer := &certsync.Consumer{
		Source: published, // from another machine, a Client
		Dir:    &certsync.Dir{Path: filepath.Join(temp, "installed")},
		Policy: certsync.Policy{Roots: ca.Roots()},
		Certificates: []certsync.Certificate{
			{Name: "senate", Domains: []string{"senate.example.net", "example.net"}},
		},
		Daemons: []certsync.Daemon{{
			Name: "postfix",
			Reload: func(context.Context) error { // or certsync.ReloadCommand("postfix", "reload")
				fmt.Println("postfix reads its certificates")
				return nil
			},
		}},
	}
	for range 2 {
		events, err := consumer.Sync(ctx)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(len(events), "event:", events)
	}
	// Output:
	// postfix reads its certificates
	// 1 event: [senate: a new certificate, told postfix]
	// 0 event: []
}

// What a cron job with curl would have installed.
func ExampleBundle_Validate() {
	ca, err := certsync.NewLocalCA(&certsync.LocalCAOptions{NoIntermediate: true, Organization: "Example"})
	if err != nil {
		log.Fatal(err)
	}
	b, err := ca.Issue(context.Background(), certsync.Request{Name: "example.net"})
	if err != nil {
		log.Fatal(err)
	}
	b.From = "http://172.16.1.1/certs/example.net"
	err = b.Validate(certsync.Policy{Names: []string{"example.net", "www.example.net"}})
	fmt.Println(err)
	if invalid, ok := errors.AsType[*certsync.InvalidError](err); ok {
		fmt.Println(invalid.Rule)
	}

	_, err = certsync.ParseBundle("example.net", "answer", []byte("<!DOCTYPE html>\n<title>404</title>\n"))
	fmt.Println(err)
	// Output:
	// http://172.16.1.1/certs/example.net: CN=example.net: names: "www.example.net" is not covered
	// http://172.16.1.1/certs/example.net: CN=example.net: chain: the intermediate certificate of CN=Example Root,O=Example is missing
	// names
	// answer:1:1: it holds no PEM block: it is a page of HTML
}
