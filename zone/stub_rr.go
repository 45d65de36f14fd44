package zone

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/miekg/dns"
)

func (r Record) RR() (dns.RR, error) {
	class := r.Class
	if class == "" {
		class = "IN"
	}
	ttl := 0
	if r.TTL != nil {
		ttl = int(r.TTL.Seconds())
	}
	rr, err := dns.NewRR(fmt.Sprintf("%s %d %s %s %s", strings.ReplaceAll(r.Owner, "\\119", "w"), ttl, class, strings.ToUpper(r.Type), r.Data))
	if err == nil && rr == nil {
		err = fmt.Errorf("no record")
	}
	return rr, err
}

func wireData(rr dns.RR) ([]byte, error) {
	fields := reflect.ValueOf(rr).Elem()
	for i := range fields.NumField() {
		switch fields.Type().Field(i).Tag.Get("dns") {
		case "domain-name", "cdomain-name":
			if field := fields.Field(i); field.Kind() == reflect.String {
				field.SetString(dns.CanonicalName(field.String()))
			}
		}
	}
	wire := make([]byte, dns.Len(rr)+1)
	n, err := dns.PackRR(rr, wire, 0, nil, false)
	if err != nil {
		return nil, err
	}
	_, at, err := dns.UnpackDomainName(wire, 0)
	return wire[at+10 : n], err
}
