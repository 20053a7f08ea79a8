package app

import (
	"errors"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/chartpost/chartpost/internal/intake/access"
	"github.com/chartpost/chartpost/internal/s3source"
	"github.com/chartpost/chartpost/schemas"
)

// IntakeSettings are everything an intake needs.
type IntakeSettings struct {
	NATS      NATS
	S3        S3
	Job       IntakeJobs
	Files     Files
	Message   Message
	Doors     IntakeDoors
	Callers   IntakeCallers
	Limits    IntakeLimits
	HTTP      HTTP
	FileStall time.Duration
}

// IntakeJobs says what a job is held to, as the workers have it.
type IntakeJobs struct {
	Environment string `name:"redox-environment" placeholder:"NAME" help:"Development, Staging or Production, as the workers have it. Required."`
	SourceID    string `name:"redox-source-id" placeholder:"UUID" help:"Redox source of jobs that name none, as the workers have it."`
	EmbedLimit  int64  `name:"embed-limit" default:"200000" help:"Largest sum of a job's files, in bytes, that transfer auto embeds."`
	FileLimit   int64  `name:"file-limit" default:"30000000" help:"Largest file, in bytes."`
	CheckFiles  bool   `name:"check-files" help:"Look at the files of each job before it is taken: they must be there, and the content guard must let them leave. It costs some requests to the object store for each job."`
}

// IntakeDoors says where jobs come in.
type IntakeDoors struct {
	Addr        string        `name:"intake-addr" default:"127.0.0.1:8085" placeholder:"HOST:PORT" help:"Where to take jobs over HTTP; none is nowhere. Beyond this machine it needs callers to know (--oidc-issuer or --intake-client-ca), and TLS."`
	TLSCert     string        `name:"intake-tls-cert" type:"path" placeholder:"FILE" help:"PEM file of the server's certificate. It is read again when it changes."`
	TLSKey      string        `name:"intake-tls-key" type:"path" placeholder:"FILE" help:"PEM file of its key."`
	ClientCA    string        `name:"intake-client-ca" type:"path" placeholder:"FILE" help:"PEM file of the authorities whose client certificates are taken. Which they are says --intake-callers."`
	BehindProxy bool          `name:"behind-proxy" help:"TLS ends at a proxy before the intake: take plain HTTP from other machines. Callers then show tokens."`
	NATS        string        `name:"intake-nats" default:"on" enum:"on,off" placeholder:"on" help:"on: take jobs over NATS too, as a micro service. What a program may submit there, its permissions on the subject say."`
	NATSFiles   []string      `name:"nats-files" placeholder:"BUCKET[/PREFIX]" help:"What jobs over NATS may name. {destination} stands for the destination of the subject, * for every file. Empty is none."`
	Uploads     string        `name:"uploads" placeholder:"BUCKET[/PREFIX]" help:"Where files go that callers send over HTTP, each caller's below a folder of its own; empty takes none."`
	Grace       time.Duration `name:"intake-grace" default:"20s" help:"How long requests in hand may take after a signal to stop."`
}

// IntakeCallers says who is let in over HTTP.
type IntakeCallers struct {
	File         string `name:"intake-callers" type:"path" placeholder:"FILE" help:"YAML list of callers: their certificates or claims, and what they may do. docs/intake.md shows one. It is read at the start."`
	Issuer       string `name:"oidc-issuer" placeholder:"URL" help:"Take bearer tokens (JWT) of this OpenID Connect provider; its URL as the tokens have it."`
	Audience     string `name:"oidc-audience" placeholder:"NAME" help:"Audience that tokens must have. Required with --oidc-issuer."`
	Destinations string `name:"oidc-destinations-claim" default:"chartpost_destinations" placeholder:"NAME" help:"Claim that lists the destinations of a caller that --intake-callers does not name."`
	Classes      string `name:"oidc-classes-claim" default:"chartpost_classes" placeholder:"NAME" help:"Claim that lists its classes."`
	Files        string `name:"oidc-files-claim" default:"chartpost_files" placeholder:"NAME" help:"Claim that lists the buckets and prefixes that its jobs may name, beside its own uploads."`
}

// IntakeLimits bound each caller, and the process.
type IntakeLimits struct {
	Rate        int   `name:"caller-rate" default:"200" help:"Jobs, files and questions of one caller in a second; twice as many may come at once. 0 is no limit."`
	Bytes       int64 `name:"caller-bytes" default:"100000000" help:"Bytes of jobs and files of one caller in a second; what is more is read more slowly. 0 is no limit."`
	Requests    int   `name:"caller-requests" default:"32" help:"Requests of one caller in hand."`
	Streams     int   `name:"caller-streams" default:"4" help:"Event streams of one caller."`
	Lane        int   `name:"lane-limit" default:"100000" help:"Jobs that may wait in a lane: more are refused with 429 until some have ended. 0 is no limit."`
	All         int   `name:"intake-requests" default:"256" help:"Requests in hand of all callers."`
	AllStreams  int   `name:"intake-streams" default:"64" help:"Event streams of all callers; each has a consumer in the queue."`
	Connections int   `name:"intake-connections" default:"1000" help:"Open connections. One too many ends the one that is idle for longest."`
}

// Check reports every fault of the settings.
func (s IntakeSettings) Check() error {
	return errors.Join(s.NATS.Check(), s.S3.Check(), s.Job.Check(), s.Files.Check(), s.Message.Check(), s.Doors.Check(s.S3), s.Callers.Check(), s.Limits.Check(), s.HTTP.Check(), s.whoMay())
}

// Check reports every fault of the settings.
func (j IntakeJobs) Check() error {
	var f faults
	f.errors(Redox{Environment: j.Environment}.checkEnvironment())
	f.errors(CheckSourceID(j.SourceID))
	f.errors(Delivery{EmbedLimit: j.EmbedLimit, FileLimit: j.FileLimit}.CheckLimits())
	return f.join()
}

// Check reports every fault of the settings.
func (d IntakeDoors) Check(s S3) error {
	var f faults
	if d.http() {
		if _, port, err := net.SplitHostPort(d.Addr); err != nil || port == "" {
			f.add("intake-addr", "must be HOST:PORT or :PORT, or none")
		}
	} else if d.NATS == "off" {
		f.add("intake-addr", "is none, and --intake-nats is off: there is no way in")
	}
	if (d.TLSCert == "") != (d.TLSKey == "") {
		f.add("intake-tls-cert", "goes together with --intake-tls-key")
	}
	if d.ClientCA != "" && d.TLSCert == "" {
		f.add("intake-client-ca", "needs --intake-tls-cert and --intake-tls-key")
	}
	if d.BehindProxy && d.TLSCert != "" {
		f.add("behind-proxy", "says that TLS ends at a proxy: leave it out beside --intake-tls-cert")
	}
	f.files("intake-tls-cert", d.TLSCert)
	f.files("intake-tls-key", d.TLSKey)
	f.files("intake-client-ca", d.ClientCA)
	if bucket, prefix, _ := strings.Cut(d.Uploads, "/"); d.Uploads != "" {
		if err := s3source.Admit(s.Buckets, schemas.File{Bucket: bucket, Key: prefix + "x"}); err != nil {
			f.add("uploads", "must be BUCKET or BUCKET/PREFIX/, and one that --s3-buckets allows")
		} else if prefix != "" && !strings.HasSuffix(prefix, "/") {
			f.add("uploads", "a prefix must end with a slash")
		}
	}
	if d.Grace < 0 {
		f.add("intake-grace", "must not be negative")
	}
	return f.join()
}

func (d IntakeDoors) http() bool { return d.Addr != "none" }

// loopback reports whether only this machine reaches the address.
func (d IntakeDoors) loopback() bool {
	host, _, err := net.SplitHostPort(d.Addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// Check reports every fault of the settings.
func (c IntakeCallers) Check() error {
	var f faults
	if (c.Issuer == "") != (c.Audience == "") {
		f.add("oidc-audience", "goes together with --oidc-issuer")
	}
	if c.Issuer != "" {
		u, err := url.Parse(c.Issuer)
		switch {
		case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http":
			f.add("oidc-issuer", "must be a URL like https://id.example.org/realm")
		case u.Scheme == "http" && !(IntakeDoors{Addr: net.JoinHostPort(u.Hostname(), "1")}).loopback():
			f.add("oidc-issuer", "must be https: whoever changes the keys on the way lets anybody in")
		}
	}
	f.files("intake-callers", c.File)
	if _, err := c.list(); err != nil && c.File != "" {
		f.add("intake-callers", "%v", err)
	}
	return f.join()
}

func (c IntakeCallers) list() (access.Callers, error) {
	if c.File == "" {
		return nil, nil
	}
	data, err := readSmall(c.File)
	if err != nil {
		return nil, reason(err)
	}
	return access.ReadCallers(data)
}

// whoMay refuses a door that anybody in the network could walk through.
func (s IntakeSettings) whoMay() error {
	var f faults
	d := s.Doors
	if !d.http() {
		return nil
	}
	known := s.Callers.Issuer != "" || d.ClientCA != ""
	switch {
	case d.ClientCA != "" && s.Callers.File == "":
		f.add("intake-callers", "is required with --intake-client-ca: it says which certificates are whose")
	case s.Callers.File != "" && !known:
		f.add("intake-callers", "needs --oidc-issuer or --intake-client-ca: without them a caller has nothing to show")
	case d.loopback():
	case !known:
		f.add("intake-addr", "is reached from other machines: say who may submit, by --oidc-issuer or --intake-client-ca, or use 127.0.0.1")
	case d.TLSCert == "" && !d.BehindProxy:
		f.add("intake-addr", "is reached from other machines and needs --intake-tls-cert, or --behind-proxy where TLS ends before it")
	}
	return f.join()
}

// Check reports every fault of the settings.
func (l IntakeLimits) Check() error {
	var f faults
	for flag, n := range map[string]int64{"caller-rate": int64(l.Rate), "caller-bytes": l.Bytes, "lane-limit": int64(l.Lane)} {
		if n < 0 {
			f.add(flag, "must not be negative")
		}
	}
	for flag, n := range map[string]int{"caller-requests": l.Requests, "caller-streams": l.Streams, "intake-requests": l.All, "intake-streams": l.AllStreams, "intake-connections": l.Connections} {
		if n < 1 {
			f.add(flag, "must be at least 1")
		}
	}
	return f.join()
}
