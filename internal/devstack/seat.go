package devstack

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
)

// clusterName is the name of every cluster here; none meets another.
const clusterName = "devstack"

// Seat is a node's place in a cluster.
type Seat struct {
	// Name is the node's; the cluster tells its leaders by it.
	Name string `json:"name"`
	// Port is where the node hears the others, who hear at Routes, its own port
	// among them. Both must be known before the first node starts.
	Port   int   `json:"port"`
	Routes []int `json:"routes"`
}

// fill puts the seat into the settings of a server inside this process.
func (s *Seat) fill(settings *server.Options) {
	settings.ServerName = s.Name
	settings.Cluster = server.ClusterOpts{Name: clusterName, Host: "127.0.0.1", Port: s.Port}
	for _, port := range s.Routes {
		settings.Routes = append(settings.Routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", port)})
	}
}

// config is the seat in the words of a configuration file.
func (s *Seat) config() string {
	var routes []string
	for _, port := range s.Routes {
		routes = append(routes, fmt.Sprintf("\"nats://127.0.0.1:%d\"", port))
	}
	return fmt.Sprintf("server_name: %q\ncluster { name: %s, listen: \"127.0.0.1:%d\", routes: [%s] }\n",
		s.Name, clusterName, s.Port, strings.Join(routes, ", "))
}

// seats takes ports for n nodes, which are theirs until they are closed.
func seats(n int) (all []*Seat, claims []*Port, err error) {
	var numbers []int
	for range n {
		port, err := TakePort()
		if err != nil {
			return nil, nil, errors.Join(err, closePorts(claims))
		}
		claims, numbers = append(claims, port), append(numbers, port.Number)
	}
	for i, number := range numbers {
		all = append(all, &Seat{Name: fmt.Sprintf("node-%d", i), Port: number, Routes: numbers})
	}
	return all, claims, nil
}

func closePorts(claims []*Port) error {
	var faults []error
	for _, claim := range claims {
		faults = append(faults, claim.Close())
	}
	return errors.Join(faults...)
}
