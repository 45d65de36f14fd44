package zone

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

func (r Record) RR() (dns.RR, error) {
	class := r.Class
	if class == "" {
		class = "IN"
	}
	rr, err := dns.NewRR(fmt.Sprintf("%s 0 %s %s %s", r.Owner, class, strings.ToUpper(r.Type), r.Data))
	if err == nil && rr == nil {
		err = fmt.Errorf("no record")
	}
	return rr, err
}
