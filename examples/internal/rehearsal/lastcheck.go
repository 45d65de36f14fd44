package rehearsal

import (
	"context"
	"fmt"
)

// lastCheck is phase 7: everything once more, by the path that is left.
func (r *rehearsal) lastCheck(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	servers := r.servers()
	servers[0] = r.router.dns.addr
	r.check("DNS answers from home, and the secondary with it", "AXFR by the new path, and from the secondary, against the file", "", r.same(limited, r.zone, servers))
	r.check("the newest certificate is served", "a handshake by the new path", r.newest(), r.servesNewest(limited, r.router.tls.addr))
	before := r.client.acks.get()
	err := r.client.deliver(limited, r.router.service.addr)
	if after := r.client.acks.get(); err == nil && after <= before {
		err = fmt.Errorf("its number is %d, and another one had %d", after, before)
	}
	r.check("the service takes messages at home", "one delivered by the new path", "", err)
	r.notTried("mail leaves: port 25 is open to the outside", "a connection from the router", "cloud providers close it until they are asked, and only the router can tell")
	r.notTried("IPv4 and IPv6, in and out, from elsewhere", "ping and connections from another network", "there is no other network here")
	return ctx.Err()
}
