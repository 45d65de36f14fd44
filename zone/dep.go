package zone

import _ "github.com/miekg/dns"
