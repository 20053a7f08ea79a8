// Package app is the wiring: it knows every setting, builds the parts, puts
// them together, and takes them apart in the reverse order.
package app

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/pipeline/compose"
	"github.com/chartpost/chartpost/pipeline/guard"
	"github.com/chartpost/chartpost/redoxclient"
	"github.com/chartpost/chartpost/schemas"
)

// NATS says how to reach the queue. Its flags carry their whole names, because
// the prefix of all subjects is a setting of the deployment: --prefix.
type NATS struct {
	URL    string `name:"nats-url" default:"nats://127.0.0.1:4222" help:"Servers, separated by commas."`
	Creds  string `name:"nats-creds" type:"path" placeholder:"FILE" help:"Credentials file of the NATS user."`
	Nkey   string `name:"nats-nkey" type:"path" placeholder:"FILE" help:"Seed file of an NKey user."`
	TLSCA  string `name:"nats-tls-ca" type:"path" placeholder:"FILE" help:"PEM file of the authority that signed the servers' certificates."`
	TLSCrt string `name:"nats-tls-cert" type:"path" placeholder:"FILE" help:"PEM file of this client's certificate."`
	TLSKey string `name:"nats-tls-key" type:"path" placeholder:"FILE" help:"PEM file of this client's key."`
	Prefix string `name:"prefix" default:"chartpost" help:"Start of every subject; streams and buckets carry it in capitals."`
}

// Streams says how the streams and buckets are kept.
type Streams struct {
	Replicas      int           `default:"1" help:"Copies of each stream: 1, 3 or 5. Use 3 where losing a server must lose nothing."`
	EventsAge     time.Duration `default:"720h" help:"How long events are kept."`
	EventsBytes   int64         `default:"0" help:"Most bytes of events on disk, oldest out first; 0 is no limit."`
	DeadAge       time.Duration `default:"2160h" help:"How long dead letters are kept."`
	AuditAge      time.Duration `default:"9600h" help:"How long the records of what operators did are kept."`
	LedgerAge     time.Duration `default:"336h" help:"How long the ledger remembers a job that has ended, after its last change."`
	LedgerOpenAge time.Duration `default:"2160h" help:"How long the ledger remembers a job that is still under way, say in a paused lane, after its last change."`
	Duplicates    time.Duration `name:"dedup-window" default:"10m" help:"How long the message id of an event or a dead letter is remembered; it must outlast every retry of a publish. Those of jobs are not remembered."`
	Lanes         int           `default:"500" help:"Lanes (class and destination) that have a consumer in the queue at once. Where more hold jobs they take turns. Sensible are up to 2,000 on one server, and 500 on three."`
}

// S3 says how to reach the files.
type S3 struct {
	Endpoint  string   `placeholder:"URL" help:"Base URL of an S3 server; empty is AWS."`
	Region    string   `placeholder:"NAME" help:"Region of the buckets; empty takes the AWS environment's, and us-east-1 with an endpoint."`
	PathStyle bool     `help:"Put the bucket into the path instead of the host name. Most servers other than AWS need it."`
	Buckets   []string `placeholder:"BUCKET[/PREFIX]" help:"Buckets, each with an optional key prefix, that jobs may name; empty is any."`
}

// Redox says which Redox to deliver to, and as whom.
type Redox struct {
	Environment   string   `placeholder:"NAME" help:"Development, Staging or Production. Required: it has no default, so that a test cannot reach production by a typo."`
	APIURL        string   `name:"api-url" default:"https://api.redoxengine.com" help:"Base URL of the API."`
	TokenURL      string   `name:"token-url" default:"https://api.redoxengine.com/v2/auth/token" help:"Where tokens are asked for."`
	TokenAudience string   `placeholder:"URL" help:"Audience of the assertion; empty is the token URL."`
	BlobURL       string   `name:"blob-url" placeholder:"URL" help:"Base URL of the Data Model's file upload. Empty is Redox's own, and only beside Redox's own API."`
	BlobHosts     []string `default:"blob.redoxengine.com" help:"Hosts whose URLs are believed in the answer to an upload."`
	ClientID      string   `name:"client-id" placeholder:"ID" help:"Client ID of the API key. Required."`
	KeyFile       string   `type:"path" placeholder:"FILE" help:"Private key. Required. PEM or JWK: RSA of 2048 bits or more, or P-384. It is read again when it changes."`
	KeyID         string   `name:"key-id" placeholder:"KID" help:"Key id (kid) of the API key; empty where the JWK names it."`
	SourceID      string   `name:"source-id" placeholder:"UUID" help:"Redox source of jobs that name none."`
	TLSCA         string   `name:"tls-ca" type:"path" placeholder:"FILE" help:"PEM file of a further authority to trust, for a proxy or a simulator."`
}

// Message says what a deployment may decide where the Redox docs leave a
// question open.
type Message struct {
	ObservationFile string `placeholder:"PLACE" help:"Where an Observation carries its file: the URL of an extension, or valueAttachment for an element of that name. Empty is HL7's cross-version extension; Redox shows no sample."`
	UploadedNote    string `placeholder:"TYPE" help:"Note.ContentType of a note that names an uploaded file: Base64 Encoded (the default, as the Redox docs have it) or Plain Text (as one working client sends)."`
}

// Files says which files may leave; docs/content-guard.md has the rules.
type Files struct {
	AllowedTypes []string `placeholder:"TYPE" help:"MIME types of the files that may leave. Empty is documents, images, texts, sound and film; none of them runs code."`
	WaivedRules  []string `placeholder:"CODE" help:"Rules to turn off: file_encrypted, file_truncated, file_type_contradicted, file_charset."`
}

// Check reports every fault of the settings.
func (n NATS) Check() error {
	var f faults
	for one := range strings.SplitSeq(n.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		if err != nil || u.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
			f.add("nats-url", "must be URLs like nats://host:4222, separated by commas")
			break
		}
		if u.User != nil {
			f.add("nats-url", "must hold no user, password or token; use --nats-creds or --nats-nkey")
			break
		}
	}
	if err := schemas.CheckPrefix(n.Prefix); err != nil {
		f.add("prefix", "%v", err)
	}
	if (n.TLSCrt == "") != (n.TLSKey == "") {
		f.add("nats-tls-cert", "goes together with --nats-tls-key")
	}
	f.files("nats-creds", n.Creds)
	f.files("nats-nkey", n.Nkey)
	f.files("nats-tls-ca", n.TLSCA)
	f.files("nats-tls-cert", n.TLSCrt)
	f.files("nats-tls-key", n.TLSKey)
	return f.join()
}

func (n NATS) config(name string) natsq.Config {
	return natsq.Config{URL: n.URL, Creds: n.Creds, NKey: n.Nkey, CA: n.TLSCA, Cert: n.TLSCrt, Key: n.TLSKey, Prefix: n.Prefix, Name: name}
}

// Check reports every fault of the settings.
func (s Streams) Check() error {
	var f faults
	if !slices.Contains([]int{1, 3, 5}, s.Replicas) {
		f.add("replicas", "must be 1, 3 or 5")
	}
	hour := func(flag string, d time.Duration) {
		if d < time.Hour {
			f.add(flag, "must be at least 1h")
		}
	}
	hour("events-age", s.EventsAge)
	hour("dead-age", s.DeadAge)
	hour("audit-age", s.AuditAge)
	hour("ledger-age", s.LedgerAge)
	if s.LedgerOpenAge < s.LedgerAge {
		f.add("ledger-open-age", "must be at least --ledger-age")
	}
	if s.Duplicates < 2*time.Minute {
		f.add("dedup-window", "must be at least 2m: a publish is retried for up to a minute")
	}
	if s.Lanes < 1 || s.Lanes > 10_000 {
		f.add("lanes", "must be between 1 and 10000")
	}
	if s.EventsBytes < 0 {
		f.add("events-bytes", "must not be negative")
	}
	return f.join()
}

// Layout is the settings in the words of the queue.
func (s Streams) Layout() natsq.Layout {
	return natsq.Layout{
		Replicas: s.Replicas, EventsBytes: s.EventsBytes, EventsAge: s.EventsAge,
		DeadAge: s.DeadAge, AuditAge: s.AuditAge, LedgerAge: s.LedgerAge, LedgerOpenAge: s.LedgerOpenAge, Duplicates: s.Duplicates,
		Lanes: s.Lanes,
	}
}

// Check reports every fault of the settings.
func (s S3) Check() error {
	var f faults
	if s.Endpoint != "" {
		if u, err := url.Parse(s.Endpoint); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			f.add("s3-endpoint", "must be a URL like https://s3.example.org")
		} else if u.User != nil {
			f.add("s3-endpoint", "must hold no user and no password; credentials come by the AWS SDK's own chain")
		}
	}
	for _, b := range s.Buckets {
		if bucket, _, _ := strings.Cut(b, "/"); bucket == "" {
			f.add("s3-buckets", "each entry must be BUCKET or BUCKET/PREFIX")
		}
	}
	return f.join()
}

var sourceID = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// Check reports every fault of the settings. The key itself is checked by the
// client that is made with it.
func (r Redox) Check() error {
	var f faults
	f.errors(r.checkEnvironment())
	if r.ClientID == "" {
		f.add("redox-client-id", "is required: the client ID of the API key in the Redox dashboard")
	}
	if r.KeyFile == "" {
		f.add("redox-key-file", "is required: the private key of the API key")
	}
	f.urls("redox-api-url", r.APIURL)
	f.urls("redox-token-url", r.TokenURL)
	if r.BlobURL == "" && r.APIURL != redoxclient.DefaultAPIURL {
		f.add("redox-blob-url", "is required beside an API that is not Redox's US one: files must not go to another Redox than their messages")
	} else if r.BlobURL != "" {
		f.urls("redox-blob-url", r.BlobURL)
	}
	f.files("redox-key-file", r.KeyFile)
	f.files("redox-tls-ca", r.TLSCA)
	f.errors(CheckSourceID(r.SourceID))
	return f.join()
}

func (r Redox) checkEnvironment() error {
	var f faults
	if r.Environment == "" {
		f.add("redox-environment", "is required: Development, Staging or Production")
	} else if !slices.Contains(environments, schemas.Environment(r.Environment)) {
		f.add("redox-environment", "must be exactly Development, Staging or Production")
	}
	return f.join()
}

// CheckSourceID refuses what is neither empty nor a UUID.
func CheckSourceID(id string) error {
	var f faults
	if id != "" && !sourceID.MatchString(id) {
		f.add("redox-source-id", "must be a UUID")
	}
	return f.join()
}

// Check reports every fault of the settings.
func (m Message) Check() error {
	var f faults
	if err := (compose.Composer{ObservationFile: m.ObservationFile}).Validate(); err != nil {
		f.add("observation-file", "%v", err)
	}
	if err := (compose.Composer{UploadedNote: m.UploadedNote}).Validate(); err != nil {
		f.add("uploaded-note", "%v", err)
	}
	return f.join()
}

// Check reports every fault of the settings.
func (s Files) Check() error {
	var f faults
	if err := (guard.Policy{Allowed: s.AllowedTypes}).Check(); err != nil {
		f.add("allowed-types", "%v", err)
	}
	if err := (guard.Policy{Waived: s.WaivedRules}).Check(); err != nil {
		f.add("waived-rules", "%v", err)
	}
	return f.join()
}

func (s Files) policy() guard.Policy {
	return guard.Policy{Allowed: s.AllowedTypes, Waived: s.WaivedRules}
}

func (m Message) composer() compose.Composer {
	return compose.Composer{ObservationFile: m.ObservationFile, UploadedNote: m.UploadedNote}
}

var environments = []schemas.Environment{schemas.Development, schemas.Staging, schemas.Production}
