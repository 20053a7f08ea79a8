package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/chartpost/chartpost/internal/health"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/outcome"
	"github.com/chartpost/chartpost/redoxclient"
	"github.com/chartpost/chartpost/redoxclient/platform"
	"github.com/chartpost/chartpost/schemas"
)

// Outcome says how outcomes are followed in Redox's logs. It is experimental: nothing
// of it was ever tried against the live service.
type Outcome struct {
	Organization string            `placeholder:"ID" help:"Redox organization's id, a whole number. Required to follow Data Model messages."`
	Environment  string            `name:"environment-id" placeholder:"ID" help:"Id of the Redox environment whose logs are searched; empty looks it up by --redox-environment."`
	Region       string            `placeholder:"NAME" help:"Service region of the searches, where the environment has several: AWS_USA_EAST_1, AWS_CAN_CENTRAL or GCP_USA_CENTRAL_1."`
	ClientID     string            `name:"client-id" placeholder:"ID" help:"Client ID of a user-level API key. Required: the key for sending may not read logs."`
	KeyFile      string            `type:"path" placeholder:"FILE" help:"Private key of the user-level API key. Required. PEM or JWK."`
	KeyID        string            `name:"key-id" placeholder:"KID" help:"Key id (kid) of the user-level API key; empty where the JWK names it."`
	Share        float64           `default:"0.05" help:"Part of the request budget that following outcomes may use, 0.001 to 0.5."`
	Destinations map[string]string `placeholder:"SLUG=UUID" help:"Ids in Redox's logs of the destinations of FHIR messages, by slug, separated by semicolons."`
}

// Check reports every fault of the settings.
func (o Outcome) Check() error {
	var f faults
	if o.ClientID == "" {
		f.add("outcome-client-id", "is required: the client ID of a user-level API key")
	}
	if o.KeyFile == "" {
		f.add("outcome-key-file", "is required: the private key of the user-level API key")
	}
	f.files("outcome-key-file", o.KeyFile)
	if !wholeNumber.MatchString(o.Organization) {
		f.add("outcome-organization", "is required, and must be a whole number: the id on the Organization Profile page")
	}
	if o.Region != "" && !slices.Contains(platform.Regions(), o.Region) {
		f.add("outcome-region", "must be one of %s", strings.Join(platform.Regions(), ", "))
	}
	if !(o.Share >= 0.001 && o.Share <= 0.5) {
		f.add("outcome-share", "must be 0.001 to 0.5")
	}
	for _, slug := range slices.Sorted(maps.Keys(o.Destinations)) {
		if !schemas.ValidAddress(slug) || !sourceID.MatchString(o.Destinations[slug]) {
			f.add("outcome-destinations", "each entry must be SLUG=UUID")
			break
		}
	}
	return f.join()
}

var wholeNumber = regexp.MustCompile(`^[0-9]{1,18}$`)

// FollowSettings are everything that following outcomes needs.
type FollowSettings struct {
	NATS    NATS
	Redox   Redox
	Outcome Outcome
	Budget  Budget
	HTTP    HTTP
	// SourceIsOurs: only this deployment sends from Redox.SourceID.
	SourceIsOurs bool
	// OnUnknown is the worker's.
	OnUnknown string
	Telemetry Telemetry
	// Times and Term, how long the tenure of a follower that dies lasts, are the tests';
	// zero is the default.
	Times outcome.Times
	Term  time.Duration
}

// followTerm is the default of FollowSettings.Term.
const followTerm = 8 * time.Second

// Check reports every fault of the settings.
func (s FollowSettings) Check() error {
	var f faults
	if s.SourceIsOurs && s.Redox.SourceID == "" {
		f.add("source-is-ours", "needs --redox-source-id: the source that no other program sends from")
	}
	if s.OnUnknown == OnUnknownEvidence && !s.SourceIsOurs {
		f.add("on-unknown", "evidence needs --source-is-ours: logs say nothing of one job where others write too")
	}
	return errors.Join(s.NATS.Check(), s.Redox.CheckLogs(), s.Outcome.Check(), s.Budget.Check(), s.HTTP.Check(), s.Telemetry.Check(), f.join())
}

// CheckLogs reports every fault of what is needed to read logs: not the key for sending.
func (r Redox) CheckLogs() error {
	var f faults
	if !slices.Contains(environments, schemas.Environment(r.Environment)) {
		f.add("redox-environment", "is required: exactly Development, Staging or Production")
	}
	f.urls("redox-api-url", r.APIURL)
	f.urls("redox-token-url", r.TokenURL)
	f.files("redox-tls-ca", r.TLSCA)
	f.errors(CheckSourceID(r.SourceID))
	return f.join()
}

// PlatformClient makes a client of the Platform API. throttle may be nil.
func PlatformClient(r Redox, o Outcome, throttle redoxclient.Throttle, log *slog.Logger) (*platform.Client, error) {
	trust, err := r.trust()
	if err != nil {
		return nil, err
	}
	tokens, err := redoxclient.NewTokenSource(redoxclient.TokenConfig{
		ClientID: o.ClientID, KeyFile: o.KeyFile, KeyID: o.KeyID, TokenURL: r.TokenURL, Audience: r.TokenAudience, TLS: trust, Throttle: throttle,
		OnKeyError: func(err error) { log.Error("the new user-level key cannot be used; the old one stays", "error", err) },
	})
	if err != nil {
		return nil, fmt.Errorf("the user-level API key: %w", err)
	}
	client, err := platform.New(platform.Config{
		APIURL: r.APIURL, Organization: o.Organization, EnvironmentID: o.Environment, Region: o.Region,
		Tokens: tokens, TLS: trust, Throttle: throttle, UserAgent: "chartpost/" + Version(),
	})
	if err != nil {
		return nil, fmt.Errorf("the client of the Platform API: %w", err)
	}
	return client, nil
}

// RunFollower follows outcomes until ctx ends. ready is called once it is connected.
func RunFollower(ctx context.Context, s FollowSettings, log *slog.Logger, ready func()) error {
	var open stack
	defer open.close(log)
	name := "outcomes-" + strings.ToLower(rand.Text()[:8])
	about := health.New()
	watching := s.Telemetry.open(name, about, &open, log)
	if err := s.HTTP.serve(ctx, about, &open, log); err != nil {
		return err
	}
	queue, err := Queue(s.NATS, name, log)
	if err != nil {
		return err
	}
	open.push("nats", queue.Close)
	aboutQueue(about, queue, &open)
	f, err := s.follower(ctx, queue, name, watching.Outcomes(), log, &open)
	if err != nil {
		return err
	}
	log.Info("following outcomes in Redox's logs (experimental)", "version", Version(), "environment", s.Redox.Environment, "source_is_ours", s.SourceIsOurs)
	about.Enter(health.Working)
	ready()
	return f.tenure.Hold(ctx, func(ctx context.Context) error {
		log.Info("this follower works now")
		err := outcome.New(f.settings, f.parts).Run(ctx)
		f.parts.Meter.(*outcomeMeter).idle()
		if errors.Is(err, outcome.ErrNotMine) {
			return nil
		}
		return err
	})
}

// following is what RunFollower has put together.
type following struct {
	tenure   *natsq.Tenure
	settings outcome.Settings
	parts    outcome.Parts
}

// RedoxLogs are the settings of Redox that reading logs needs: those of a worker, except
// for the key for sending.
type RedoxLogs struct {
	Environment   string `placeholder:"NAME" help:"Development, Staging or Production. Required: it has no default, so that a test cannot reach production by a typo."`
	APIURL        string `name:"api-url" default:"https://api.redoxengine.com" help:"Base URL of the API."`
	TokenURL      string `name:"token-url" default:"https://api.redoxengine.com/v2/auth/token" help:"Where tokens are asked for."`
	TokenAudience string `placeholder:"URL" help:"Audience of the assertion; empty is the token URL."`
	SourceID      string `name:"source-id" placeholder:"UUID" help:"Redox source of jobs that name none."`
	TLSCA         string `name:"tls-ca" type:"path" placeholder:"FILE" help:"PEM file of a further authority to trust, for a proxy or a simulator."`
}

// Redox gives them as settings of Redox without a key.
func (r RedoxLogs) Redox() Redox {
	return Redox{Environment: r.Environment, APIURL: r.APIURL, TokenURL: r.TokenURL, TokenAudience: r.TokenAudience, SourceID: r.SourceID, TLSCA: r.TLSCA}
}
